"""A person in a real browser at License Management, and what every page has to stand up to."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page

from tests.accessibility import WIDE, complaints_in_every_look
from tests.console import vendor
from tests.web.console_page import settings_for
from workflow.cli.broker import free_port
from workflow.web.console.app import create_app

Lic = Callable[[str, bytes], Path]


@contextmanager
def in_a_thread(directory: Path) -> Iterator[str]:
    """The address of a console that is served in a thread: starting a process for every journey costs seconds."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    app = create_app(settings_for(directory, origin))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the console did not start"
        time.sleep(0.01)
    yield origin
    server.should_exit = True
    thread.join()


@contextmanager
def person(
    chromium: Browser, site: str, address: str = vendor.ADMIN, *, script: bool = True, locale: str = "en-US"
) -> Iterator[Page]:
    """A signed-in person's page; complaints of the browser (content security policy, script errors) fail the test."""
    context: BrowserContext = chromium.new_context(viewport=WIDE, java_script_enabled=script, locale=locale)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(site)
    page.locator("#email").fill(address)
    page.locator("#password").fill(vendor.PASSWORD)
    page.locator("form.card button.primary").click()
    page.wait_for_url("**/console/license")
    yield page
    context.close()
    assert complaints == []


def choose(page: Page, path: Path) -> None:
    """Chooses a file in the upload form; with JavaScript it is sent at once."""
    with page.expect_navigation():
        page.locator("#file").set_input_files(path)


def accessible(page: Page) -> None:
    """No axe finding and no sideways scrolling in both widths and both themes."""
    assert complaints_in_every_look(page) == [], page.url


def send(page: Page, path: Path, script: bool) -> None:
    """Chooses a file and sends it; without JavaScript that takes the button."""
    if script:
        choose(page, path)
        return
    page.get_by_label("License file (.lic)").set_input_files(path)
    page.get_by_role("button", name="Check this file").click()
