"""The preview and its button without JavaScript: what changes, what must be acknowledged, and who was quicker."""

from datetime import timedelta

from fastapi import FastAPI
from sqlmodel import select

from tests.console import vendor
from tests.web.console_page import Visitor, installed
from workflow.console.identity import Console
from workflow.console.store import StagedUpload
from workflow.database import transaction

DAY = timedelta(days=1)


def test_the_preview_shows_what_changes_and_asks_before_something_goes(admin: Visitor, console: Console) -> None:
    installed(admin, vendor.lic(1))
    admin.upload(vendor.fewer(2))
    assert "Speech models stop working" in admin.text
    for shown in ("+40", "+300", "Added: API Access", "Removed: Speech", "Version 1 stays active until you confirm"):
        assert shown in admin.text
    answer = admin.activate()
    assert answer.status_code == 422
    assert "Confirm that you understand what stops working" in admin.text
    assert 'href="#acknowledged-yes"' in answer.text
    assert admin.activate(acknowledged="yes").status_code == 200
    assert "Version 2 is active" in admin.text
    assert (console.published / "generation").read_text() == "2\n"


def test_a_later_start_is_scheduled(admin: Visitor) -> None:
    installed(admin, vendor.lic(1))
    admin.upload(vendor.lic(2, starts=10 * DAY))
    assert "Check version 2 before you schedule it" in admin.text
    assert "Version 1 stays active until version 2 starts" in admin.text
    admin.activate()
    assert "Version 2 is scheduled" in admin.text
    assert "Next license" in admin.text
    assert "Current license" in admin.text


def test_a_gap_before_the_next_license_is_told(admin: Visitor) -> None:
    installed(admin, vendor.lic(1, lasts=40 * DAY))
    admin.upload(vendor.lic(2, starts=20 * DAY - timedelta(hours=1)))
    assert "There is a gap of 10 days" in admin.text


def test_reload_back_and_a_second_click_never_activate_twice(admin: Visitor, console: Console) -> None:
    admin.upload(vendor.lic())
    preview = admin.page
    admin.activate()
    admin.open(str(admin.page.url))
    assert "Version 1 is active" in admin.text
    admin.page = preview
    assert admin.activate().status_code == 200
    assert "Version 1 is active" in admin.text
    admin.open(str(preview.url))
    assert str(admin.page.url).endswith("done=1")
    assert (console.published / "generation").read_text() == "1\n"


def test_two_administrators_the_second_sees_who_was_quicker_and_the_fresh_preview(app: FastAPI, admin: Visitor) -> None:
    installed(admin, vendor.lic(1))
    other = Visitor.signed_in(app, vendor.OTHER_ADMIN)
    second, third = vendor.lic(2), vendor.lic(3)
    other.upload(third)
    installed(admin, second)
    answer = other.activate()
    assert answer.status_code == 409
    assert f"{vendor.ADMIN} activated version 2" in other.text
    assert "Version 2 stays active until you confirm" in other.text
    assert other.activate().status_code == 200
    assert "Version 3 is active" in other.text


def test_a_version_that_was_overtaken_is_told_with_409(app: FastAPI, admin: Visitor) -> None:
    installed(admin, vendor.lic(1))
    other = Visitor.signed_in(app, vendor.OTHER_ADMIN)
    other.upload(vendor.lic(2))
    installed(admin, vendor.lic(3))
    assert other.activate().status_code == 409
    assert f"{vendor.ADMIN} activated version 3 after you opened this page" in other.text
    assert "license.lic can no longer be used. This is version 2" in other.text


def test_a_preview_belongs_to_its_uploader(app: FastAPI, admin: Visitor) -> None:
    admin.upload(vendor.lic())
    assert Visitor.signed_in(app, vendor.OTHER_ADMIN).open(str(admin.page.url)).status_code == 404


def test_a_preview_that_ran_out_says_so(admin: Visitor, console: Console) -> None:
    admin.upload(vendor.lic())
    address = str(admin.page.url)
    preview = admin.page
    with transaction(console.engine) as session:
        row = session.exec(select(StagedUpload)).one()
        row.until -= timedelta(hours=1)
    admin.open(address)
    assert "ran out after 30 minutes" in admin.text
    admin.page = preview
    admin.activate()
    assert "Upload it again; nothing was changed" in admin.text
    assert "No license yet" in admin.text
