"""Keyset paging: the address of the next page holds the last row's sort key, so page 40,000 costs what page 1 does. And what
a list is narrowed to by its address."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from urllib.parse import urlencode
from uuid import UUID

from workflow.errors import Invalid, Problem
from workflow.license_file import say

PAGE_SIZE = 25
MAX_PAGE_SIZE = 200
LARGEST_INTEGER = 2**31 - 1
LONGEST_SEARCH = 100

Key = tuple[str | int, ...]


class CursorUnusable(Invalid):
    """The cursor was not made by us, or belongs to another list."""

    code = "list.cursor_unusable"

    def __init__(self) -> None:
        super().__init__(
            say("This list address is no longer usable. Open the list from its first page."),
            [Problem("cursor", "unusable", say("Leave the cursor out to start at the first page."))],
        )


def cursor_for(key: Key) -> str:
    """An opaque cursor for the row with this sort key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def key_from(cursor: str, kinds: tuple[type, ...]) -> Key:
    """The sort key in a cursor, whose parts are of these kinds. Raises CursorUnusable for anything else."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or [type(each) for each in parts] != list(kinds) or not all(map(_can_be_asked_for, parts)):
        raise CursorUnusable
    return tuple(parts)


def instant_from(text: str | int) -> datetime:
    """The aware instant in a key. Raises CursorUnusable, also for one that is before or after all that UTC can say."""
    try:
        at = datetime.fromisoformat(str(text))
        if at.tzinfo is None:
            raise CursorUnusable
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise CursorUnusable from None


def time_and_id(cursor: str) -> tuple[datetime, UUID]:
    """The key of a list sorted by a time and an id, written as (isoformat, str). Raises CursorUnusable."""
    when, last = key_from(cursor, (str, str))
    try:
        row = UUID(str(last))
    except ValueError:
        raise CursorUnusable from None
    return instant_from(when), row


def _can_be_asked_for(part: str | int) -> bool:
    """Whether every database can look for it: no NUL, no lone surrogate, no number beyond its integers."""
    if isinstance(part, int):
        return abs(part) <= LARGEST_INTEGER
    return "\0" not in part and not any("\ud800" <= character <= "\udfff" for character in part)


def text_and_id(cursor: str) -> tuple[str, UUID]:
    """The key of a list sorted by a text and an id, written as (str, str). Raises CursorUnusable."""
    text, row = key_from(cursor, (str, str))
    try:
        return str(text), UUID(str(row))
    except ValueError:
        raise CursorUnusable from None


def row_id(cursor: str) -> UUID:
    """The key of a list sorted by id alone, written as (str,). Raises CursorUnusable."""
    (row,) = key_from(cursor, (str,))
    try:
        return UUID(str(row))
    except ValueError:
        raise CursorUnusable from None


def searched(text: str) -> str:
    """Words to look for, as every database can take them; empty for anything else."""
    text = text.strip()[:LONGEST_SEARCH]
    return text if text.isprintable() else ""


def day(text: str) -> date | None:
    """A day in the years that licenses have: every zone can say when it begins. None for anything else."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year < 3000 else None


def address(path: str, values: Mapping[str, str | None]) -> str:
    """`path` with the given query values, empty ones left out: filters live in the address."""
    query = urlencode([(name, value) for name, value in values.items() if value])
    return f"{path}?{query}" if query else path
