"""Looks a message up where mail arrives, to settle whether one in doubt was accepted."""

from datetime import datetime
from email.parser import BytesHeaderParser
from email.policy import compat32
from pathlib import Path

from workflow.errors import Misconfigured

_HEADER_LIMIT = 65_536


class ArchiveUnusable(Misconfigured):
    """LICDESK_MAIL_ARCHIVE names something this desk cannot look into."""

    code = "mail.archive"


def find_in_archive(url: str, message_id: str, since: datetime) -> bool:
    """Whether a message with this Message-ID has arrived at or after `since`. `url` is `maildir:PATH`.

    Reads the header of those files only that were written since. Raises ArchiveUnusable for any other URL.
    """
    scheme, _, path = url.partition(":")
    if scheme != "maildir" or not path:
        raise ArchiveUnusable(f"LICDESK_MAIL_ARCHIVE is {url!r}. Write maildir: and the path of a Maildir.")
    wanted = message_id.strip()
    parser = BytesHeaderParser(policy=compat32)
    for folder in ("new", "cur"):
        for file in _files(Path(path) / folder):
            try:
                if file.stat().st_mtime < since.timestamp():
                    continue
                with file.open("rb") as stored:
                    head = stored.read(_HEADER_LIMIT)
            except FileNotFoundError:  # moved from new to cur while we looked: it is met again there
                continue
            found = parser.parsebytes(head).get("Message-ID", "")
            if "".join(str(found).split()) == wanted:
                return True
    return False


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
