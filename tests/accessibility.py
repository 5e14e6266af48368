"""What axe-core and the width of the window have against a page in a real browser."""

from typing import Any, Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, ViewportSize

WIDE, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_ALL: dict[str, Any] = {"resultTypes": ["violations"]}
_OF_WCAG: dict[str, Any] = _ALL | {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
_OF_COLORS: dict[str, Any] = _ALL | {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}


def complaints(page: Page) -> list[str]:
    """What is wrong with the page as it is shown: rules of WCAG, sideways scrolling."""
    return _violations(page, _ALL) + (["scrolls sideways"] if scrolls_sideways(page) else [])


def complaints_about_letter(page: Page) -> list[str]:
    """What is wrong by WCAG with a letter, which a mailbox shows inside its own page and landmarks."""
    return _violations(page, _OF_WCAG)


def complaints_about_colors(page: Page) -> list[str]:
    """What is too faint to read, or a link by its color alone."""
    return _violations(page, _OF_COLORS)


def scrolls_sideways(page: Page) -> bool:
    """Whether the page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def complaints_in_every_look(page: Page) -> list[str]:
    """The same on a desktop and on a phone, in light and in dark, without loading it anew.

    A theme changes colors and nothing else, so in the dark only the rules about colors are asked again.
    """
    wrong: list[str] = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        for size in (WIDE, PHONE):
            page.set_viewport_size(size)
            found = complaints(page) if theme == "light" else complaints_about_colors(page)
            wrong += [f"{size['width']} {theme}: {each}" for each in found]
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    return wrong


def _violations(page: Page, options: dict[str, Any]) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("options => axe.run(options).then(each => each.violations)", options)
    return [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in found]
