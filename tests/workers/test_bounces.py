"""The bounce reader at work: a port and mailboxes, real mail servers in front of it, and everything that strangers may send."""

import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest
from aiosmtpd.controller import Controller
from pydantic import SecretStr
from sqlmodel import select

from tests.conftest import missing
from tests.mail.peers import SYSTEM, Dovecot, running_dovecot, running_postfix
from tests.mail.reports import GARBAGE, absence, report
from tests.servers import NotHere, SmtpCatcher, wait_until
from tests.workers.company import WITH_CERTIFICATE, WITHOUT_CERTIFICATE, Company
from workers.bounces import BounceReader, BounceSourceUnusable
from workflow.cli.broker import free_port
from workflow.database import transaction
from workflow.db.queries import ledger
from workflow.db.tables import BounceRow, Delivery, Heartbeat
from workflow.domain.bounces import Outcome, Tags
from workflow.domain.events import Job
from workflow.mail.transport import MailTransport
from workflow.settings import BounceSettings

ADDRESS = "bounce@desk.example"


class Desk:
    """A company whose mail is marked, and the reader of what comes back."""

    def __init__(self, company: Company, directory: Path, source: str, **settings: object) -> None:
        self.company = company
        self.reader = BounceReader(
            BounceSettings(
                database_url=company.here.settings.database_url,
                bounce_address=ADDRESS,
                bounce_key=directory / "bounce.key",
                bounce_source=source,
                **settings,  # type: ignore[arg-type]
            )
        )
        object.__setattr__(company.here, "tags", self.reader.tags)

    @property
    def tags(self) -> Tags:
        return self.reader.tags

    def deliver(self, **changes: object) -> str:
        """A license that the mail server has taken."""
        number = self.company.apply(**changes)
        self.company.approve(number)
        self.company.run(Job.SIGN)
        self.company.run(Job.DELIVER)
        return number

    def message(self, address: str = WITH_CERTIFICATE) -> Delivery:
        with transaction(self.company.engine) as session:
            wanted = (Delivery.kind == "license_delivery", Delivery.address == address)
            return session.exec(select(Delivery).where(*wanted)).one()

    def kept(self) -> list[BounceRow]:
        message = self.message()
        with transaction(self.company.engine) as session:
            return ledger.bounces_of(session, [message.id])[message.id]

    def told(self) -> list[str]:
        return [row.detail for row in self.company.jobs(Job.LETTER) if row.detail == "needs_attention"]


@pytest.fixture
def listening(company: Company, tmp_path: Path) -> Iterator[Desk]:
    with listening_by("lmtp", company, tmp_path) as desk:
        yield desk


@contextmanager
def listening_by(protocol: str, company: Company, directory: Path) -> Iterator[Desk]:
    desk = Desk(company, directory, f"{protocol}:127.0.0.1:{free_port()}")
    assert desk.reader.port is not None
    desk.reader.port.start()
    try:
        yield desk
    finally:
        desk.reader.port.stop()
        desk.reader.close()


def hand_in(desk: Desk, raw: bytes, to: str, sender: str = "") -> None:
    """As the mail server in front does."""
    assert desk.reader.port is not None
    kind = smtplib.LMTP if desk.reader.settings.bounce_source.startswith("lmtp") else smtplib.SMTP
    with kind("127.0.0.1", desk.reader.port.port, timeout=30) as server:
        server.sendmail(sender, [to], raw)


# The port


def test_the_message_names_an_address_of_its_own_to_come_back_to(listening: Desk, smtp: SmtpCatcher) -> None:
    listening.deliver(recipients=[WITH_CERTIFICATE, WITHOUT_CERTIFICATE])
    ways_back = {envelope.rcpt_tos[0]: str(envelope.mail_from) for envelope in smtp.envelopes}
    for address in (WITH_CERTIFICATE, WITHOUT_CERTIFICATE):
        assert listening.tags.job_at(ways_back[address]) == listening.message(address).job
    assert all(message["From"].addresses[0].addr_spec == "licensing@serviceme.example" for message in smtp.messages)


def test_without_an_address_for_bounces_mail_comes_back_to_the_sender(company: Company, smtp: SmtpCatcher) -> None:
    company.approve(company.apply())
    company.run(Job.SIGN)
    company.run(Job.DELIVER)
    assert [envelope.mail_from for envelope in smtp.envelopes] == ["licensing@serviceme.example"]


@pytest.mark.parametrize("protocol", ["lmtp", "smtp"])
def test_a_bounce_that_is_handed_in_is_told_and_the_status_stays(company: Company, tmp_path: Path, protocol: str) -> None:
    with listening_by(protocol, company, tmp_path) as desk:
        number = desk.deliver()
        way_back = desk.tags.return_path(desk.message().job)
        raw = report(to=way_back)
        hand_in(desk, raw, way_back)
        assert (desk.message().state, company.application(number).status) == ("bounced", "delivered")
        assert len(desk.told()) == 2  # the liaison and the operator
        hand_in(desk, raw, way_back)
        assert (len(desk.told()), len(desk.kept())) == (2, 1)


def test_a_letter_that_came_back_is_seen_in_its_state(listening: Desk) -> None:
    listening.deliver()
    listening.company.run(Job.LETTER)
    with transaction(listening.company.engine) as session:
        letter = session.exec(select(Delivery).where(Delivery.kind == "delivered")).one()
    hand_in(listening, report(), listening.tags.return_path(letter.job))
    with transaction(listening.company.engine) as session:
        again = session.get(Delivery, letter.id)
    assert again is not None
    assert again.state == "bounced"
    assert listening.told() == []


def test_an_address_with_a_forged_mark_is_nobodys(listening: Desk) -> None:
    listening.deliver()
    way_back = listening.tags.return_path(listening.message().job)
    forged = Tags(ADDRESS, bytes(32)).return_path(listening.message().job)
    for address in (forged, way_back.replace("desk.example", "other.example"), "licensing@desk.example"):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            hand_in(listening, report(), address)
        assert refused.value.recipients[address][0] == 550
    assert (listening.message().state, listening.kept()) == ("accepted", [])


def test_garbage_is_taken_and_leads_to_nothing(listening: Desk) -> None:
    listening.deliver()
    for raw in [*GARBAGE.values(), absence()]:
        way_back = listening.tags.return_path(uuid4())  # a new one for each: no storm
        with suppress(smtplib.SMTPResponseException):  # a line, or all of it, is too long for mail
            hand_in(listening, raw, way_back)
    assert (listening.message().state, listening.kept(), listening.told()) == ("accepted", [], [])
    assert set(listening.reader.counted) == {Outcome.DROPPED}


def test_a_message_that_is_too_large_is_refused(listening: Desk) -> None:
    listening.deliver()
    with pytest.raises(smtplib.SMTPSenderRefused, match="552"):
        hand_in(listening, b"Subject: x\r\n\r\n" + b"x\r\n" * 600_000, listening.tags.return_path(listening.message().job))


def test_two_recipients_at_once_are_one_too_many(listening: Desk) -> None:
    listening.deliver()
    way_back = listening.tags.return_path(listening.message().job)
    assert listening.reader.port is not None
    with smtplib.LMTP("127.0.0.1", listening.reader.port.port, timeout=30) as server:
        assert server.sendmail("", [way_back, ADDRESS], report())[ADDRESS][0] == 452
    assert listening.message().state == "bounced"


def test_a_database_that_is_away_means_later(listening: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    listening.deliver()
    way_back = listening.tags.return_path(listening.message().job)
    whole = listening.reader.engine
    away = BounceReader(
        BounceSettings(
            database_url="postgresql+psycopg://nobody@127.0.0.1:1/none",
            bounce_address=ADDRESS,
            bounce_key=listening.reader.settings.bounce_key,
            bounce_source=f"smtp:127.0.0.1:{free_port()}",
        )
    ).engine
    listening.reader.engine = away
    with pytest.raises(smtplib.SMTPDataError, match="451"):
        hand_in(listening, report(), way_back)
    listening.reader.engine = whole
    hand_in(listening, report(), way_back)
    assert listening.message().state == "bounced"


# Mailboxes


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for folder in ("new", "cur", "tmp"):
        (tmp_path / "bounces" / folder).mkdir(parents=True)
    return tmp_path / "bounces"


def test_a_maildir_is_worked_off_and_keeps_what_has_to_wait(company: Company, tmp_path: Path, maildir: Path) -> None:
    desk = Desk(company, tmp_path, f"maildir:{maildir}")
    desk.deliver()
    message = desk.message()
    (maildir / "new" / "1.forged").write_bytes(report(to=Tags(ADDRESS, bytes(32)).return_path(message.job)))
    (maildir / "new" / "2.garbage").write_bytes(GARBAGE["every octet"])
    (maildir / "new" / "3.proven").write_bytes(
        b"Delivered-To: " + desk.tags.return_path(message.job).encode() + b"\r\n" + report()
    )
    with transaction(company.engine) as session:
        row = session.get(Delivery, message.id)
        assert row is not None
        row.state = "sending"
    desk.reader.round()
    assert [each.name for each in (maildir / "new").iterdir()] == ["3.proven"]
    with transaction(company.engine) as session:
        row = session.get(Delivery, message.id)
        assert row is not None
        row.state = "accepted"
    desk.reader.round()
    assert sorted(each.name for each in (maildir / "cur").iterdir()) == ["1.forged:2,S", "2.garbage:2,S", "3.proven:2,S"]
    assert (desk.message().state, len(desk.told())) == ("bounced", 2)
    with transaction(company.engine) as session:
        beat = session.get(Heartbeat, "bounces")
    assert beat is not None
    assert beat.detail == "took in: 1 bounced, 2 dropped, 1 later"
    desk.reader.close()


@pytest.fixture
def dovecot(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dovecot]:
    home = tmp_path_factory.mktemp("dovecot")  # a short path: it has sockets in there
    open_up(home)
    try:
        with running_dovecot(home) as server:
            monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
            yield server
    except NotHere as error:
        missing(str(error))


def open_up(home: Path) -> None:
    """Their daemons run as users of their own."""
    for parent in (home, *home.parents[:4]):
        if parent.owner() == "root":
            parent.chmod(parent.stat().st_mode | 0o011)


def test_a_mailbox_on_an_imap_server_is_worked_off_once(company: Company, tmp_path: Path, dovecot: Dovecot) -> None:
    source = f"imaps://bounce%40desk.example@127.0.0.1:{dovecot.port}/INBOX"
    desk = Desk(company, tmp_path, source, bounce_password=SecretStr(dovecot.password))
    desk.deliver()
    for name, raw in (("1.a", GARBAGE["nothing"]), ("2.b", report(to=desk.tags.return_path(desk.message().job)))):
        path = dovecot.maildir / "new" / name
        path.write_bytes(raw or b"\n")
        path.chmod(0o644)
    desk.reader.look()
    assert (desk.message().state, len(desk.told())) == ("bounced", 2)
    counted = dict(desk.reader.counted)
    desk.reader.look()
    assert desk.reader.counted == counted
    desk.reader.close()


@pytest.mark.parametrize(
    "source",
    ["", "lmtp:", "lmtp:127.0.0.1", "lmtp:127.0.0.1:port", "smtp:127.0.0.1:99999", "maildir:/nowhere/at/all", "pop3:x"],
)
def test_a_source_that_cannot_be_used_stops_the_start(tmp_path: Path, source: str) -> None:
    settings = BounceSettings(bounce_address=ADDRESS, bounce_key=tmp_path / "bounce.key", bounce_source=source)
    with pytest.raises(BounceSourceUnusable, match="LICDESK_BOUNCE_SOURCE"):
        BounceReader(settings)


def test_the_process_starts_listens_and_leaves(company: Company, tmp_path: Path) -> None:
    port = free_port()
    environ = {
        "PATH": SYSTEM,
        "LICDESK_DATABASE_URL": company.here.settings.database_url,
        "LICDESK_DATA_DIR": str(tmp_path),
        "LICDESK_BOUNCE_ADDRESS": ADDRESS,
        "LICDESK_BOUNCE_SOURCE": f"lmtp:127.0.0.1:{port}",
    }
    with pytest.raises(BounceSourceUnusable, match="LICDESK_BOUNCE_ADDRESS"):
        BounceReader(BounceSettings())
    process = subprocess.Popen([sys.executable, "-m", "workers.bounces"], env=environ)
    try:
        wait_until(lambda: listens(port), 60, "the reader listens")
        assert (tmp_path / "bounce.key").stat().st_mode & 0o777 == 0o600
        wait_until(lambda: beats(company), 60, "the reader says that it lives")
    finally:
        process.terminate()
        assert process.wait(60) == 0
    assert not beats(company)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def beats(company: Company) -> bool:
    with transaction(company.engine) as session:
        return session.get(Heartbeat, "bounces") is not None


# A real mail server between: it takes the message, another one refuses it, and it writes the report itself


class Refuser:
    """The customer's mail server, which knows nobody any more."""

    async def handle_RCPT(self, *_: object) -> str:
        return "550 5.1.1 <wei.zhang@harbourline.example>: nobody of this name works here"


@pytest.fixture
def postfix_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("postfix")
    open_up(home)
    return home


def test_what_postfix_took_and_could_not_deliver_comes_back(listening: Desk, postfix_home: Path) -> None:
    company = listening.company
    assert listening.reader.port is not None
    refuser = Controller(Refuser(), hostname="127.0.0.1", port=free_port())
    refuser.start()
    routes = {
        "harbourline.example": f"smtp:[127.0.0.1]:{refuser.port}",
        "desk.example": f"lmtp:inet:[127.0.0.1]:{listening.reader.port.port}",
    }
    try:
        with running_postfix(postfix_home, routes) as postfix:
            settings = company.here.settings
            object.__setattr__(settings, "smtp_port", postfix.port)
            company.here.transport.close()
            object.__setattr__(company.here, "transport", MailTransport(settings))
            number = listening.deliver()
            wait_until(lambda: listening.message().state == "bounced", 60, "the report of Postfix has arrived")
    except NotHere as error:
        missing(str(error))
    finally:
        refuser.stop()
    (row,) = listening.kept()
    assert (row.verdict, row.proof, row.status, row.reporter) == ("failed", "envelope", "5.1.1", "mail.example")
    assert "nobody of this name works here" in row.said
    assert company.application(number).status == "delivered"
    assert len(listening.told()) == 2
