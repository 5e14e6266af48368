"""An IMAP mailbox that gets a copy of every message that was sent (RFC 9051)."""

import imaplib
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.parser import BytesHeaderParser
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from workflow.mail.archives.errors import ArchiveAway, ArchiveUnusable
from workflow.settings import LOOPBACK

SECONDS = 30.0
# SINCE looks at the day alone, in the server's time zone.
DAY_SLACK = timedelta(days=1)
_PORTS = {"imap": 143, "imaps": 993}


@dataclass(frozen=True)
class Address:
    """Where the mailbox is. Only one on this machine is spoken to in clear."""

    host: str
    port: int
    user: str
    mailbox: str
    in_clear: bool


def address_of(url: str, setting: str = "LICDESK_MAIL_ARCHIVE") -> Address:
    """Reads `imaps://USER@HOST[:PORT]/MAILBOX`, the value of a setting. Raises ArchiveUnusable."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        host, port = None, 0
    if not host or not parts.username or parts.password:
        raise ArchiveUnusable(
            f"{setting} is {url!r}. Write imaps://USER@HOST/MAILBOX, with %40 for an @ in the name; the password belongs into "
            "a file that the setting for it names."
        )
    in_clear = parts.scheme == "imap"
    if in_clear and host not in LOOPBACK:
        raise ArchiveUnusable(f"{setting} would send a password in clear to {host}. Write imaps:// instead.")
    return Address(host, port, unquote(parts.username), unquote(parts.path.strip("/")) or "INBOX", in_clear)


def find(url: str, password: SecretStr | None, message_id: str, since: datetime) -> bool:
    """Whether a message with this Message-ID is in the mailbox, and came after `since`. Changes nothing there.

    Raises ArchiveAway when the server cannot be reached or does not do as it is asked, ArchiveUnusable without a password.
    """
    at = address_of(url)
    if password is None:
        raise ArchiveUnusable("Set LICDESK_MAIL_ARCHIVE_PASSWORD_FILE: the mail archive asks for a password.")
    try:
        with connected(at) as server:
            server.login(at.user, password.get_secret_value())
            ok(server.select(quoted(at.mailbox), readonly=True))
            day = imaplib.Time2Internaldate(since - DAY_SLACK)[1:12].strip()
            # The server compares parts of words; which message it really is, its own header says.
            found = ok(server.search(None, "SINCE", day, "HEADER", "Message-ID", quoted(message_id)))
            return any(_is_message(server, number, message_id) for number in found[0].split())
    except (imaplib.IMAP4.error, ssl.SSLError, OSError) as error:
        raise ArchiveAway(f"The mail archive on {at.host} can't be read: {words(error)}.") from error


def connected(at: Address) -> imaplib.IMAP4:
    """A connection that is not signed in yet."""
    if at.in_clear:
        return imaplib.IMAP4(at.host, at.port, timeout=SECONDS)
    return imaplib.IMAP4_SSL(at.host, at.port, ssl_context=ssl.create_default_context(), timeout=SECONDS)


def _is_message(server: imaplib.IMAP4, number: bytes, message_id: str) -> bool:
    for part in ok(server.fetch(number.decode("ascii"), "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")):
        if isinstance(part, tuple) and BytesHeaderParser().parsebytes(part[1]).get("Message-ID", "").strip() == message_id:
            return True
    return False


def ok(answer: tuple[str, list[Any]]) -> list[Any]:
    """What the server sent with its OK. Anything else leaves the doubt."""
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error(f"the server answers {status}")
    return data


def words(error: Exception) -> str:
    """What the server said; imaplib passes its bytes on."""
    said = error.args[0] if error.args else ""
    return (said.decode("utf-8", "replace") if isinstance(said, bytes) else str(error)).rstrip(".")


def quoted(value: str) -> str:
    """A value as a quoted string."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
