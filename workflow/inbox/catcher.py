"""The SMTP side: takes every message and promises nothing it has not written to disk."""

import asyncio
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from workflow.inbox.maildir import Maildir

LARGEST = 5 * 1024 * 1024


class Catcher:
    """aiosmtpd's handler. A mailbox that begins with `full` or `nobody` refuses, so that refusals can be tried out."""

    def __init__(self, mail: Maildir) -> None:
        self._mail = mail

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Takes the recipient, or refuses it as a mail server of life would."""
        mailbox = address.partition("@")[0].lower()
        if mailbox.startswith("nobody"):
            return "550 5.1.1 no such user here"
        if mailbox.startswith("full"):
            return "452 4.2.2 mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient taken"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Writes the message to disk, then says so."""
        content: Any = envelope.original_content or envelope.content
        await asyncio.to_thread(self._mail.store, content)
        return "250 2.0.0 kept in the development inbox"


def controller(mail: Maildir, host: str, port: int) -> Controller:
    """The server, not started yet. It speaks plain SMTP and is for loopback."""
    return Controller(Catcher(mail), hostname=host, port=port, data_size_limit=LARGEST)
