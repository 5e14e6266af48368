"""Settles doubt: whether a message whose outcome is unknown did arrive, by its Message-ID in a mailbox of all that was sent."""

import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from workflow.errors import Misconfigured, Unavailable

SCHEME = "maildir:"
LONGEST_HEADER = 1 << 18
CHUNK = 8_192
# The time stamps of a file server and of this machine differ; looking at a few more files costs nothing.
CLOCK_SLACK = timedelta(minutes=5)

_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")


class ArchiveUnusable(Misconfigured):
    """The setting names no archive that can be searched."""

    code = "mail.archive"


class ArchiveAway(Unavailable):
    """The archive cannot be read now, so the doubt stays."""

    code = "mail.archive_away"


def find_in_archive(url: str, message_id: str, since: datetime) -> bool:
    """Whether a message with this Message-ID arrived in the archive (`maildir:PATH`) after `since`.

    False is a promise that it did not arrive, on which a message is sent again: so an archive that cannot be read raises
    ArchiveAway, never False. Raises ArchiveUnusable for a setting that names none.
    """
    if not url.startswith(SCHEME):
        raise ArchiveUnusable(f"LICDESK_MAIL_ARCHIVE is {url!r}. Write maildir: and the path of a Maildir.")
    wanted = message_id.encode("ascii")
    try:
        return any(_is_message(path, wanted) for path in _arrived_since(Path(url[len(SCHEME) :]), since - CLOCK_SLACK))
    except OSError as error:
        raise ArchiveAway(f"The mail archive {url} can't be read: {error.strerror}.") from error


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
