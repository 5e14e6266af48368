"""Sending to real SMTP servers on loopback, friendly and not: what is certain after each way an attempt can end."""

import asyncio
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from pydantic import SecretStr

from tests.left_by_smtp import record
from tests.mail.conftest import ADMIN, OTHER_ADMIN, SENDER
from tests.mail.servers import server_certificate
from workflow.errors import Misconfigured
from workflow.mail.messages import UnsafeHeader
from workflow.mail.transport import Failure, MailTransport, TransportError
from workflow.settings import MailSettings

MESSAGE = b"From: licensing@serviceme.example\r\nSubject: x\r\n\r\nline\r\n.\r\n..two\r\nend\r\n"
Answer = str | Callable[[SMTP], str]


class Server:
    """An aiosmtpd handler whose answers a test chooses, and what it saw."""

    def __init__(self) -> None:
        self.at_mail: list[Answer] = []
        self.at_rcpt: dict[str, Answer] = {}
        self.at_data: list[Answer] = []
        self.delay = 0.0
        self.messages: list[bytes] = []
        self.peers: list[Any] = []
        self.names: list[str] = []
        self.offers: list[str] = []

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.at_mail:
            return _given(self.at_mail.pop(0), server)
        envelope.mail_from = address
        return "250 2.1.0 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self.at_rcpt:
            return _given(self.at_rcpt[address], server)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        record(envelope.original_content or b"")
        await asyncio.sleep(self.delay)
        answer = _given(self.at_data.pop(0), server) if self.at_data else "250 2.0.0 queued"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.messages.append(envelope.content)
            self.peers.append(session.peer)
        return answer

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.names.append(hostname)
        return [*responses[:-1], *(f"250-{each}" for each in self.offers), responses[-1]]


def _given(answer: Answer, server: SMTP) -> str:
    return answer if isinstance(answer, str) else answer(server)


def hang_up(server: SMTP) -> str:
    """Cuts the connection instead of answering."""
    assert isinstance(server.transport, asyncio.Transport)
    server.transport.abort()
    return "451 nobody hears this"


@contextmanager
def running(handler: Server, kind: type[Controller] = Controller, **options: Any) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    controller = kind(handler, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def settings(port: int, **changes: Any) -> MailSettings:
    given: dict[str, Any] = {"smtp_port": port, "smtp_tls": "none", "mail_sender": SENDER, "mail_timeout": 5}
    return MailSettings(**(given | changes))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def port(server: Server) -> Iterator[int]:
    with running(server) as port:
        yield port


@pytest.fixture
def transport(port: int) -> Iterator[MailTransport]:
    made = MailTransport(settings(port))
    yield made
    made.close()


def failure_of(transport: MailTransport, recipient: str = ADMIN, **more: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        transport.send(SENDER, recipient, MESSAGE, **more)
    return caught.value


def test_the_stored_bytes_arrive_unchanged(transport: MailTransport, server: Server) -> None:
    accepted = transport.send(SENDER, ADMIN, MESSAGE)
    assert (accepted.code, accepted.reply) == (250, "2.0.0 queued")
    assert server.messages == [MESSAGE]


class NoticeSmtp(SMTP):
    """A server that gives notice (RFC 3461) as it offers; aiosmtpd itself knows none of the parameters."""

    asked: ClassVar[list[str]] = []

    async def smtp_MAIL(self, arg: str | None) -> None:
        await super().smtp_MAIL(self._noted(arg))

    async def smtp_RCPT(self, arg: str | None) -> None:
        await super().smtp_RCPT(self._noted(arg))

    def _noted(self, arg: str | None) -> str:
        address, _, options = str(arg).partition(" ")
        self.asked.append(options)
        return address


class NoticeController(Controller):
    def factory(self) -> SMTP:
        return NoticeSmtp(self.handler, **self.SMTP_kwargs)


def test_a_notice_is_asked_for_where_the_server_offers_one(server: Server) -> None:
    server.offers = ["DSN"]
    NoticeSmtp.asked.clear()
    with running(server, NoticeController) as port:
        transport = MailTransport(settings(port))
        transport.send(SENDER, "plus+equals=at@harbourline.example", MESSAGE, envelope_id="abc.def")
        transport.close()
    assert NoticeSmtp.asked == [
        "RET=HDRS ENVID=abc.def",
        "NOTIFY=FAILURE,DELAY ORCPT=rfc822;plus+2Bequals+3Dat@harbourline.example",
    ]


def test_no_notice_is_asked_for_where_the_server_offers_none(server: Server) -> None:
    NoticeSmtp.asked.clear()
    with running(server, NoticeController) as port:
        transport = MailTransport(settings(port))
        transport.send(SENDER, ADMIN, MESSAGE, envelope_id="abc.def")
        transport.close()
    assert NoticeSmtp.asked == ["", ""]


def test_a_server_that_offers_notices_and_knows_none_gets_the_message_all_the_same(
    transport: MailTransport, server: Server
) -> None:
    server.offers = ["DSN"]
    for _ in range(2):
        assert transport.send(SENDER, ADMIN, MESSAGE, envelope_id="abc.def").code == 250
    assert (len(server.messages), len(server.names)) == (2, 1)


def test_messages_share_a_connection(transport: MailTransport, server: Server) -> None:
    for _ in range(5):
        transport.send(SENDER, ADMIN, MESSAGE)
    assert len(set(server.peers)) == 1


def test_a_connection_carries_at_most_a_hundred_messages(transport: MailTransport, server: Server) -> None:
    for _ in range(101):
        transport.send(SENDER, ADMIN, MESSAGE)
    assert len(set(server.peers)) == 2


def test_the_mark_is_made_after_rcpt_and_before_data_in_the_callers_thread(transport: MailTransport, server: Server) -> None:
    seen: list[tuple[int, int]] = []
    transport.send(SENDER, ADMIN, MESSAGE, before_data=lambda: seen.append((threading.get_ident(), len(server.messages))))
    assert seen == [(threading.get_ident(), 0)]
    assert len(server.messages) == 1


def test_a_mark_that_fails_sends_nothing_and_the_connection_goes_on(transport: MailTransport, server: Server) -> None:
    class LostLease(Exception):
        pass

    def fail() -> None:
        raise LostLease

    with pytest.raises(LostLease):
        transport.send(SENDER, ADMIN, MESSAGE, before_data=fail)
    assert server.messages == []
    transport.send(SENDER, ADMIN, MESSAGE)
    assert len(server.names) == 1


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("450 4.2.1 mailbox busy", Failure.TEMPORARY),
        ("451 4.7.1 greylisted", Failure.TEMPORARY),
        ("550 5.1.1 no such user", Failure.PERMANENT),
        ("554 5.7.1 policy", Failure.PERMANENT),
        ("552 5.2.2 mailbox full", Failure.MAILBOX_FULL),
        ("452 4.2.2 mailbox full", Failure.MAILBOX_FULL),
        ("530 5.7.0 authentication required", Failure.CONFIGURATION),
    ],
)
def test_a_refused_recipient_is_classified_and_never_marked(
    transport: MailTransport, server: Server, answer: str, failure: Failure
) -> None:
    server.at_rcpt[ADMIN] = answer
    marks: list[str] = []
    error = failure_of(transport, before_data=lambda: marks.append("marked"))
    assert (error.failure, error.code, error.reply) == (failure, int(answer[:3]), answer[4:])
    assert error.permanent is (failure is Failure.PERMANENT)
    assert not error.outcome_unknown
    assert marks == []


def test_one_refused_message_does_not_spoil_the_connection_for_the_next(transport: MailTransport, server: Server) -> None:
    server.at_rcpt[OTHER_ADMIN] = "550 5.1.1 no such user"
    transport.send(SENDER, ADMIN, MESSAGE)
    assert failure_of(transport, OTHER_ADMIN).permanent
    server.at_data = ["554 5.7.1 content refused"]
    assert failure_of(transport).permanent
    transport.send(SENDER, ADMIN, MESSAGE)
    assert len(server.messages) == 2
    assert len(set(server.peers)) == 1
    assert len(server.names) == 1


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("451 4.3.0 later", Failure.TEMPORARY),
        ("554 5.7.1 refused", Failure.PERMANENT),
        ("552 5.2.2 full", Failure.MAILBOX_FULL),
    ],
)
def test_an_answer_after_the_message_is_certain(
    transport: MailTransport, server: Server, answer: str, failure: Failure
) -> None:
    server.at_data = [answer]
    assert failure_of(transport).failure is failure


def test_a_connection_cut_after_the_message_leaves_the_outcome_unknown(transport: MailTransport, server: Server) -> None:
    server.at_data = [hang_up]
    error = failure_of(transport)
    assert error.outcome_unknown
    assert not error.permanent
    transport.send(SENDER, ADMIN, MESSAGE)
    assert len(server.names) == 2  # the cut connection is not used again


def test_silence_after_the_message_leaves_the_outcome_unknown(port: int, server: Server) -> None:
    transport = MailTransport(settings(port, mail_timeout=1))
    server.delay = 1.6
    started = time.monotonic()
    assert failure_of(transport).outcome_unknown
    assert time.monotonic() - started < 1.5
    server.delay = 0
    transport.send(SENDER, ADMIN, MESSAGE)
    assert len(server.names) == 2  # the late answer must not be taken for the one to the next message
    transport.close()


def test_a_connection_cut_at_rcpt_is_certainly_not_sent(transport: MailTransport, server: Server) -> None:
    server.at_rcpt[ADMIN] = hang_up
    marks: list[str] = []
    error = failure_of(transport, before_data=lambda: marks.append("marked"))
    assert error.failure is Failure.TEMPORARY
    assert error.code == 0
    assert marks == []


@pytest.mark.parametrize("answer", [hang_up, "421 4.4.2 idle for too long"])
def test_a_server_that_ends_an_idle_connection_is_called_again(
    transport: MailTransport, server: Server, answer: Answer
) -> None:
    transport.send(SENDER, ADMIN, MESSAGE)
    server.at_mail = [answer]
    transport.send(SENDER, ADMIN, MESSAGE)
    assert len(server.messages) == 2
    assert len(server.names) == 2


def test_a_server_that_is_away_is_a_temporary_failure() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        transport = MailTransport(settings(reserved.getsockname()[1]))
        assert failure_of(transport).failure is Failure.TEMPORARY
        transport.close()


@contextmanager
def scripted(*lines: bytes) -> Iterator[int]:
    """A server that says these lines, one after each line it hears, and then hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                talking, _ = listening.accept()
            except OSError:
                return
            with talking, talking.makefile("rb") as heard:
                for line in lines:
                    talking.sendall(line)
                    if not heard.readline():
                        break

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()


EHLO = b"250 hello\r\n"


@pytest.mark.parametrize(
    ("lines", "failure"),
    [
        ((b"554 5.3.2 no service here\r\n",), Failure.CONFIGURATION),
        ((b"421 4.3.2 too busy\r\n",), Failure.TEMPORARY),
        ((b"gibberish\r\n",), Failure.TEMPORARY),
        ((b"220 x\r\n", EHLO, b"421 4.3.2 going down\r\n"), Failure.TEMPORARY),
        ((b"220 x\r\n", EHLO, b"550 5.7.1 sender refused\r\n"), Failure.PERMANENT),
        ((b"220 x\r\n", EHLO, b"250 ok\r\n", b"250 ok\r\n", b"451 4.3.0 not now\r\n"), Failure.TEMPORARY),
        ((b"220 x\r\n", EHLO, b"250 ok\r\n", b"250 ok\r\n", b"554 5.5.1 no\r\n"), Failure.PERMANENT),
        # Hangs up at DATA, before it was given a byte of the message: certain.
        ((b"220 x\r\n", EHLO, b"250 ok\r\n", b"250 ok\r\n"), Failure.TEMPORARY),
        # Hangs up, or talks nonsense, once it has the message: nobody knows.
        ((b"220 x\r\n", EHLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"), Failure.OUTCOME_UNKNOWN),
        ((b"220 x\r\n", EHLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"what\r\n"), Failure.OUTCOME_UNKNOWN),
        ((b"220 x\r\n", EHLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"421 4.3.2 down\r\n"), Failure.TEMPORARY),
    ],
)
def test_whatever_a_server_says_the_failure_tells_what_is_certain(lines: tuple[bytes, ...], failure: Failure) -> None:
    with scripted(*lines) as port:
        transport = MailTransport(settings(port, mail_timeout=2))
        assert failure_of(transport).failure is failure
        transport.close()


def test_mail_in_clear_to_another_machine_is_refused_at_start() -> None:
    with pytest.raises(Misconfigured, match="must use TLS"):
        MailTransport(settings(25, smtp_host="mail.example.com"))


def test_starttls_is_demanded_and_never_skipped(port: int, server: Server) -> None:
    """The server offers none: the message must not go out in clear."""
    transport = MailTransport(settings(port, smtp_tls="starttls"))
    assert failure_of(transport).failure is Failure.CONFIGURATION
    assert server.messages == []
    transport.close()


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_both_ways_of_tls_carry_mail(mode: str, server: Server, tmp_path: Path) -> None:
    with tls_server(mode, server, tmp_path) as (port, trusted):
        transport = MailTransport(settings(port, smtp_host="localhost", smtp_tls=mode), tls=trusted)
        transport.send(SENDER, ADMIN, MESSAGE)
        transport.close()
    assert server.messages == [MESSAGE]


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_server_with_an_unknown_certificate_gets_nothing(mode: str, server: Server, tmp_path: Path) -> None:
    with tls_server(mode, server, tmp_path) as (port, _):
        transport = MailTransport(settings(port, smtp_host="localhost", smtp_tls=mode))
        assert failure_of(transport).failure is Failure.CONFIGURATION
        transport.close()
    assert server.messages == []


@contextmanager
def tls_server(mode: str, handler: Server, directory: Path) -> Iterator[tuple[int, ssl.SSLContext]]:
    certificate, key = server_certificate(directory)
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(certificate, key)
    options = {"ssl_context": own} if mode == "implicit" else {"tls_context": own, "require_starttls": True}
    with running(handler, **options) as port:
        yield port, ssl.create_default_context(cafile=str(certificate))


def test_a_wrong_password_is_a_matter_of_settings(server: Server, tmp_path: Path) -> None:
    def refuse(*_: Any) -> AuthResult:
        return AuthResult(success=False, handled=False)

    certificate, key = server_certificate(tmp_path)
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(certificate, key)
    with running(server, tls_context=own, require_starttls=True, authenticator=refuse, auth_required=True) as port:
        chosen = settings(
            port, smtp_host="localhost", smtp_tls="starttls", smtp_username="desk", smtp_password=SecretStr("wrong one")
        )
        transport = MailTransport(chosen, tls=ssl.create_default_context(cafile=str(certificate)))
        error = failure_of(transport)
        assert (error.failure, error.code) == (Failure.CONFIGURATION, 535)
        assert "wrong one" not in repr(error)
        transport.close()


@pytest.mark.parametrize(
    "message", [b"a: b\n\nx", b"a: b\r\n\r\nx\n.\nMAIL FROM:<evil@x.example>\r\n", b"a: b\r\n\r\nx\r.\r\n"]
)
def test_bare_line_ends_are_never_sent(transport: MailTransport, server: Server, message: bytes) -> None:
    with pytest.raises(ValueError, match="CRLF"):
        transport.send(SENDER, ADMIN, message)
    assert server.names == []


@pytest.mark.parametrize("recipient", ["wei@x.example>\r\nRCPT TO:<all@x.example", "a, b@x.example", "wei@x.example SIZE=0"])
def test_an_address_cannot_carry_a_command(transport: MailTransport, server: Server, recipient: str) -> None:
    with pytest.raises(UnsafeHeader):
        transport.send(SENDER, recipient, MESSAGE)
    assert server.names == []


def test_threads_send_at_the_same_time(transport: MailTransport, server: Server) -> None:
    threads = [threading.Thread(target=transport.send, args=(SENDER, ADMIN, MESSAGE)) for _ in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert len(server.messages) == 12


def test_a_transport_made_before_a_fork_works_in_the_child(transport: MailTransport, server: Server) -> None:
    transport.send(SENDER, ADMIN, MESSAGE)  # the parent has a connection and a thread that the child must not use
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        try:
            transport.send(SENDER, ADMIN, MESSAGE)
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    transport.send(SENDER, ADMIN, MESSAGE)
    assert len(server.messages) == 3
    assert len(set(server.peers)) == 2


def test_closing_says_goodbye_and_sending_opens_anew(transport: MailTransport, server: Server) -> None:
    transport.send(SENDER, ADMIN, MESSAGE)
    transport.close()
    transport.send(SENDER, ADMIN, MESSAGE)
    assert len(server.messages) == 2
