"""The way out: SMTP over kept connections, in two steps, so the caller can mark a message just before its bytes go."""

import asyncio
import os
import ssl
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from workflow.errors import Misconfigured
from workflow.mail.messages import Mailbox
from workflow.mail.outcomes import Accepted, Failure, TransportError
from workflow.mail.session import IDLE_SECONDS, Session
from workflow.settings import LOOPBACK, MailSettings

__all__ = ["Accepted", "Failure", "MailTransport", "TransportError"]

GOODBYE_SECONDS = 5.0

Result = TypeVar("Result")


@dataclass(frozen=True)
class Envelope:
    """Who is told when it cannot be delivered, to whom it goes, and what a notice about it calls it."""

    sender: str
    recipient: str
    envelope_id: str | None


class MailTransport:
    """One per process. Its event loop and connections start with the first message, so it may be made before a fork."""

    def __init__(self, settings: MailSettings, *, tls: ssl.SSLContext | None = None) -> None:
        """Opens nothing. `tls` replaces the machine's trusted authorities. Raises Misconfigured when mail would travel
        in clear to another machine."""
        if settings.smtp_tls == "none" and settings.smtp_host not in LOOPBACK:
            raise Misconfigured("Mail to another machine must use TLS. Set LICDESK_SMTP_TLS to starttls or implicit.")
        self._settings = settings
        self._tls = tls
        self._lock = threading.Lock()
        self._owner = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: list[Session] = []

    def send(
        self,
        sender: str,
        recipient: str,
        message: bytes,
        *,
        envelope_id: str | None = None,
        before_data: Callable[[], None] = lambda: None,
    ) -> Accepted:
        """Sends the stored bytes to one recipient and returns the server's acceptance. Raises TransportError.

        `sender` is where the message comes back to; a notice about it names `envelope_id`.

        `before_data` runs in the caller's thread, once the server has accepted sender and recipient and before it is
        given the message: what it raises ends the attempt, provably unsent. Raises UnsafeHeader for an address that no
        mail server would read as we do.
        """
        bare = message.replace(b"\r\n", b"")
        if b"\r" in bare or b"\n" in bare:  # two servers that read them differently could be made to see a second mail
            raise ValueError("a message must have CRLF line ends only")
        envelope = Envelope(Mailbox.parse(sender).address, Mailbox(recipient).address, envelope_id)
        session = self._run(self._open_envelope(envelope))
        try:
            before_data()
        except BaseException:
            self._run(self._abandon(session))
            raise
        return self._run(self._transfer(session, message))

    def close(self) -> None:
        """Says goodbye on all idle connections and ends the event loop."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None and self._owner == os.getpid():
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._quit(self._idle), loop).result(GOODBYE_SECONDS)
            loop.call_soon_threadsafe(loop.stop)

    # In the caller's thread.

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        waiting = asyncio.run_coroutine_threadsafe(work, self._running_loop())
        try:
            return waiting.result()
        except BaseException:
            # A task's time limit strikes here: the connection must not go on with a message nobody waits for.
            waiting.cancel()
            raise

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._owner != os.getpid():  # threads and sockets do not survive a fork
                self._owner = os.getpid()
                self._idle = []
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._serve, args=(self._loop,), name="mail-transport", daemon=True).start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        housekeeping = loop.create_task(self._retire_idle())
        loop.run_forever()
        housekeeping.cancel()
        loop.run_until_complete(asyncio.wait([housekeeping]))
        loop.close()

    # In the event loop's thread, and only there: the list of idle connections needs no lock.

    async def _open_envelope(self, envelope: Envelope) -> Session:
        while self._idle:
            session = self._idle.pop()
            if not session.reusable:
                await session.quit()
                continue
            try:
                return await self._named(session, envelope)
            except TransportError:
                if session.connected:
                    raise
                # The server hung up while the connection was idle: that says nothing about this message.
        return await self._named(await Session.open(self._settings, self._settings.mail_sender, self._tls), envelope)

    async def _named(self, session: Session, envelope: Envelope) -> Session:
        try:
            await session.name_envelope(envelope.sender, envelope.recipient, envelope.envelope_id)
        except TransportError:
            await self._abandon(session)
            raise
        return session

    async def _transfer(self, session: Session, message: bytes) -> Accepted:
        try:
            return await session.transfer(message)
        finally:
            await self._keep(session)

    async def _abandon(self, session: Session) -> None:
        if session.connected:
            with suppress(TransportError):
                await session.reset()
                await self._keep(session)

    async def _keep(self, session: Session) -> None:
        if session.reusable:
            self._idle.append(session)
        else:
            await session.quit()

    async def _retire_idle(self) -> None:
        while True:
            await asyncio.sleep(IDLE_SECONDS / 2)
            stale = [each for each in self._idle if not each.reusable]
            self._idle = [each for each in self._idle if each.reusable]
            await self._quit(stale)

    async def _quit(self, sessions: list[Session]) -> None:
        await asyncio.gather(*(each.quit() for each in sessions))
