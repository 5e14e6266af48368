"""A port that bounces are delivered to, by LMTP (RFC 2033) or SMTP. It promises nothing that is not in the database."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from workflow.domain.bounces import Outcome

LARGEST = 1024 * 1024
"""octets of a message that are taken: a report that returns the whole letter is a tenth of it"""
SECONDS = 60.0

TakeIn = Callable[[bytes, Sequence[str]], Outcome]
"""Takes in one message with the addresses it came to; called in a thread. What it raises is answered with "later"."""


class Door:
    """aiosmtpd's handler: mail for this desk's own return paths, one recipient at a time."""

    def __init__(self, is_ours: Callable[[str], bool], take_in: TakeIn) -> None:
        self._is_ours = is_ours
        self._take_in = take_in

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """An address whose mark this desk did not make is nobody's: a forged report is not even read."""
        if not self._is_ours(address):
            return "550 5.1.1 no such mailbox here"
        if envelope.rcpt_tos:
            return "452 4.5.3 one recipient at a time"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient taken"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Answers once it is written down; a message that makes no sense is taken as well, so that nobody sends it again."""
        content: Any = envelope.original_content or envelope.content
        outcome = await asyncio.to_thread(self._take_in, content, envelope.rcpt_tos)
        return "451 4.3.0 not now, try again later" if outcome is Outcome.LATER else "250 2.0.0 taken"


class BouncePort(Controller):
    """The server, not started yet. It never sends mail, and never answers a message with one."""

    def __init__(self, door: Door, host: str, port: int, *, lmtp: bool) -> None:
        self._kind = LMTP if lmtp else SMTP
        super().__init__(door, hostname=host, port=port, data_size_limit=LARGEST)

    def factory(self) -> SMTP:
        """One connection's protocol."""
        return self._kind(self.handler, timeout=SECONDS, **self.SMTP_kwargs)
