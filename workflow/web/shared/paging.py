"""Keyset paging: the address of the next page holds the last row's sort key, so page 40,000 costs what page 1 does."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from workflow.errors import Invalid, Problem

PAGE_SIZE = 25
MAX_PAGE_SIZE = 200

Row = TypeVar("Row")
Key = tuple[str | int, ...]


class CursorUnusable(Invalid):
    """The cursor was not made by us, or belongs to another list."""

    code = "list.cursor_unusable"


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of a list, and the cursor of the one after it when there is one."""

    rows: Sequence[Row]
    next_cursor: str | None = None


def cursor_for(key: Key) -> str:
    """An opaque cursor for the row with this sort key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def key_from(cursor: str, kinds: tuple[type, ...]) -> Key:
    """The sort key in a cursor, whose parts are of these kinds. Raises CursorUnusable for anything else."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        parts = None
    if not isinstance(parts, list) or [type(each) for each in parts] != list(kinds):
        raise CursorUnusable(
            "This list address is no longer usable. Open the list from its first page.",
            [Problem("cursor", "cursor_unusable", "Leave the cursor out to start at the first page.")],
        )
    return tuple(parts)


def page_of(rows: Sequence[Row], limit: int, key: Callable[[Row], Key]) -> Page[Row]:
    """A page made from up to `limit` + 1 rows: the extra row only tells that there is a next page."""
    if len(rows) <= limit:
        return Page(rows)
    return Page(rows[:limit], cursor_for(key(rows[limit - 1])))


def address(path: str, values: Mapping[str, str | None]) -> str:
    """`path` with the given query values, empty ones left out: filters live in the address."""
    query = urlencode([(name, value) for name, value in values.items() if value])
    return f"{path}?{query}" if query else path
