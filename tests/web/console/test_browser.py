"""License Management as it runs in life: the command, real processes, a real browser, and a desk that takes receipts."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.console import vendor
from tests.console.serving import served
from tests.servers import wait_until
from tests.web.console.browsing import Lic, accessible, choose, person, send
from workflow.cli.broker import free_port
from workflow.license_file import verify_receipt
from workflow.license_gate import LicenseGate
from workflow.times import utc_now

pytestmark = pytest.mark.browser


def test_from_upload_to_receipt_and_the_platform_obeys_within_a_second(
    chromium: Browser, process: str, directory: Path, lic: Lic, receipts: tuple[str, list[bytes]]
) -> None:
    _, got = receipts
    (directory / "published").mkdir(exist_ok=True)
    with LicenseGate(directory / "published") as gate, person(chromium, process) as page:
        accessible(page)
        choose(page, lic("PROD-v1.lic", vendor.lic(1)))
        expect(page.get_by_role("heading", level=1)).to_have_text("Check version 1 before you activate it")
        accessible(page)
        page.get_by_role("button", name="Activate now").click()
        expect(page.get_by_role("heading", name="Version 1 is active")).to_be_visible()
        accessible(page)

        choose(page, lic("PROD-v2.lic", vendor.fewer(2)))
        row = page.get_by_role("row", name="Model types")
        expect(row).to_contain_text("Speech")
        expect(page.get_by_role("row", name="Agents")).to_contain_text("+40")
        accessible(page)
        page.get_by_role("button", name="Activate now").click()
        expect(page.get_by_role("alert")).to_contain_text("Confirm that you understand what stops working")
        expect(page.locator("#errsum")).to_be_focused()
        accessible(page)
        page.get_by_role("link", name="Confirm that you understand").click()
        expect(page.get_by_role("checkbox")).to_be_focused()
        page.keyboard.press("Space")
        assert not gate.allows("api-access")
        clicked = time.monotonic()
        page.get_by_role("button", name="Activate now").click()
        while not gate.allows("api-access"):
            assert time.monotonic() - clicked < 60
            time.sleep(0.005)
        expect(page.get_by_role("heading", name="Version 2 is active")).to_be_visible()
        assert gate.limit("agents") == 120

        def versions() -> list[int]:
            mine = [verify_receipt(each).claims for each in got]
            return [each.version for each in mine if each.installation.id in (directory / "identity.json").read_text()]

        end = time.monotonic() + 10
        while versions() != [1, 2]:
            assert time.monotonic() < end, versions()
            time.sleep(0.05)
        page.reload()
        expect(page.get_by_text("the desk took it").first).to_be_visible()


def test_refusals_are_explained_and_accessible(chromium: Browser, site: str, lic: Lic) -> None:
    with person(chromium, site) as page:
        choose(page, lic("cut.lic", vendor.lic()[:-200]))
        expect(page.locator("#upload-result")).to_contain_text("This file can't be used")
        accessible(page)
        choose(page, lic("uat.lic", vendor.lic(key="issuer-uat", environment="UAT", license_id="UAT-7Q2MX-4TBK9-HZ0CE")))
        expect(page.locator("#upload-result")).to_contain_text("This file is for UAT; this platform is PROD")
        expect(page.locator("#upload-result")).to_contain_text("licensing@serviceme.example")
        page.get_by_role("button", name="Check this file").click()
        expect(page.locator("#errsum")).to_be_focused()
        accessible(page)
        expect(page.get_by_role("row", name="uat.lic")).to_contain_text("Not read")


def test_dropping_a_file_sends_it(chromium: Browser, site: str) -> None:
    with person(chromium, site) as page:
        transfer = page.evaluate_handle(
            "text => { const t = new DataTransfer(); t.items.add(new File([text], 'v1.lic')); return t; }",
            vendor.lic().decode(),
        )
        with page.expect_navigation():
            page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})
        expect(page.get_by_role("heading", level=1)).to_contain_text("Check version 1")


def test_everything_works_without_javascript(chromium: Browser, site: str, lic: Lic) -> None:
    with person(chromium, site, script=False) as page:
        page.get_by_label("License file (.lic)").set_input_files(lic("v1.lic", vendor.lic(1)))
        page.get_by_role("button", name="Check this file").click()
        page.get_by_role("button", name="Activate now").click()
        expect(page.get_by_role("heading", name="Version 1 is active")).to_be_visible()
        page.get_by_text("Paste the text of the file instead").click()
        page.get_by_label("Text of the license file").fill(vendor.fewer(2).decode())
        page.get_by_role("button", name="Check this file").click()
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Activate now").click()
        expect(page.get_by_role("heading", name="Version 2 is active")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download version 1").click()
        assert download.value.suggested_filename == "PROD-7Q2MX-4TBK9-HZ0CE-v1.lic"


def test_by_keyboard_alone(chromium: Browser, site: str) -> None:
    with person(chromium, site) as page:
        page.locator("summary", has_text="Paste the text").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.insert_text(vendor.lic().decode())
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/uploads/**")
        button = page.get_by_role("button", name="Activate now")
        for _ in range(30):
            if button.evaluate("b => b === document.activeElement"):
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Version 1 is active")).to_be_visible()


def test_back_and_reload_after_activation_post_nothing_again(chromium: Browser, site: str, directory: Path, lic: Lic) -> None:
    with person(chromium, site) as page:
        choose(page, lic("v1.lic", vendor.lic(1)))
        page.get_by_role("button", name="Activate now").dblclick()
        expect(page.get_by_role("heading", name="Version 1 is active")).to_be_visible()
        page.reload()
        page.go_back()
        page.go_forward()
        assert (directory / "published" / "generation").read_text() == "1\n"


def test_a_scheduled_license_takes_over_while_the_console_runs(
    chromium: Browser, site: str, directory: Path, lic: Lic, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = directory.parent / "clock"
    moved.write_text("0")
    monkeypatch.setenv("LICDESK_CLOCK_FILE", str(moved))
    with person(chromium, site) as page:
        choose(page, lic("v1.lic", vendor.lic(1)))
        page.get_by_role("button", name="Activate now").click()
        expect(page.get_by_role("heading", name="Version 1 is active")).to_be_visible()
        choose(page, lic("v2.lic", vendor.fewer(2, starts=timedelta(days=10))))
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Schedule for").click()
        accessible(page)
        with LicenseGate(directory / "published", clock=lambda: utc_now().timestamp()) as gate:
            assert not gate.allows("api-access")
            moved.write_text(str(11 * 86_400))
            end = time.monotonic() + 60
            while not gate.allows("api-access"):
                assert time.monotonic() < end
                time.sleep(0.02)
        while (directory / "published" / "generation").read_text() != "3\n":  # the console has written it down
            assert time.monotonic() < end
            time.sleep(0.02)
        page.goto(f"{site}/console/license")
        expect(page.get_by_role("region", name="Current license")).to_contain_text("Version 2")
        expect(page.get_by_role("region", name="Next license")).to_have_count(0)


def test_a_second_process_answers_by_the_new_license_with_the_next_question(site: str, directory: Path) -> None:
    port = free_port()
    token = {"Authorization": f"Bearer {(directory / 'api-token').read_text().strip()}"}
    with served(directory, port, f"http://127.0.0.1:{port}"):
        other = f"http://127.0.0.1:{port}/console/api/license"
        assert httpx.get(other, headers=token).json()["state"] == "none"
        file = directory.parent / "v1.lic"
        file.write_bytes(vendor.lic())
        environ = os.environ | {"LICDESK_MODE": "demo"}
        command = [sys.executable, "-m", "workflow.cli.main", "console", "install", str(file)]
        subprocess.run([*command, "--directory", str(directory)], env=environ, check=True, stdout=subprocess.DEVNULL)
        for address in (other, f"{site}/console/api/license"):
            assert httpx.get(address, headers=token).json()["version"] == 1


def test_a_member_sees_whom_to_ask(chromium: Browser, site: str) -> None:
    with person(chromium, site, vendor.MEMBER) as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Only for platform administrators")
        expect(page.get_by_text("Ask a platform administrator")).to_be_visible()
        accessible(page)


def test_in_chinese_with_what_is_in_use_and_back_to_english(chromium: Browser, site: str, directory: Path, lic: Lic) -> None:
    token = (directory / "api-token").read_text().strip()
    report = {"agents": 71, "users": 520, "model_types": {"speech": 12}}
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.put(f"{site}/console/api/usage", json=report, headers=headers).status_code == 204
    with person(chromium, site, locale="zh-CN") as page:
        choose(page, lic("v1.lic", vendor.lic(1)))
        expect(page.get_by_role("heading", level=1)).to_have_text("激活之前请核对版本 1")
        page.get_by_role("button", name="立即激活").click()
        expect(page.get_by_role("heading", name="版本 1 已激活")).to_be_visible()
        expect(page.get_by_role("img", name="授权用户：已使用 520，共 500，占百分之 104")).to_be_visible()
        accessible(page)
        choose(page, lic("v2.lic", vendor.fewer(2)))
        expect(page.get_by_text("语音模型将停用：目前有 12 个智能体在使用")).to_be_visible()
        accessible(page)
        page.get_by_role("button", name="English").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Check version 2 before you activate it")
        expect(page.get_by_text("Speech models stop working: used by 12 agents now")).to_be_visible()
        page.goto(f"{site}/console/license")
        expect(page.get_by_role("heading", level=1)).to_have_text("License Management")


def test_two_administrators_and_the_one_who_is_late_sees_who_was_quicker(chromium: Browser, site: str, lic: Lic) -> None:
    with person(chromium, site) as first, person(chromium, site, vendor.OTHER_ADMIN) as second:
        choose(first, lic("v1.lic", vendor.lic(1)))
        choose(second, lic("v2.lic", vendor.lic(2)))
        first.get_by_role("button", name="Activate now").click()
        expect(first.get_by_role("heading", name="Version 1 is active")).to_be_visible()
        second.get_by_role("button", name="Activate now").click()
        expect(second.get_by_role("alert")).to_contain_text(f"{vendor.ADMIN} activated version 1")
        accessible(second)
        second.get_by_role("button", name="Activate now").click()
        expect(second.get_by_role("heading", name="Version 2 is active")).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without"])
def test_a_revocation_list_stops_the_license_once_it_is_confirmed(
    chromium: Browser, site: str, directory: Path, lic: Lic, script: bool
) -> None:
    (directory / "published").mkdir(exist_ok=True)
    with LicenseGate(directory / "published", poll_seconds=0.05) as gate, person(chromium, site, script=script) as page:
        send(page, lic("v1.lic", vendor.lic(1)), script)
        page.get_by_role("button", name="Activate now").click()
        expect(page.get_by_role("heading", name="Version 1 is active")).to_be_visible()

        send(page, lic("old.lrl", vendor.lrl(1, 1, key="issuer-prod")), script)
        expect(page.locator("#upload-result")).to_contain_text("not signed by the revokers")
        expect(page.locator("#upload")).to_contain_text("UNTRUSTED_REVOCATIONS")

        send(page, lic("list.lrl", vendor.lrl(1, 1, 7, below=1)), script)
        expect(page.get_by_role("heading", level=1)).to_have_text("Check revocation list number 1 before you use it")
        expect(page.get_by_role("row", name=vendor.LICENSE_ID).first).to_contain_text("issued by mistake")
        if script:
            accessible(page)
        page.get_by_role("button", name="Use this list now").click()
        expect(page.get_by_role("alert").first).to_contain_text("Confirm that you understand what stops working")
        if script:
            accessible(page)
        page.get_by_role("checkbox").check()
        assert gate.allows("agent-studio")
        page.get_by_role("button", name="Use this list now").click()
        expect(page.get_by_text("Revocation list number 1 is in use.")).to_be_visible()
        expect(page.get_by_role("heading", name="This license was called back")).to_be_visible()
        expect(page.get_by_role("row", name="Revocation list 1")).to_contain_text("Put in use")
        wait_until(lambda: not gate.allows("agent-studio"), 30, "the gate to follow")
        if script:
            accessible(page)
