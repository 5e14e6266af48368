"""Each state of the license on the page: told in words, and none closes the page or the sign-in."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.console import vendor
from tests.console.acting import listed
from tests.web.console_page import Visitor, installed
from workflow.console.identity import Console


@pytest.mark.parametrize(
    ("days_later", "said"),
    [
        (0, "Active"),
        (310, "This license ends in 25 days"),
        (330, "This license ends in 5 days"),
        (336, "grace goes on until"),
        (400, "This license ended on"),
    ],
)
def test_each_state_is_told_and_none_closes_the_page_or_the_sign_in(
    app: FastAPI, admin: Visitor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, days_later: int, said: str
) -> None:
    installed(admin, vendor.lic())
    moved = tmp_path / "clock"
    moved.write_text(str(days_later * 86_400))
    monkeypatch.setenv("LICDESK_CLOCK_FILE", str(moved))
    again = Visitor.signed_in(app, vendor.OTHER_ADMIN)
    assert again.page.status_code == 200
    assert said in again.text
    assert "Upload License" in again.text
    if days_later:
        assert "licensing@serviceme.example" in again.text
    again.upload(vendor.lic(2))
    assert "Check version 2" in again.text


def test_a_license_that_was_called_back_closes_neither_the_page_nor_the_sign_in(
    app: FastAPI, admin: Visitor, console: Console
) -> None:
    installed(admin, vendor.lic())
    assert listed(console, vendor.lrl(1, 1)) is True
    again = Visitor.signed_in(app, vendor.OTHER_ADMIN)
    assert again.page.status_code == 200
    assert "issued by mistake" in again.text
    again.upload(vendor.lic(2))
    assert "Check version 2" in again.text


def test_a_license_that_was_tampered_with_in_the_database_is_loud(admin: Visitor, console: Console) -> None:
    installed(admin, vendor.lic())
    with console.engine.begin() as connection:
        raw = vendor.lic(key="a stranger")
        connection.exec_driver_sql("UPDATE installed_license SET raw = ?", (raw,))
    admin.open()
    assert "The license in force can no longer be trusted" in admin.text
    assert "UNKNOWN_KEY" in admin.text
    assert "Agent Studio" not in admin.text


def test_use_is_reported_with_the_token_and_shown_on_the_card(app: FastAPI, admin: Visitor, console: Console) -> None:
    installed(admin, vendor.lic())
    programs = Visitor.at(app).client
    address, report = "/console/api/usage", {"agents": 71, "users": 412, "modules": {"workflow": 3}}
    assert programs.put(address, json=report).status_code == 401
    assert admin.client.put(address, json=report).status_code == 401
    programs.headers["Authorization"] = f"Bearer {(console.directory / 'api-token').read_text().strip()}"
    refused = programs.put(address, json={"agents": "many"})
    assert (refused.status_code, refused.json()["code"]) == (422, "console.usage")
    assert programs.put(address, json=report).status_code == 204
    admin.open()
    for shown in ("71 / 80", "89% used", "9 left", "412 / 500", "Use as the platform reported it on"):
        assert shown in admin.text
    admin.upload(vendor.fewer(2))
    assert "71 in use" in admin.text
