"""License Management without JavaScript: a file from the upload to its result, every refusal in words."""

import re
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.console import vendor
from tests.web.console_page import PATH, Visitor, installed
from workflow.console.identity import Console
from workflow.console.store import RefusedUpload, StagedUpload
from workflow.database import reading
from workflow.license_file import Environment, verify_receipt

DAY = timedelta(days=1)


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


def test_the_receipt_of_a_refusal_can_be_downloaded(admin: Visitor) -> None:
    installed(admin, vendor.lic(2))
    admin.upload(vendor.lic(1))
    assert "Refusal: this console has no way to the desk; send the file" in admin.text
    address = re.findall(r'href="(/console/license/receipts/\d+)"', admin.page.text)
    raw = admin.client.get(address[-1]).content
    assert verify_receipt(raw).claims.reason == "OLDER_THAN_CURRENT"
