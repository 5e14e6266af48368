"""Finds and prepares templates and static files: one Jinja environment for pages and one for letters."""

from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, select_autoescape
from lucide.jinja import lucide
from markupsafe import Markup

PACKAGE = Path(__file__).resolve().parent


def template_directories() -> tuple[Path, ...]:
    """Where templates are looked for: inside the installed package first, then in the repository."""
    return (PACKAGE / "_templates", PACKAGE.parent / "templates")


def static_directory() -> Path:
    """The stylesheet, script and icon that every page links to."""
    return PACKAGE / "web" / "shared" / "static"


@cache
def icon(name: str, cls: str = "") -> Markup:
    """An inline SVG of the icon set, hidden from assistive technology: the words beside it carry the meaning."""
    classes = f"ico {cls}".strip()
    return Markup(lucide(name, size=None, **{"class": classes, "aria-hidden": "true", "focusable": "false"}))  # noqa: S704


def day(value: date) -> str:
    """6 Dec 2026"""
    return f"{value.day} {value:%b %Y}"


def instant(value: datetime, zone: str | ZoneInfo = "UTC") -> str:
    """6 Dec 2026, 14:35 in the given zone."""
    local = in_zone(value, zone)
    return f"{day(local.date())}, {local:%H:%M}"


def in_zone(value: datetime, zone: str | ZoneInfo) -> datetime:
    """The same instant as the clocks of a zone show it."""
    return value.astimezone(ZoneInfo(zone) if isinstance(zone, str) else zone)


def capital(text: str) -> str:
    """The text with a capital at its begin, and the rest as it is."""
    return text[:1].upper() + text[1:]


def local_day(value: datetime, zone: str | ZoneInfo) -> date:
    """The calendar day of an instant in the given zone."""
    return in_zone(value, zone).date()


def number(value: int) -> str:
    """1,234"""
    return f"{value:,}"


def file_size(value: int) -> str:
    """2.1 KB"""
    return f"{value} bytes" if value < 1024 else f"{value / 1024:.1f} KB"


def duration(seconds: float) -> str:
    """12 min, 5 h, 3 days: the largest unit that fits, for waiting times."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"


def environment(*, autoescape: bool | Callable[[str | None], bool] | None = None) -> Environment:
    """A Jinja environment with the product's filters; an undefined name is an error, never an empty string.

    HTML is escaped, plain text is not (by file ending) unless `autoescape` says otherwise.
    """
    chosen = select_autoescape(("html", "xml")) if autoescape is None else autoescape
    made = Environment(
        loader=ChoiceLoader([FileSystemLoader(directory) for directory in template_directories()]),
        autoescape=chosen,  # noqa: S701  (HTML is escaped; letters also have plain text parts)
        undefined=StrictUndefined,
        auto_reload=False,  # else every rendering asks the disk whether one of its templates has changed
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_null_translations(newstyle=True)  # type: ignore[attr-defined]  # added by the i18n extension
    made.globals["icon"] = icon
    made.filters.update(
        capital=capital,
        day=day,
        instant=instant,
        local_day=local_day,
        number=number,
        file_size=file_size,
        duration=duration,
        said=str,
    )
    return made
