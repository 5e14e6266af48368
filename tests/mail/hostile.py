"""A mail server as bad as they come: it treats each mailbox in a way of its own, and each connection, too."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.left_by_smtp import record


class Mailbox(StrEnum):
    """What becomes of mail to the mailbox of this name. What it says of the first time holds for the first attempt alone."""

    GOOD = "good"
    SLOW = "slow"
    """answers everything, in its own time"""
    GREYLISTS = "greylists"
    """451 to the first RCPT"""
    BUSY = "busy"
    """451 to the first message, which it has read"""
    GOES_DOWN = "goes-down"
    """421 to the first RCPT, and hangs up"""
    FULL = "full"
    """552 5.2.2 to every RCPT"""
    REFUSES = "refuses"
    """550 to RCPT"""
    REFUSES_CONTENT = "refuses-content"
    """554 to the message"""
    TAKES_AND_CUTS = "takes-and-cuts"
    """stores the first message and cuts the connection instead of answering"""
    CUTS = "cuts"
    """reads the first message, forgets it and cuts the connection"""
    CUTS_INSIDE = "cuts-inside"
    """cuts the connection, TLS and all, in the middle of the first message"""
    TAKES_IN_SILENCE = "takes-in-silence"
    """stores the first message and never answers"""
    TAKES_AND_BABBLES = "takes-and-babbles"
    """stores the first message and answers what is no answer"""


class Meeting(StrEnum):
    """How a connection begins."""

    GOOD = "good"
    SILENT = "silent"
    """takes the connection and hangs up without a word"""
    BABBLES = "babbles"
    """greets in another protocol"""
    HIDES_TLS = "hides-tls"
    """does not offer STARTTLS"""
    REFUSES_TLS = "refuses-tls"
    """offers STARTTLS and refuses it"""
    CUTS_TLS = "cuts-tls"
    """agrees to STARTTLS and hangs up in the middle of it"""
    LIES = "lies"
    """offers all that there is, and knows none of the parameters"""


@dataclass
class HostileServer:
    """What it was given, and what it took. `archive` is a Maildir with what it stored."""

    archive: Path
    tls: ssl.SSLContext
    meetings: list[Meeting] = field(default_factory=list)
    """how the next connections begin; GOOD when it is empty"""
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    """recipient and message, of each that was stored"""
    in_clear: list[bytes] = field(default_factory=list)
    """everything that a client said before TLS, but for EHLO, STARTTLS and QUIT"""
    port: int = 0
    _tried: dict[str, int] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, whatever it ends with."""
        meeting = self.meetings.pop(0) if self.meetings else Meeting.GOOD
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await _Talk(self, meeting, reader, writer).run()
        writer.close()

    def is_first(self, recipient: str) -> bool:
        """Whether nothing was tried with this mailbox before."""
        self._tried[recipient] = self._tried.get(recipient, 0) + 1
        return self._tried[recipient] == 1

    def store(self, recipient: str, message: bytes) -> None:
        """Keeps a message where arrived mail is looked up."""
        (self.archive / "new" / f"{len(self.taken)}.hostile").write_bytes(message)
        self.taken.append((recipient, message))


class _Cut(ConnectionError):
    """The server has had enough."""


class _Talk:
    """One connection's state."""

    def __init__(
        self, server: HostileServer, meeting: Meeting, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server, self.meeting, self.reader, self.writer = server, meeting, reader, writer
        self.encrypted = False
        self.recipient = ""
        self.first = False

    async def run(self) -> None:
        if self.meeting is Meeting.SILENT:
            return
        await self.say("SSH-2.0-OpenSSH_9.2" if self.meeting is Meeting.BABBLES else "220 hostile.example")
        while line := await self.reader.readline():
            verb, words = line[:4].upper(), line.decode("ascii", "replace").strip()
            if not self.encrypted and verb not in (b"EHLO", b"STAR", b"QUIT"):
                self.server.in_clear.append(line)
            match verb:
                case b"EHLO":
                    await self.say(*self.offers())
                case b"STAR":
                    await self.start_tls()
                case b"MAIL" if self.meeting is Meeting.LIES and "=" in words:
                    await self.say("555 5.5.4 unsupported parameter")
                case b"RCPT":
                    await self.name(words)
                case b"DATA":
                    await self.say("354 go on")
                    await self.take()
                case b"QUIT":
                    await self.say("221 bye")
                    return
                case _:
                    await self.say("250 OK")

    def offers(self) -> tuple[str, ...]:
        tls = () if self.encrypted or self.meeting is Meeting.HIDES_TLS else ("250-STARTTLS",)
        lies = ("250-DSN", "250-SIZE 1", "250-CHUNKING", "250-SMTPUTF8") if self.meeting is Meeting.LIES else ()
        return ("250-hostile.example", *tls, *lies, "250 8BITMIME")

    async def start_tls(self) -> None:
        if self.meeting is Meeting.REFUSES_TLS:
            return await self.say("454 4.7.0 TLS is not available")
        await self.say("220 go ahead")
        if self.meeting is Meeting.CUTS_TLS:
            await self.reader.read(100)
            raise _Cut
        await self.writer.start_tls(self.server.tls)
        self.encrypted = True
        return None

    async def name(self, words: str) -> None:
        """RCPT: the mailbox says how its mail is treated."""
        self.recipient = words.partition("<")[2].partition(">")[0]
        if self.meeting is Meeting.LIES and " NOTIFY=" in words:
            return await self.say("555 5.5.4 unsupported parameter")
        self.first = self.server.is_first(self.recipient)
        match self.mailbox:
            case Mailbox.GREYLISTS if self.first:
                return await self.say("451 4.7.1 greylisted, come back")
            case Mailbox.GOES_DOWN if self.first:
                await self.say("421 4.3.2 going down")
                raise _Cut
            case Mailbox.FULL:
                return await self.say("552 5.2.2 mailbox full")
            case Mailbox.REFUSES:
                return await self.say("550 5.1.1 no such user")
            case Mailbox.SLOW:
                await asyncio.sleep(0.3)
        return await self.say("250 OK")

    async def take(self) -> None:
        """The message, and what is said to it."""
        if self.mailbox is Mailbox.CUTS_INSIDE and self.first:
            await self.reader.readline()
            self.writer.transport.abort()
            raise _Cut
        message = (await self.reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
        record(message)
        match self.mailbox:
            case Mailbox.REFUSES_CONTENT:
                return await self.say("554 5.7.1 we do not like it")
            case Mailbox.BUSY if self.first:
                return await self.say("451 4.3.0 try later")
            case Mailbox.CUTS if self.first:
                raise _Cut
            case Mailbox.TAKES_AND_CUTS | Mailbox.TAKES_IN_SILENCE | Mailbox.TAKES_AND_BABBLES if self.first:
                self.server.store(self.recipient, message)
                if self.mailbox is Mailbox.TAKES_IN_SILENCE:
                    await self.reader.read()  # until the client gives up
                elif self.mailbox is Mailbox.TAKES_AND_BABBLES:
                    return await self.say("* OK IMAP4rev1")
                raise _Cut
            case Mailbox.SLOW:
                await asyncio.sleep(0.3)
        self.server.store(self.recipient, message)
        return await self.say("250 2.0.0 queued")

    @property
    def mailbox(self) -> str:
        return self.recipient.partition("@")[0]

    async def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode("ascii"))
        await self.writer.drain()


@contextmanager
def hostile_server(archive: Path, certificate: Path, key: Path) -> Iterator[HostileServer]:
    """A running one, on loopback, with STARTTLS under this certificate."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    made = HostileServer(archive, tls)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def done(work: "Coroutine[None, None, asyncio.Server]") -> asyncio.Server:
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    listening = done(asyncio.start_server(made.serve, "127.0.0.1", 0, limit=1 << 22))
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
