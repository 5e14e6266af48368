"""A Maildir that gets a copy of every message that was sent."""

import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

LONGEST_HEADER = 1 << 18
CHUNK = 8_192
# The time stamps of a file server and of this machine differ; looking at a few more files costs nothing.
CLOCK_SLACK = timedelta(minutes=5)

_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")


def find(maildir: Path, message_id: str, since: datetime) -> bool:
    """Whether a message with this Message-ID arrived in the Maildir after `since`. Raises OSError when it cannot be read."""
    wanted = message_id.encode("ascii")
    return any(_is_message(path, wanted) for path in _arrived_since(maildir, since - CLOCK_SLACK))


def _arrived_since(maildir: Path, since: datetime) -> Iterator[str]:
    """Newest first in each folder: what is in doubt was sent a moment ago."""
    for folder in ("new", "cur"):
        with os.scandir(maildir / folder) as entries:
            recent = [
                (entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in entries if not entry.name.startswith(".")
            ]
        for changed, path in sorted(recent, reverse=True):
            if changed < since.timestamp():
                break
            yield path


def _is_message(path: str, wanted: bytes) -> bool:
    try:
        header = _header(path)
    except FileNotFoundError:
        # A mail program moved it from new to cur, which is searched next, or changed its flags there.
        renamed = _renamed(path)
        if renamed is None:
            return False
        header = _header(renamed)
    if wanted not in header:
        return False
    for line in _FOLD.sub(b" ", header).splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"message-id":
            return value.strip() == wanted
    return False


def _renamed(path: str) -> str | None:
    folder, name = os.path.split(path)
    unique = name.partition(":")[0]
    cur = os.path.join(os.path.dirname(folder), "cur")
    return next((os.path.join(cur, each) for each in os.listdir(cur) if each.partition(":")[0] == unique), None)


def _header(path: str) -> bytes:
    """The header fields only: a message may carry many megabytes after them."""
    held = b""
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            held += chunk
            end = _END_OF_HEADER.search(held)
            if end:
                return held[: end.start()]
            if len(held) >= LONGEST_HEADER:
                break
    return held
