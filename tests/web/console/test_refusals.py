"""Every refusal in a real browser: said in words with its code, readable by everybody, and the license in force goes on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.accessibility import complaints_in_every_look
from tests.console import vendor
from tests.console.acting import activated
from tests.console.test_taking_in import BAD_FILES
from tests.web.console.browsing import Lic, choose, in_a_thread, person
from tests.web.console_page import settings_for
from workflow.console.identity import open_console

pytestmark = pytest.mark.browser

REFUSALS = BAD_FILES | {
    "older": (vendor.lic(1), "OLDER_THAN_CURRENT"),
    "another file under its number": (vendor.lic(2, model_types=("chat",)), "SAME_VERSION_OTHER_CONTENT"),
    "another license": (vendor.lic(3, license_id="PROD-AAAAA-BBBBB-CCCCC"), "WRONG_LICENSE_ID"),
}


@pytest.fixture(scope="module")
def published(with_people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a console publishes that version 2 is in force on: one for all tests, no refusal may change it."""
    directory = tmp_path_factory.mktemp("refusing") / "console"
    shutil.copytree(with_people, directory)
    made = open_console(settings_for(directory))
    activated(made, vendor.lic(2))
    made.engine.dispose()
    return directory / "published"


@pytest.fixture(scope="module")
def admin_page(chromium: Browser, published: Path) -> Iterator[Page]:
    with in_a_thread(published.parent) as site, person(chromium, site) as page:
        yield page


@pytest.mark.parametrize("bad", REFUSALS)
def test_a_refusal_is_said_to_everybody_and_the_license_in_force_goes_on(
    admin_page: Page, published: Path, lic: Lic, bad: str
) -> None:
    raw, code = REFUSALS[bad]
    choose(admin_page, lic("offered.lic", raw))
    expect(admin_page.locator("#upload-result")).to_contain_text("This file can't be used")
    expect(admin_page.locator("#upload")).to_contain_text(code)
    expect(admin_page.get_by_role("row", name="offered.lic").first).to_contain_text("Not read")
    expect(admin_page.get_by_role("region", name="Current license")).to_contain_text("Version 2")
    assert complaints_in_every_look(admin_page) == []
    assert (published / "generation").read_text() == "1\n"
