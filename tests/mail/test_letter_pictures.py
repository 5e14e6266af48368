"""Letters as a mailbox shows them, in a real browser: wide and on a phone, light and dark, in both languages."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, Route, ViewportSize, sync_playwright

from tests.accessibility import THEMES, complaints_about_colors, complaints_about_letter, scrolls_sideways
from tests.conftest import find_chromium
from workflow.mail.samples import every_letter

WIDE, PHONE = ViewportSize(width=600, height=800), ViewportSize(width=390, height=800)
LANGUAGES = ("en", "zh")
LETTERS = {language: every_letter(language) for language in LANGUAGES}
PICTURED = ("license_delivery", "expiry_reminder", "approval_requested", "needs_attention", "digest_decisions", "portal_code")
PICTURES = os.environ.get("LICDESK_TEST_PICTURES")
"""A directory for those who want to look at them."""

CUT_OFF = """() => [...document.querySelectorAll('body *')].filter(each => {
    const box = each.getBoundingClientRect();
    const shown = box.width > 0 && !each.closest('.preheader');
    return shown && (box.right > innerWidth + 0.5 || box.left < -0.5 || each.scrollWidth > Math.ceil(box.width) + 1);
}).map(each => each.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def asked_for() -> list[str]:
    """What letters made the browser ask for: each is refused."""
    return []


@pytest.fixture(scope="module")
def page(asked_for: list[str]) -> Iterator[Page]:
    def refuse(route: Route) -> None:
        asked_for.append(route.request.url)
        route.abort()

    with sync_playwright() as playwright:
        browser: Chromium = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        opened = browser.new_page(viewport=WIDE)
        opened.route("**/*", refuse)
        yield opened
        browser.close()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", LETTERS["en"])
def test_a_letter_fits_and_asks_for_nothing(page: Page, asked_for: list[str], name: str, language: str) -> None:
    page.set_content(LETTERS[language][name].html)
    for size in (WIDE, PHONE):
        page.set_viewport_size(size)
        assert not scrolls_sideways(page)
        assert page.evaluate(CUT_OFF) == []
    assert asked_for == []


@pytest.mark.parametrize("name", [name for name in LETTERS["en"] if "-" not in name])
def test_a_letter_can_be_read_by_everybody_in_light_and_in_dark(page: Page, name: str) -> None:
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    page.set_content(LETTERS["en"][name].html)
    assert complaints_about_letter(page) == []
    page.emulate_media(color_scheme="dark")
    assert complaints_about_colors(page) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PICTURED)
def test_its_picture_is_light_by_day_and_dark_by_night(page: Page, tmp_path: Path, name: str, language: str) -> None:
    page.set_content(LETTERS[language][name].html)
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        for size in (WIDE, PHONE):
            page.set_viewport_size(size)
            path = Path(PICTURES or tmp_path) / f"{name}-{language}-{size['width']}-{theme}.png"
            page.screenshot(path=path, full_page=True)
            assert path.stat().st_size > 5_000
        background = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
        assert (max(background) < 60) is (theme == "dark")


def test_what_would_be_cut_off_is_found(page: Page, asked_for: list[str]) -> None:
    page.set_viewport_size(PHONE)
    page.set_content('<meta charset="utf-8"><div style="width:900px">wide</div><img src="https://tracker.example/x.png">')
    page.wait_for_timeout(50)
    assert scrolls_sideways(page)
    assert page.evaluate(CUT_OFF) != []
    assert asked_for.pop() == "https://tracker.example/x.png"
