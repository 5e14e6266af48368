"""License Management without JavaScript: every journey by plain forms, every wrong turn answered."""

import base64
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import Response
from sqlmodel import select

from tests.console import vendor
from tests.console.acting import activated, listed, look
from tests.web.console_page import ORIGIN, PATH, Visitor, application, settings_for
from workflow.console import accounts
from workflow.console.identity import Console, digest, open_console
from workflow.console.store import RefusedUpload, StagedUpload, StoredRevocations
from workflow.database import reading, transaction
from workflow.license_file import Environment, verify_receipt
from workflow.license_gate import State
from workflow.times import utc_now

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def with_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a console with accounts, to be copied: hashing passwords takes its time."""
    made = vendor.install_console(tmp_path_factory.mktemp("with people") / "console")
    vendor.add_people(made)
    made.engine.dispose()
    return made.directory


@pytest.fixture
def console(tmp_path: Path, with_people: Path) -> Iterator[Console]:
    """A console without a license, with two administrators and a member."""
    shutil.copytree(with_people, tmp_path / "console")
    made = open_console(settings_for(tmp_path / "console"))
    yield made
    made.engine.dispose()


@pytest.fixture
def app(console: Console) -> FastAPI:
    return application(console)


@pytest.fixture
def admin(app: FastAPI) -> Visitor:
    return Visitor.signed_in(app)


def installed(visitor: Visitor, raw: bytes, **fields: str) -> None:
    visitor.upload(raw)
    assert visitor.activate(acknowledged="yes", **fields).status_code == 200, visitor.text


def test_the_empty_page_says_what_to_do_first(admin: Visitor) -> None:
    assert "No license yet" in admin.text
    assert "Upload the .lic file that was e-mailed to the platform administrators" in admin.text


def test_upload_preview_activate_and_the_card_shows_everything(admin: Visitor) -> None:
    admin.upload(vendor.lic(), "PROD-7Q2MX-4TBK9-HZ0CE-v1.lic")
    assert "Check version 1 before you activate it" in admin.text
    assert "All checks passed" in admin.text
    admin.activate()
    assert re.search(r"done=1$", str(admin.page.url))
    for shown in (
        "Version 1 is active", "No restart was needed", "PROD-7Q2MX-4TBK9-HZ0CE", "Harbourline Logistics Co., Ltd.",
        "Signature valid", "issuer-prod", "Trust root version 1", "Agent Studio", "Speech", "80", "500",
        "Asia/Shanghai", vendor.ADMIN, "Times are shown in Asia/Shanghai (UTC+8)", "Usage not reported",
    ):  # fmt: skip
        assert shown in admin.text


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


REFUSALS = {
    "not a license": (b"hello", "DAMAGED"),
    "empty": (b"", "DAMAGED"),
    "too large": (b"x" * 200_000, "TOO_LARGE"),
    "far too large": (b"x" * 3_000_000, "TOO_LARGE"),
    "unknown key": (vendor.lic(key="a stranger"), "UNKNOWN_KEY"),
    "another environment": (
        vendor.lic(key="issuer-uat", environment=Environment.UAT, license_id="UAT-7Q2MX-4TBK9-HZ0CE"),
        "WRONG_ENVIRONMENT",
    ),
    "ended": (vendor.lic(2, starts=-400 * DAY, lasts=30 * DAY), "EXPIRED"),
}


@pytest.mark.parametrize("bad", REFUSALS)
def test_a_refused_file_is_explained_and_recorded_and_the_license_stays(admin: Visitor, bad: str) -> None:
    installed(admin, vendor.lic(1))
    raw, code = REFUSALS[bad]
    answer = admin.upload(raw, "bad.lic")
    assert answer.status_code == 200
    for shown in ("This file can't be used", "The current license stays active", code, "bad.lic", "Reference UP-"):
        assert shown in admin.text
    admin.open()
    assert f"bad.lic {code} Refused Not read Not read {vendor.ADMIN.split('@')[0]}" in admin.text
    assert "Version 1" in admin.text


def test_the_contact_of_the_file_is_shown_when_its_signature_was_good(admin: Visitor) -> None:
    raw, _ = REFUSALS["another environment"]
    admin.upload(raw)
    assert "This file is for UAT; this platform is PROD" in admin.text
    assert "licensing@serviceme.example" in admin.text
    admin.upload(REFUSALS["unknown key"][0])
    assert "licensing@serviceme.example" not in admin.text


def test_a_refused_file_shows_none_of_its_content(admin: Visitor) -> None:
    admin.upload(vendor.lic(42, key="a stranger"), "file.lic")
    assert "42" not in re.sub(r"UP-\S+|[0-9a-f]{12,}|\d\d:\d\d", "", admin.text)
    assert "HZ0CE" not in admin.text


def test_a_name_with_folders_and_markup_is_shown_harmlessly(admin: Visitor) -> None:
    answer = admin.upload(b"x", "../<img src=x onerror=alert(1)>.lic")
    assert "<img" not in answer.text
    assert "&lt;img src=x onerror=alert(1)&gt;.lic" in answer.text


def test_a_pasted_license_works_like_a_file(admin: Visitor) -> None:
    admin.send([("file", ("", b""))], text="\n\n" + vendor.lic().decode().replace("\n", "\r\n") + "  ")
    assert "Check version 1 before you activate it" in admin.text
    assert "pasted license" in admin.text


@pytest.mark.parametrize(
    ("files", "fields", "said"),
    [
        ([("file", ("", b""))], {}, "Choose the .lic file"),
        ([("file", ("a.lic", b"1")), ("file", ("b.lic", b"2"))], {}, "one license at a time"),
        ([("file", ("a.lic", b"1"))], {"text": "{}"}, "one license at a time"),
        ([(f"f{n}", (f"{n}.lic", b"1")) for n in range(9)], {}, "one license at a time"),
    ],
)
def test_not_exactly_one_license_is_a_problem_with_the_form(
    admin: Visitor, console: Console, files: list[tuple[str, tuple[str, bytes]]], fields: dict[str, str], said: str
) -> None:
    answer = admin.send(files, **fields)
    assert answer.status_code == 422
    assert said in admin.text
    assert 'href="#file"' in answer.text
    with reading(console.engine) as session:
        assert not session.exec(select(RefusedUpload)).all()
        assert not session.exec(select(StagedUpload)).all()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\nnot a header"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'),
    ],
)
def test_a_request_that_is_no_upload_is_refused_in_words(admin: Visitor, kind: str, body: bytes) -> None:
    answer = admin.client.post(f"{PATH}/uploads", content=body, headers={"content-type": kind})
    assert answer.status_code in (403, 422)
    assert "Traceback" not in answer.text


def test_more_than_16_megabytes_are_not_even_read(admin: Visitor) -> None:
    answer = admin.upload(b"x" * (17 * 1024 * 1024))
    assert answer.status_code == 413


def test_the_same_file_again_is_good_news(admin: Visitor) -> None:
    raw = vendor.lic()
    installed(admin, raw)
    admin.upload(raw)
    assert "This file is already installed" in admin.text


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


def test_downloads_are_the_exact_bytes_and_the_receipt_verifies(admin: Visitor) -> None:
    raw = vendor.lic().replace(b"\n", b"\r\n")
    installed(admin, raw)
    answer = admin.client.get(f"{PATH}/history/1/file")
    assert answer.content == raw
    assert answer.headers["content-disposition"] == 'attachment; filename="PROD-7Q2MX-4TBK9-HZ0CE-v1.lic"'
    receipt = admin.client.get(f"{PATH}/receipts/1")
    assert verify_receipt(receipt.content).claims.event == "activated"
    assert "activated.lrc" in receipt.headers["content-disposition"]
    for missing in (f"{PATH}/history/9/file", f"{PATH}/receipts/9", f"{PATH}/history/x/file", f"{PATH}/uploads/UP-0"):
        assert admin.client.get(missing).status_code == 404


def test_the_csv_holds_installed_and_refused_files_and_no_formula(admin: Visitor) -> None:
    installed(admin, vendor.lic())
    admin.upload(b"x", "=1+1.lic")
    answer = admin.client.get(f"{PATH}/history.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    lines = answer.text.splitlines()
    assert len(lines) == 3
    assert ",'=1+1.lic," in lines[1]
    assert "PROD-7Q2MX-4TBK9-HZ0CE,1," in lines[2]


def test_the_history_has_pages(admin: Visitor, console: Console) -> None:
    installed(admin, vendor.lic())
    with transaction(console.engine) as session:
        for number in range(30):
            session.add(
                RefusedUpload(
                    id=f"UP-{number}", file_name=f"number-{number:02}.lic", size=1, code="DAMAGED", message="x", checks=[],
                    uploaded_by=vendor.ADMIN, created_at=utc_now() + number * timedelta(seconds=1),
                )
            )  # fmt: skip
    admin.open()
    assert "number-29" in admin.text
    assert "number-04" not in admin.text
    following = re.search(r'href="([^"]+)" rel="next"', admin.page.text)
    assert following
    admin.open(following[1].replace("&amp;", "&"))
    assert "number-04" in admin.text
    assert "Version 1" in admin.text
    assert admin.open(f"{PATH}?before=nonsense").status_code == 422


# who may


@pytest.mark.parametrize("path", ["?done={}", "?same={}", "/history/{}/file", "/receipts/{}"])
def test_a_number_no_database_can_look_up_is_no_failure(admin: Visitor, path: str) -> None:
    assert admin.open(PATH + path.format(10**30)).status_code == 404


@pytest.mark.parametrize("key", ['["0001-01-01T00:00:00+14:00","x"]', '["2026-01-01T00:00:00+00:00","\\ud800"]', "[" * 5_000])
def test_a_place_in_the_history_that_was_not_made_here_is_refused(admin: Visitor, key: str) -> None:
    assert admin.open(f"{PATH}?before={base64.urlsafe_b64encode(key.encode()).decode()}").status_code == 422


def test_nobody_sees_anything_without_signing_in_and_is_led_back(app: FastAPI) -> None:
    visitor = Visitor.at(app)
    assert "/console/sign-in?next=/console/license" in str(visitor.page.url)
    for address in (f"{PATH}/history.csv", f"{PATH}/history/1/file", f"{PATH}/uploads/UP-1", f"{PATH}/receipts/1"):
        assert visitor.client.get(address, follow_redirects=False).status_code == 303


def test_a_member_who_is_no_administrator_gets_403_on_everything(app: FastAPI) -> None:
    member = Visitor.signed_in(app, vendor.MEMBER)
    assert member.page.status_code == 403
    assert "Ask a platform administrator" in member.text
    for address in (PATH, f"{PATH}/history.csv", f"{PATH}/uploads/UP-1"):
        assert member.open(address).status_code == 403
    assert member.send([("file", ("a.lic", vendor.lic()))]).status_code == 403
    assert member.post(f"{PATH}/uploads/UP-1/activate").status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.test", "null", None])
def test_a_form_of_another_site_is_refused(admin: Visitor, console: Console, origin: str | None) -> None:
    headers = {"Origin": origin} if origin else {}
    admin.client.headers.pop("Origin")
    answer = admin.client.post(
        f"{PATH}/uploads", data={"csrf": admin.token}, files={"file": ("a.lic", vendor.lic())}, headers=headers
    )
    assert answer.status_code == 403
    with reading(console.engine) as session:
        assert not session.exec(select(StagedUpload)).all()


def test_a_form_without_its_token_is_refused(admin: Visitor) -> None:
    answer = admin.client.post(f"{PATH}/uploads", data={"csrf": "0" * 64}, files={"file": ("a.lic", vendor.lic())})
    assert answer.status_code == 403


def test_an_unknown_host_gets_400(app: FastAPI) -> None:
    assert Visitor.at(app).client.get("/health", headers={"Host": "evil.test"}).status_code == 400


def test_wrong_credentials_are_said_beside_the_field_and_then_throttled(app: FastAPI) -> None:
    visitor = Visitor.at(app)
    for _ in range(accounts.FREE_ATTEMPTS):
        answer = visitor.post("/console/sign-in", email=vendor.ADMIN, password="wrong password")
        assert answer.status_code == 401
        assert "password is not right" in visitor.text
    answer = visitor.post("/console/sign-in", email=vendor.ADMIN, password=vendor.PASSWORD)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "Try again in 1 min" in visitor.text


@pytest.mark.parametrize("elsewhere", ["//evil.test", "https://evil.test", "/\\evil.test"])
def test_signing_in_never_leads_to_another_site(app: FastAPI, elsewhere: str) -> None:
    visitor = Visitor.at(app)
    visitor.client.follow_redirects = False
    answer = visitor.post("/console/sign-in", email=vendor.ADMIN, password=vendor.PASSWORD, next=elsewhere)
    assert answer.headers["location"] == PATH


def test_the_session_cookie_is_the_consoles_own_and_out_of_reach_of_scripts(app: FastAPI) -> None:
    visitor = Visitor.at(app)
    visitor.client.follow_redirects = False
    answer = visitor.post("/console/sign-in", email=vendor.ADMIN, password=vendor.PASSWORD)
    (cookie,) = [each for each in answer.headers.get_list("set-cookie") if each.startswith("console_session=")]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_signing_out_ends_the_session_on_the_server(admin: Visitor) -> None:
    cookie = admin.client.cookies["console_session"]
    admin.post("/console/sign-out")
    assert "You are signed out" in admin.text
    admin.client.cookies.set("console_session", cookie)
    assert "/console/sign-in" in str(admin.open().url)


# states


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


# programs


def test_programs_ask_with_the_token_only(app: FastAPI, admin: Visitor, console: Console) -> None:
    installed(admin, vendor.lic())
    programs = Visitor.at(app).client
    refused = programs.get("/console/api/license")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert programs.get("/console/api/license", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert admin.client.get("/console/api/license").status_code == 401
    token = (console.directory / "api-token").read_text().strip()
    answer = programs.get("/console/api/license", headers={"Authorization": f"Bearer {token}"})
    facts = answer.json()
    assert (facts["state"], facts["version"], facts["generation"]) == ("active", 1, 1)
    assert facts["limits"]["agents"] == {"max": 80, "count": "total", "over": "block_new"}
    assert {each["code"] for each in facts["modules"]} >= {"agent-studio", "workflow"}
    assert "activation" not in answer.text
    assert digest(token.encode()) not in answer.text


def test_health_needs_nobody(app: FastAPI) -> None:
    answer = Visitor.at(app).client.get("/health")
    assert answer.json() == {"status": "ok", "generation": 0}
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert ORIGIN not in answer.text


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
    assert ",revocation_list,,4," in admin.client.get(f"{PATH}/history.csv").text
    admin.open(preview)
    assert "License Management" in admin.text
    assert "before you use it" not in admin.text
    with reading(console.engine) as session:
        raw = session.exec(select(StoredRevocations.raw)).one()
    admin.upload(raw)
    assert "Revocation list number 4 is in use already. Nothing was changed." in admin.text


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


def use_list(visitor: Visitor, **fields: str) -> Response:
    """Presses the button of the list's preview."""
    generation = re.search(r'name="generation" value="(\d+)"', visitor.page.text)
    action = re.search(r'action="([^"]+/use)"', visitor.page.text)
    assert generation, visitor.text
    assert action, visitor.text
    return visitor.post(action[1], **{"generation": generation[1], **fields})


def test_the_receipt_of_a_refusal_can_be_downloaded(admin: Visitor) -> None:
    installed(admin, vendor.lic(2))
    admin.upload(vendor.lic(1))
    assert "Refusal: this console has no way to the desk; send the file" in admin.text
    address = re.findall(r'href="(/console/license/receipts/\d+)"', admin.page.text)
    raw = admin.client.get(address[-1]).content
    assert verify_receipt(raw).claims.reason == "OLDER_THAN_CURRENT"
