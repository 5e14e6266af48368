"""What an auditor takes along: the exact bytes, receipts, the history page by page and as CSV."""

import base64
import re
from datetime import timedelta

import pytest

from tests.console import vendor
from tests.web.console_page import PATH, Visitor, installed
from workflow.console.identity import Console
from workflow.console.store import RefusedUpload
from workflow.database import transaction
from workflow.license_file import verify_receipt
from workflow.times import utc_now


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


@pytest.mark.parametrize("path", ["?done={}", "?same={}", "/history/{}/file", "/receipts/{}"])
def test_a_number_no_database_can_look_up_is_no_failure(admin: Visitor, path: str) -> None:
    assert admin.open(PATH + path.format(10**30)).status_code == 404


@pytest.mark.parametrize("key", ['["0001-01-01T00:00:00+14:00","x"]', '["2026-01-01T00:00:00+00:00","\\ud800"]', "[" * 5_000])
def test_a_place_in_the_history_that_was_not_made_here_is_refused(admin: Visitor, key: str) -> None:
    assert admin.open(f"{PATH}?before={base64.urlsafe_b64encode(key.encode()).decode()}").status_code == 422
