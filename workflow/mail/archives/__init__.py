"""Settles doubt: whether a message whose outcome is unknown did arrive, by its Message-ID in a mailbox of all that was sent (a
Maildir, or one on an IMAP server) or in the log of a Postfix server.
"""

from datetime import datetime
from pathlib import Path

from pydantic import SecretStr

from workflow.mail.archives import imap, maildir, postfix
from workflow.mail.archives.errors import ArchiveAway, ArchiveUnusable

__all__ = ["ArchiveAway", "ArchiveUnusable", "check_archive", "find_in_archive"]

_BY_PATH = {"maildir": maildir.find, "postfix": postfix.find}


def check_archive(url: str) -> None:
    """Raises ArchiveUnusable unless the setting names an archive that can be searched."""
    scheme, _, rest = url.partition(":")
    if scheme in ("imap", "imaps"):
        imap.address_of(url)
    elif scheme not in _BY_PATH or not rest:
        raise ArchiveUnusable(
            f"LICDESK_MAIL_ARCHIVE is {url!r}. Write maildir: and the path of a Maildir, postfix: and the path of the mail "
            "server's log, or imaps://USER@HOST/MAILBOX."
        )


def find_in_archive(url: str, message_id: str, since: datetime, password: SecretStr | None = None) -> bool:
    """Whether a message with this Message-ID arrived after `since`, by the archive `maildir:PATH`, `postfix:PATH` (its log) or
    `imaps://USER@HOST[:PORT]/MAILBOX`.

    False is a promise that it did not arrive, on which a message is sent again: so an archive that cannot be read raises
    ArchiveAway, never False. Raises ArchiveUnusable for a setting that names none.
    """
    check_archive(url)
    scheme, _, rest = url.partition(":")
    try:
        if scheme in _BY_PATH:
            return _BY_PATH[scheme](Path(rest), message_id, since)
        return imap.find(url, password, message_id, since)
    except OSError as error:
        raise ArchiveAway(f"The mail archive {url} can't be read: {error.strerror or error}.") from error
