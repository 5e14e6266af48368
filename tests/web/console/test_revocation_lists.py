"""A revocation list without JavaScript: previewed with what it stops, acknowledged, in use; or refused in words."""

import re
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlmodel import select

from tests.console import vendor
from tests.console.acting import activated, listed, look
from tests.web.console_page import PATH, Visitor, installed, use_list
from workflow.console.identity import Console
from workflow.console.store import StoredRevocations
from workflow.database import reading
from workflow.license_file import ReceiptEvent, verify_receipt
from workflow.license_gate import State


def test_a_revocation_list_is_previewed_acknowledged_and_then_counts(admin: Visitor, console: Console) -> None:
    installed(admin, vendor.lic(1))
    admin.upload(vendor.lrl(4, 1, 9), "list.lrl")
    for said in (
        "Check revocation list number 4 before you use it", "The license in force is called back", "Version 1 stops at once",
        "issued by mistake", "Installed: version 1", "Not installed", "Number 4, the first one here",
        "licensing@serviceme.example",
    ):  # fmt: skip
        assert said in admin.text
    assert look(console).state is State.ACTIVE
    preview = str(admin.page.url)
    assert use_list(admin).status_code == 422
    assert "Confirm that you understand what stops working" in admin.text
    assert look(console).state is State.ACTIVE
    assert use_list(admin, acknowledged="yes").status_code == 200
    assert "Revocation list number 4 is in use" in admin.text
    assert "This license was called back" in admin.text
    assert look(console).state is State.REVOKED
    assert (console.published / "revocations.lrl").exists()
    assert "Revocation list 4 list.lrl Put in use" in admin.text
    assert "Deactivation: this console has no way to the desk; send the file" in admin.text
    address = re.findall(r'href="(/console/license/receipts/\d+)"', admin.page.text)
    told = verify_receipt(admin.client.get(address[-1]).content).claims
    assert (told.event, told.version, told.reason) == (ReceiptEvent.DEACTIVATED, 1, "REVOKED")
    assert ",revocation_list,,4," in admin.client.get(f"{PATH}/history.csv").text
    admin.open(preview)
    assert "License Management" in admin.text
    assert "before you use it" not in admin.text
    with reading(console.engine) as session:
        raw = session.exec(select(StoredRevocations.raw)).one()
    admin.upload(raw)
    assert "Revocation list number 4 is in use already. Nothing was changed." in admin.text


def test_a_list_that_stops_the_next_license_too_says_so_everywhere(admin: Visitor, console: Console) -> None:
    installed(admin, vendor.lic(1))
    installed(admin, vendor.lic(2, starts=timedelta(days=10)))
    admin.upload(vendor.lrl(1, 1, 2))
    assert "I understand that versions 1 and 2 count no more" in admin.text
    assert "Version 2 will not take over." in admin.text
    use_list(admin, acknowledged="yes")
    rows = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"<tr>(.*?)</tr>", admin.page.text, re.S)]
    assert [row.split(" PROD")[0] for row in rows if "PROD-" in row and "Revoked" in row] == ["Version 2", "Version 1"]
    assert admin.text.count("Deactivation:") == 2


def test_a_list_that_names_nothing_of_this_platform_asks_for_no_acknowledgement(admin: Visitor, console: Console) -> None:
    admin.upload(vendor.lrl(1, 3, below=2))
    assert "This list stops nothing that is in force here." in admin.text
    assert "Nothing of this platform." in admin.text
    assert "2 entries about other licenses" in admin.text
    assert "acknowledged" not in admin.page.text
    assert use_list(admin).status_code == 200
    assert look(console).generation == 1


def test_a_list_that_was_used_twice_at_once_is_used_once(admin: Visitor, console: Console) -> None:
    admin.upload(vendor.lrl(1, 3))
    preview = admin.page
    use_list(admin)
    admin.page = preview
    use_list(admin)
    assert "This list was put in use already." in admin.text
    assert look(console).generation == 1


def test_a_license_that_was_activated_meanwhile_sends_the_list_back_to_its_preview(admin: Visitor, console: Console) -> None:
    admin.upload(vendor.lrl(1, 1))
    activated(console, vendor.lic(1))
    assert use_list(admin).status_code == 409
    assert "Someone was quicker" in admin.text
    assert "Version 1 stops at once" in admin.text


REFUSED_LISTS = {
    "an older one": (vendor.lrl(2, 3), "older than number 5"),
    "another under the same number": (vendor.lrl(5, 4), "There is another revocation list with number 5"),
    "of an issuer key": (vendor.lrl(6, 3, key="issuer-prod"), "not signed by the revokers"),
}


@pytest.mark.parametrize(("raw", "sentence"), REFUSED_LISTS.values(), ids=REFUSED_LISTS)
def test_a_list_that_cannot_be_used_is_refused_with_its_code(
    admin: Visitor, console: Console, raw: bytes, sentence: str
) -> None:
    assert listed(console, vendor.lrl(5, 3)) is True
    admin.upload(raw, "list.lrl")
    assert "UNTRUSTED_REVOCATIONS" in admin.text
    assert sentence in admin.text
    assert "The revocation list cannot be used" in admin.text
    assert look(console).generation == 1


def test_a_list_is_only_for_the_person_who_uploaded_it(admin: Visitor, app: FastAPI) -> None:
    admin.upload(vendor.lrl(1, 3))
    other = Visitor.signed_in(app, vendor.OTHER_ADMIN)
    assert other.open(str(admin.page.url)).status_code == 404
