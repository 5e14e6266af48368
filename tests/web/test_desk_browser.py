"""The desk in a real browser: accessible in both widths and themes, live without reload, usable without script."""

import dataclasses
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from sqlmodel import select

from tests.accessibility import PHONE, WIDE, complaints, complaints_in_every_look
from tests.conftest import find_chromium
from tests.web.desk import PASSWORD
from tests.workers.company import WITH_CERTIFICATE, WITHOUT_CERTIFICATE, Company
from workflow.cli.broker import free_port
from workflow.database import transaction
from workflow.db.queries import applications
from workflow.db.tables import EventRow, IssuedLicense
from workflow.domain.application import Status
from workflow.domain.approvals import Choice
from workflow.domain.events import Job
from workflow.services import applications as applying
from workflow.services import decisions
from workflow.times import wall_now
from workflow.web.desk.app import create_app

pytestmark = pytest.mark.browser
Person = Callable[..., BrowserContext]


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """One database is enough to look at pages."""
    path = tmp_path / "desk.sqlite3"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def desk(app: FastAPI) -> Iterator[str]:
    """The address of the desk, served as it is in life."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    settings = dataclasses.replace(app.state.house.settings, public_url=address)
    served = create_app(settings)
    server = uvicorn.Server(
        uvicorn.Config(served, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield address
    server.should_exit = True
    thread.join(10)
    served.state.house.engine.dispose()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def person(chromium: Chromium, desk: str) -> Iterator[Person]:
    """Opens a browser signed in as somebody; keywords go to the browser context."""
    opened: list[BrowserContext] = []

    def sign_in(who: str, **options: Any) -> BrowserContext:
        context = chromium.new_context(base_url=desk, **{"viewport": WIDE, **options})
        opened.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.goto("/sign-in")
        page.fill("#email", f"{who}@serviceme.example")
        page.fill("#password", PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{desk}/")
        page.close()
        return context

    yield sign_in
    for context in opened:
        context.close()


def errors_of(page: Page) -> list[str]:
    """What the browser itself complains of on this page, from now on: script errors, the content security policy."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def a_busy_desk(company: Company) -> dict[str, str]:
    """Applications in many states; returns their numbers by what they are good for."""
    soon = (wall_now().date() + timedelta(days=5)).isoformat()
    validity = {"first_day": wall_now().date().isoformat(), "last_day": soon, "time_zone": "Asia/Shanghai"}
    delivered = company.apply(recipients=[WITH_CERTIFICATE, WITHOUT_CERTIFICATE], restrictions=["internal-use"])
    ending = company.apply(environment="UAT", kind="trial", validity=validity)
    for number in (delivered, ending):
        company.approve(number)
        for kind in (Job.SIGN, Job.LETTER, Job.DELIVER):
            company.run(kind)
    with transaction(company.engine) as session:
        issued = session.exec(select(IssuedLicense).where(IssuedLicense.version == 1)).first()
        assert issued is not None
        draft = applying.start_renewal(session, company.liaison, issued, wall_now())
        renewal = draft.number
    waiting = company.apply(
        request="change", modules=["workflow"], limits={"agents": 200, "users": 700}, note="Order PO-88213."
    )
    sent_back = company.apply(environment="DEV")
    with transaction(company.engine) as session:
        row = applications.get_application(session, sent_back)
        decisions.vote(
            session,
            company.approver,
            company.here.desk,
            row,
            Choice.REQUEST_CHANGES,
            comment="The order says 500 users.",
            seen_revision=row.revision,
            seen_version=row.version,
            now=wall_now(),
        )
        license_id = issued.license_id
    return {
        "delivered": delivered,
        "renewal": renewal,
        "waiting": waiting,
        "sent_back": sent_back,
        "license": license_id,
        "person": str(company.liaison.person_id),
    }


def pages_of(made: dict[str, str]) -> dict[str, list[str]]:
    """By person, the pages to look at: each page once, with the person who sees most of it."""
    return {
        "liaison": [
            "/",
            "/applications",
            "/applications?q=nothing-like-this",
            "/applications/new",
            "/applications/new?tenant=T-20817",
            f"/applications/{made['renewal']}/edit",
            f"/applications/{made['sent_back']}/edit",
            f"/applications/{made['waiting']}/review",
            f"/applications/{made['delivered']}",
            f"/applications/{made['sent_back']}",
            "/licenses",
            f"/licenses/{made['license']}",
            "/expiry",
            "/deliveries",
            "/customers",
            "/customers/T-20817",
            "/customers/new",
            "/profile",
            "/nowhere",
        ],
        "approver": ["/", "/approvals", f"/approvals/{made['waiting']}", "/approvals?tab=decided"],
        "operator": [
            "/",
            "/people",
            "/people/new",
            "/people/away",
            f"/people/{made['person']}",
            "/profile/security",
            "/operations",
            "/settings/letters",
            "/settings/letters?letter=digest_decisions&language=zh",
        ],
        "administrator": ["/"],
        "auditor": ["/operations", "/audit", f"/audit?application={made['delivered']}", "/audit?person=nobody-like-this"],
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("of_liaison", [True, False], ids=["liaison", "others"])
def test_every_page_is_accessible_in_every_look_and_keeps_the_content_policy(
    company: Company, person: Person, of_liaison: bool
) -> None:
    made = a_busy_desk(company)
    wrong: list[str] = []
    for who, addresses in pages_of(made).items():
        if (who == "liaison") is not of_liaison:
            continue
        page = person(who).new_page()
        said = errors_of(page)
        for address in addresses:
            said.clear()
            page.goto(address)
            wrong += [f"{who} {address}: {each}" for each in complaints_in_every_look(page)]
            wrong += [f"{who} {address}: {each}" for each in said if "status of 40" not in each]
    assert wrong == []


def test_sign_in_is_accessible_and_nothing_scrolls_sideways_at_320_pixels(
    chromium: Chromium, desk: str, company: Company, person: Person
) -> None:
    visitor = chromium.new_context(base_url=desk, viewport=PHONE)
    page = visitor.new_page()
    page.goto("/sign-in")
    assert complaints(page) == []
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#errsum")).to_be_focused()
    assert complaints(page) == []
    visitor.close()
    made = a_busy_desk(company)
    narrow = person("liaison", viewport={"width": 320, "height": 700}).new_page()
    for address in pages_of(made)["liaison"]:
        narrow.goto(address)
        wide = narrow.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not wide, address


def test_a_liaison_corrects_three_errors_with_the_keyboard_and_submits(company: Company, person: Person) -> None:
    page = person("liaison").new_page()
    page.goto("/applications/new?tenant=T-20817")
    page.locator('input[name="environment"][value^="PROD"]').check()
    page.get_by_label("Agent Studio").check()
    page.locator("#agents").fill("0")
    page.locator("#users").fill("800")
    page.locator("#last_day").fill("2020-01-01")
    page.get_by_role("button", name="Continue to review").click()
    summary = page.locator("#errsum")
    expect(summary).to_be_focused()
    assert page.title().startswith("Error:")
    assert complaints(page) == []
    for link in summary.get_by_role("link").all():
        target = (link.get_attribute("href") or "").lstrip("#")
        link.focus()
        page.keyboard.press("Enter")
        expect(page.locator(f'[id="{target}"]')).to_be_focused()
    page.locator("#model_types-chat").check()
    page.locator("#agents").fill("120")
    page.locator("#duration-1y").check()
    assert page.locator("#last_day").input_value() > "2020-01-01"
    expect(page.locator("#checks")).to_contain_text("gets the file in encrypted mail")
    expect(page.locator("#period")).to_contain_text("Last usable day")
    page.get_by_role("button", name="Continue to review").click()
    page.wait_for_url(re.compile("/review$"))
    assert complaints(page) == []
    page.get_by_role("link", name=re.compile("Change maximum agents")).click()
    expect(page.locator("#agents")).to_be_focused()
    page.go_back()
    page.get_by_role("button", name="Submit application").dblclick()
    expect(page.get_by_text("Submitted. The approvers were told by e-mail.")).to_be_visible()
    with transaction(company.engine) as session:
        submitted = session.exec(select(EventRow).where(EventRow.type == "application.submitted")).all()
    assert len(submitted) == 1


@pytest.mark.parametrize("stream", ["by events", "by polling"])
def test_an_open_page_follows_the_application_to_the_end_without_a_reload(
    company: Company, person: Person, stream: str
) -> None:
    number = company.apply()
    context = person("liaison")
    if stream == "by polling":
        context.route("**/stream", lambda route: route.abort())
    page = context.new_page()
    page.goto(f"/applications/{number}")
    page.evaluate("window.sameDocument = true")
    expect(page.locator("#head")).to_contain_text("Submitted")
    company.approve(number)
    company.run(Job.SIGN)
    company.run(Job.DELIVER)
    expect(page.locator("#head")).to_contain_text("Delivered", timeout=5_000 if stream == "by events" else 12_000)
    expect(page.locator(".steps [aria-current=step]")).to_contain_text("Activated")
    expect(page.get_by_role("button", name="Download .lic file")).to_be_visible()
    assert page.evaluate("window.sameDocument") is True
    with page.expect_download() as download:
        page.get_by_role("button", name="Download .lic file").click()
    assert download.value.suggested_filename.endswith("-v1.lic")
    expect(page.locator("#story")).to_contain_text("File downloaded by Lin Mei", timeout=12_000)


def test_what_somebody_is_typing_is_not_swept_away_by_news(company: Company, person: Person) -> None:
    number = company.apply()
    page = person("liaison").new_page()
    page.goto(f"/applications/{number}")
    page.get_by_text("Withdraw this application").click()
    page.locator("#comment").fill("No longer needed, because")
    company.approve(number)
    expect(page.locator("#head")).to_contain_text("Approved", timeout=5_000)
    assert page.locator("#comment").input_value() == "No longer needed, because"


def test_the_path_from_form_to_approval_needs_no_script(company: Company, person: Person) -> None:
    page = person("liaison", java_script_enabled=False).new_page()
    page.goto("/applications/new?tenant=T-20817")
    page.locator('input[name="environment"][value^="UAT"]').check()
    page.get_by_label("Agent Studio").check()
    page.locator("#model_types-chat").check()
    page.locator("#agents").fill("20")
    page.locator("#users").fill("30")
    page.get_by_role("button", name="Continue to review").click()
    page.get_by_role("button", name="Submit application").click()
    expect(page.get_by_text("Submitted. The approvers were told by e-mail.")).to_be_visible()
    number = page.url.rsplit("/", 1)[1]
    approver = person("approver", java_script_enabled=False).new_page()
    approver.goto("/approvals")
    approver.get_by_role("link", name=re.compile(number)).click()
    approver.get_by_label("Approve").check()
    approver.get_by_role("button", name="Submit decision").click()
    expect(approver.get_by_text(f"Approved: {number}.")).to_be_visible()
    assert company.application(number).status == Status.APPROVED


def test_keys_move_through_the_queue_to_the_decision_and_can_be_switched_off(company: Company, person: Person) -> None:
    first, second = company.apply(), company.apply(environment="UAT")
    context = person("approver")
    page = context.new_page()
    page.goto("/approvals")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"/approvals/{first}$"))
    page.keyboard.press("j")
    expect(page.locator(f'.qlist a[href="/approvals/{second}"]')).to_be_focused()
    page.keyboard.press("c")
    expect(page.locator("#decision-approve")).to_be_focused()
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    assert complaints(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()
    page.goto("/profile")
    page.get_by_label("Single-key shortcuts").uncheck()
    page.get_by_role("button", name="Save preferences").click()
    page.goto("/approvals")
    page.keyboard.press("?")
    assert page.locator("#shortcuts").count() == 0


def test_filters_change_the_list_and_the_address_in_place(company: Company, person: Person) -> None:
    prod, uat = company.apply(), company.apply(environment="UAT")
    page = person("liaison").new_page()
    page.goto("/applications")
    page.evaluate("window.sameDocument = true")
    page.get_by_label("Environment", exact=True).select_option("UAT")
    expect(page.locator("#results")).not_to_contain_text(prod)
    expect(page.locator("#results")).to_contain_text(uat)
    assert page.url.endswith("/applications?environment=UAT")
    page.get_by_role("searchbox").fill("no such company")
    expect(page.locator("#results")).to_contain_text("No application matches")
    assert page.evaluate("window.sameDocument") is True
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("no such company")


def test_the_theme_is_kept_and_there_before_the_first_paint(person: Person) -> None:
    context = person("liaison", color_scheme="light")
    page = context.new_page()
    page.goto("/")
    page.get_by_role("button", name="Switch light or dark theme").click()
    answer = page.goto("/applications")
    assert answer is not None
    assert '<html lang="en" data-theme="dark">' in answer.text()


def test_the_menu_of_a_phone_opens_without_script(person: Person) -> None:
    page = person("liaison", viewport=PHONE, java_script_enabled=False).new_page()
    page.goto("/")
    page.locator(".drawer summary").click()
    page.locator(".drawer").get_by_role("link", name="Applications").click()
    page.wait_for_url(re.compile("/applications$"))
