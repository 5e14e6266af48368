"""Mailboxes that bounces arrive in: a Maildir, or one on an IMAP server. Each message is handed on until it is taken in."""

import imaplib
import os
import ssl
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from workflow.domain.bounces import Outcome
from workflow.mail.archives import imap
from workflow.mail.archives.errors import ArchiveAway, ArchiveUnusable
from workflow.mail.bounces import LARGEST

MOST_AT_ONCE = 200
"""messages of one look; a storm waits in its mailbox"""

TakeIn = Callable[[bytes], Outcome]


def look_into_maildir(maildir: Path, take_in: TakeIn) -> int:
    """Hands on what is new, oldest first, and moves it to `cur` as seen. Returns how many it took. Raises ArchiveAway."""
    taken = 0
    try:
        with os.scandir(maildir / "new") as entries:
            waiting = sorted((entry.stat(follow_symlinks=False).st_mtime, entry.name) for entry in entries if entry.is_file())
        for _, name in waiting[:MOST_AT_ONCE]:
            path = maildir / "new" / name
            with path.open("rb") as file:
                raw = file.read(LARGEST)
            if take_in(raw) is not Outcome.LATER:
                path.rename(maildir / "cur" / f"{name.partition(':')[0]}:2,S")
                taken += 1
    except OSError as error:
        raise ArchiveAway(f"The mailbox for bounces {maildir} can't be read: {error.strerror or error}.") from error
    return taken


def look_into_imap(url: str, password: SecretStr | None, take_in: TakeIn) -> int:
    """Hands on what nobody has seen and marks it as seen. Returns how many it took. Raises ArchiveAway, ArchiveUnusable."""
    at = imap.address_of(url, "LICDESK_BOUNCE_SOURCE")
    if password is None:
        raise ArchiveUnusable("Set LICDESK_BOUNCE_PASSWORD_FILE: the mailbox for bounces asks for a password.")
    taken = 0
    try:
        with imap.connected(at) as server:
            server.login(at.user, password.get_secret_value())
            imap.ok(server.select(imap.quoted(at.mailbox)))
            waiting = imap.ok(server.uid("SEARCH", "UNSEEN"))[0].split()
            for uid in waiting[:MOST_AT_ONCE]:
                number = uid.decode("ascii")
                raw = next(
                    (part[1] for part in imap.ok(server.uid("FETCH", number, f"(BODY.PEEK[]<0.{LARGEST}>)")) if part), b""
                )
                if take_in(raw) is not Outcome.LATER:
                    imap.ok(server.uid("STORE", number, "+FLAGS", r"(\Seen)"))
                    taken += 1
    except (imaplib.IMAP4.error, ssl.SSLError, OSError) as error:
        raise ArchiveAway(f"The mailbox for bounces on {at.host} can't be read: {imap.words(error)}.") from error
    return taken
