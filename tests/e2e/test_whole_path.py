"""Three people in three browsers take a license and its renewal through all five states."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.accessibility import PHONE, WIDE, complaints, complaints_in_every_look, scrolls_sideways
from tests.conftest import find_chromium
from tests.e2e.conftest import House
from tests.e2e.people import deliveries_of, eventually, licenses_of, mail, status, today
from workflow.cli import cast
from workflow.cli.cast import DemoPerson
from workflow.domain.application import Status

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
SOON = 30_000
"""milliseconds in which real workers have signed, sent and reported"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@contextmanager
def window(chromium: Browser, address: str) -> Iterator[Page]:
    """A new person's browser; what it complains about (content security policy, script errors) fails the test."""
    context = chromium.new_context(base_url=address, viewport=WIDE)
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("console", lambda said: complaints.append(f"{page.url}: {said.text}") if said.type == "error" else None)
    yield page
    context.close()
    assert complaints == []


def look(page: Page) -> None:
    """The page that is open is accessible, as it is on a phone, and scrolls sideways neither there nor on a desktop.

    Enough for pages that tests/web looks at closely: what only this journey brings about shows in one width.
    """
    page.set_viewport_size(PHONE)
    assert complaints(page) == [], page.url
    page.set_viewport_size(WIDE)
    assert not scrolls_sideways(page), page.url


def look_closely(page: Page) -> None:
    """For pages that no other test looks at: those of the inbox, and the doors."""
    assert complaints_in_every_look(page) == [], page.url


def sign_in(page: Page, person: DemoPerson, password: str, start: str) -> None:
    page.goto(start)
    look_closely(page)
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "sign-in" not in url)


def submit(page: Page) -> str:
    """From the form to the application's page; returns the application's number."""
    look(page)
    page.get_by_role("button", name="Continue to review").click()
    page.wait_for_url(re.compile("/review$"))
    look(page)
    page.get_by_role("button", name="Submit application").click()
    expect(page.get_by_text("Submitted. The approvers were told by e-mail.")).to_be_visible()
    look(page)
    page.evaluate("window.sameDocument = true")
    return page.url.rsplit("/", 1)[1]


def apply(page: Page) -> str:
    """The liaison chooses the customer's PROD platform and fills in the form."""
    look(page)
    page.goto("/applications/new")
    look(page)
    page.get_by_role("link", name=f"Apply for {cast.COMPANY} PROD").click()
    page.get_by_label("Agent Studio").check()
    page.locator("#model_types-chat").check()
    page.locator("#agents").fill("1200")
    page.locator("#users").fill("800")
    page.locator("#first_day").fill(today().isoformat())
    page.locator("#duration-1y").check()
    for each in cast.RECIPIENTS:
        page.get_by_label(each.name).check()
    page.locator("#note").fill("Order PO-88213.")
    return submit(page)


def approve(page: Page, number: str, password: str) -> None:
    page.goto("/approvals")
    look(page)
    page.get_by_role("link", name=re.compile(number)).click()
    page.wait_for_url(f"**/approvals/{number}")
    look(page)
    page.get_by_label("Approve").check()
    page.get_by_label("Your password").fill(password)
    page.get_by_role("button", name="Submit decision").click()
    expect(page.get_by_text(f"Approved: {number}.")).to_be_visible()
    look(page)


def fetch(page: Page, name: str, to: Path) -> Path:
    """The administrator opens the mail with this file in the inbox and saves the file."""
    page.goto(f"/?to={cast.ADMINISTRATOR.email}")
    look_closely(page)
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("Encrypted, signed")
    row.get_by_role("rowheader").get_by_role("link").click()
    expect(page.get_by_role("region", name="Protection")).to_contain_text("Signature valid")
    look_closely(page)
    with page.expect_download() as download:
        page.get_by_role("link", name=name).click()
    download.value.save_as(to / name)
    return to / name


def activate(page: Page, file: Path, version: int) -> None:
    page.goto("/console/license")
    look(page)
    with page.expect_navigation():
        page.get_by_label("License file (.lic)").set_input_files(file)
    checks = page.get_by_role("region", name="Verification").get_by_role("listitem")
    expect(checks.first).to_be_visible()
    expect(page.get_by_text("All checks passed")).to_be_visible()
    look(page)
    page.get_by_role("button", name="Activate now").click()
    expect(page.get_by_role("heading", name=f"Version {version} is active")).to_be_visible()
    expect(page.get_by_role("region", name="Current license")).to_contain_text(f"Version {version}")
    look(page)


def follows(page: Page, badge: str) -> None:
    """The page says so by itself: it is the document that was opened, not one loaded anew."""
    expect(page.locator("#head .badge").filter(has_text=badge)).to_be_visible(timeout=SOON)
    assert page.evaluate("window.sameDocument") is True


def test_three_people_take_a_license_and_its_renewal_to_activated(chromium: Browser, house: House, tmp_path: Path) -> None:
    urls, password = house.stack.urls, house.password
    with ExitStack() as windows:
        liaison, approver, administrator, inbox = (
            windows.enter_context(window(chromium, urls[where])) for where in ("desk", "desk", "console", "inbox")
        )
        sign_in(liaison, cast.LIAISON, password, "/sign-in")
        sign_in(approver, cast.APPROVER, password, "/sign-in")
        sign_in(administrator, cast.ADMINISTRATOR, password, "/")
        look(approver)

        first = apply(liaison)
        approve(approver, first, password)
        follows(liaison, "Delivered")
        look(liaison)
        (issued,) = licenses_of(house, first)
        file = fetch(inbox, f"{issued.license_id}-v1.lic", tmp_path)
        assert file.read_bytes() == issued.envelope
        activate(administrator, file, 1)
        follows(liaison, "Activated")
        look(liaison)

        liaison.get_by_role("button", name="Start renewal").click()
        liaison.wait_for_url(re.compile("/edit$"))
        expect(liaison.locator("#agents")).to_have_value(re.compile("1,?200"))
        liaison.locator("#agents").fill("1500")
        second = submit(liaison)
        approve(approver, second, password)
        follows(liaison, "Delivered")
        file = fetch(inbox, f"{issued.license_id}-v2.lic", tmp_path)
        activate(administrator, file, 2)
        follows(liaison, "Activated")

        history = administrator.get_by_role("region", name="History").get_by_role("row")
        expect(history.filter(has_text="Version 1")).to_contain_text("Replaced")
        expect(history.filter(has_text="Version 2")).to_contain_text("Active")
        for version in (1, 2):
            with administrator.expect_download() as download:
                administrator.get_by_role("link", name=f"Download version {version}").click()
            assert Path(download.value.path()).read_bytes() == (tmp_path / f"{issued.license_id}-v{version}.lic").read_bytes()

        eventually(lambda: status(house, first) == Status.SUPERSEDED, "version 1 superseded")
        assert status(house, second) == Status.ACTIVATED
        for address in (f"/licenses/{issued.license_id}", f"/applications/{first}", "/applications", "/"):
            liaison.goto(address)
            look(liaison)
        liaison.goto(f"/licenses/{issued.license_id}")
        expect(liaison.get_by_role("region", name="Version 1")).to_contain_text("Superseded")
        expect(liaison.get_by_role("region", name="Version 2")).to_contain_text("Activated")

    sent = [each["message_id"] for each in mail(house)]
    for number in (first, second):
        owed = [each.message_id for each in deliveries_of(house, number)]
        assert len(owed) == len(cast.RECIPIENTS)
        assert [sent.count(each) for each in owed] == [1] * len(owed)
