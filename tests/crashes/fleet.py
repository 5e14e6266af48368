"""All processes behind the desk's pages, and the pages, on one database, to be killed and started again; and what to count."""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from sqlalchemy import func
from sqlmodel import col, select

from tests.crashes.nursery import Nursery
from tests.crashes.steps import DIRECTORY, Steps
from tests.mail.peers import Postfix
from tests.servers import RestartablePostgres, ValkeyServer, alive, answers, lasting_port, wait_until
from tests.workers.company import SENDER, Company, add_customers, url_as
from workflow.database import AWAY, reading, transaction
from workflow.db.powers import Power
from workflow.db.queries import people
from workflow.db.tables import Application, Delivery, IssuedLicense, JobRow
from workflow.domain.delivery import DeliveryState
from workflow.domain.events import Job, JobState
from workflow.domain.roles import Scope
from workflow.errors import Conflict
from workflow.mail.demo_keys import DemoFiles
from workflow.services import accounts, operations, tokens
from workflow.settings import InDoubt
from workflow.times import wall_now

LEASE = "5"
CELERY = ("--loglevel", "info", "--without-gossip", "--without-mingle")
GREETING = b"EHLO test\r\n"

Answer = TypeVar("Answer")


@dataclass
class Fleet:
    """The processes by name. `broker` and `database` are killed like them; SQLite has no server to kill."""

    company: Company
    nursery: Nursery
    steps: Steps
    valkey: ValkeyServer
    postgres: RestartablePostgres | None
    mail_keys: DemoFiles
    issuer_keys: Path
    maildir: Path
    in_doubt: InDoubt = InDoubt.VERIFY
    archive: Mapping[str, str] = field(default_factory=dict)
    """LICDESK_MAIL_ARCHIVE and what belongs to it; the Maildir of the mail server when empty"""
    max_attempts: int = 8
    postfix_log: Path | None = None
    """where messages are counted while a Postfix takes them"""
    smtp_port: int = field(default_factory=lasting_port)
    web_port: int = field(default_factory=lasting_port)
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> Sequence[str]:
        """Everything that can be killed."""
        relays = ("relay", "second relay") if self.postgres else ("relay",)
        return (*relays, "general", "signing", "beat", "web", "broker", "mail", *(("database",) if self.postgres else ()))

    def start(self, *names: str) -> None:
        """Starts these processes; servers answer when it returns."""
        for name in names:
            if name == "broker":
                self.valkey.start()
            elif name == "database":
                assert self.postgres
                self.postgres.start()
            else:
                self.pids[name] = self.nursery.start(name, *self._program(name))
        for name, port, greeting in (("mail", self.smtp_port, GREETING), ("web", self.web_port, b"")):
            if name in names:
                wait_until(lambda port=port, greeting=greeting: answers(port, greeting), 30, f"{name} answers")  # type: ignore[misc]

    def kill(self, name: str) -> None:
        """kill -9 of a process and its children; a server gets what comes closest to it."""
        if name == "broker":
            self.valkey.crash()
        elif name == "database":
            assert self.postgres
            self.postgres.crash()
        else:
            pid = self.pids.pop(name)
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            wait_until(lambda: not alive(pid), 10, f"{name} has ended")

    def restart(self, name: str) -> None:
        """kill -9, and a new one in its place."""
        self.kill(name)
        self.start(name)

    @contextmanager
    def settling(
        self, in_doubt: InDoubt, archive: Mapping[str, str] | None = None, maildir: Path | None = None
    ) -> Iterator[None]:
        """General workers settle doubt in this way, and the mail server keeps what it takes in this Maildir."""
        before = self.in_doubt, self.archive, self.maildir
        self.in_doubt, self.archive, self.maildir = in_doubt, archive or {}, maildir or self.maildir
        self.restart("mail")
        self.restart("general")
        try:
            yield
        finally:
            self.in_doubt, self.archive, self.maildir = before
            self.restart("mail")
            self.restart("general")

    @contextmanager
    def mailing_through(self, postfix: Postfix) -> Iterator[None]:
        """General workers hand everything to this server, and settle doubt by its log."""
        ours, self.smtp_port, self.postfix_log = self.smtp_port, postfix.port, postfix.log
        self.archive = {"LICDESK_MAIL_ARCHIVE": f"postfix:{postfix.log}"}
        self.restart("general")
        try:
            yield
        finally:
            self.smtp_port, self.postfix_log, self.archive = ours, None, {}
            self.restart("general")

    def empty_broker(self) -> None:
        """Everything that the broker held is gone."""
        import redis

        redis.Redis.from_url(self.valkey.url).flushall()

    def close(self) -> None:
        """Ends everything but the servers that others own."""
        for name in list(self.pids):
            self.kill(name)
        self.nursery.close()

    # What people do

    def api_client(self) -> httpx.Client:
        """A program with the approver's token."""
        with transaction(self.company.engine) as session:
            person = people.find_person_by_email(session, "approver@serviceme.example")
            assert person is not None
            actor = accounts.actor_of(session, person, wall_now())
            token, _ = tokens.make_token(session, actor, "test", 30, scopes=Scope, now=wall_now(), wall=wall_now())
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.web_port}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )

    def applied(self, prefix: str, count: int) -> list[str]:
        """Applications of as many customers, submitted, their letters sent."""
        tenants = [f"{prefix}-{number:03d}" for number in range(count)]
        add_customers(self.company, tenants, self.mail_keys)
        numbers = [self.company.apply(tenant_id=each, environment="UAT") for each in tenants]
        self.wait_until_quiet()
        return numbers

    def approve(self, number: str) -> None:
        """The approver's yes, as often as it takes while the database is away."""

        def approved() -> bool:
            with suppress(Conflict):  # the database went away between its commit and its answer
                self.company.approve(number)
            return True

        self.when_it_answers(approved)

    # What came of it

    def status_of(self, numbers: Iterable[str]) -> Counter[str]:
        """How many of the applications are where."""
        with reading(self.company.engine) as session:
            chosen = select(Application.status).where(col(Application.number).in_(list(numbers)))
            return Counter(session.exec(chosen).all())

    def open_jobs(self) -> list[tuple[str, str, str | None]]:
        """Jobs that are neither done nor waiting for an operator; digests wait by design."""
        with reading(self.company.engine) as session:
            open_ones = select(JobRow.kind, JobRow.state, JobRow.last_error).where(
                col(JobRow.state).in_([JobState.PENDING, JobState.RUNNING]), JobRow.kind != Job.DIGEST
            )
            return [(kind, state, said) for kind, state, said in session.exec(open_ones)]

    def wait_until_quiet(self, seconds: float = 120) -> None:
        """Until nothing is owed any more."""
        try:
            wait_until(lambda: not self.when_it_answers(self.open_jobs), seconds, "nothing is owed any more")
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.open_jobs()[:10]}, logs in {self.nursery.logs}") from error

    def ids_of(self, numbers: Iterable[str]) -> set[UUID]:
        """The applications' ids."""
        with reading(self.company.engine) as session:
            return set(session.exec(select(Application.id).where(col(Application.number).in_(list(numbers)))).all())

    def retry(self, held: Iterable[Delivery]) -> None:
        """The operator has every one of these messages sent again."""
        with transaction(self.company.engine) as session:
            for each in held:
                operations.retry_job(session, self.company.operator, each.job, wall_now())

    def dead_jobs(self) -> list[JobRow]:
        """What waits for an operator."""
        with reading(self.company.engine) as session:
            return list(session.exec(select(JobRow).where(JobRow.state == JobState.DEAD)).all())

    def retry_dead(self) -> None:
        """The operator gives every one of them new attempts."""
        for job in self.dead_jobs():
            with transaction(self.company.engine) as session:
                operations.retry_job(session, self.company.operator, job.id, wall_now())

    @staticmethod
    def when_it_answers(ask: Callable[[], Answer]) -> Answer:
        """What `ask` gives, as soon as the database that a test has killed is back."""
        got: list[Answer] = []

        def answered() -> bool:
            with suppress(*AWAY):
                got.append(ask())
            return bool(got)

        wait_until(answered, 60, "the database is back")
        return got[0]

    def everything_once(self, numbers: Sequence[str]) -> "Count":
        """One license for each application, and each message at the mail server as often as it is owed: once."""
        count = self.count(numbers)
        print(count.as_told())
        assert count.applications == {"delivered": len(numbers)}
        assert count.licenses == len(numbers)
        assert (count.lost, [each.message_id for each in count.twice], count.of_nobody) == ([], [], set())
        assert {each.state for each in count.owed} == {DeliveryState.ACCEPTED}
        return count

    def count(self, numbers: Sequence[str]) -> "Count":
        """What there is of these applications, and of every message at the mail server."""
        received = self.received()
        with reading(self.company.engine) as session:
            chosen = select(Application.id).where(col(Application.number).in_(numbers))
            licenses = session.exec(
                select(func.count()).select_from(IssuedLicense).where(col(IssuedLicense.application).in_(chosen))
            ).one()
            owed = session.exec(
                select(Delivery).join(JobRow, col(JobRow.id) == col(Delivery.job)).where(col(JobRow.ref).in_(chosen))
            ).all()
            unknown = set(received) - set(session.exec(select(Delivery.message_id)).all())
        return Count(self.status_of(numbers), licenses, list(owed), received, unknown)

    def received(self) -> Counter[str]:
        """How often each Message-ID is at the mail server."""
        found: Counter[str] = Counter()
        if self.postfix_log:
            ids = dict(re.findall(r"cleanup\[\d+\]: (\w+): message-id=(\S+)", self.postfix_log.read_text()))
            found.update(
                ids[each] for each in re.findall(r"qmgr\[\d+\]: (\w+): from=.*queue active", self.postfix_log.read_text())
            )
        for path in [each for part in ("new", "cur") for each in (self.maildir / part).iterdir()]:
            found[BytesHeaderParser().parsebytes(path.read_bytes())["Message-ID"].strip()] += 1
        return found

    def _program(self, name: str) -> tuple[str, Sequence[str], Mapping[str, str]]:
        common = {"LICDESK_MODE": "demo", "LICDESK_LEASE_SECONDS": LEASE, "LICDESK_BROKER_URL": self.valkey.url}
        common |= {DIRECTORY: str(self.steps.directory), "LICDESK_LOG_FORMAT": "text"}

        def as_role(power: Power) -> dict[str, str]:
            return {**common, "LICDESK_DATABASE_URL": url_as(power, self.company.engine)}

        match name:
            case "relay" | "second relay":
                return "relay", [], as_role(Power.RELAY)
            case "general":
                worker = ["-A", "workers.app:general", "worker", "-n", "general@%h", "--concurrency", "2", *CELERY]
                return "celery", worker, as_role(Power.WORKER) | self._mail()
            case "signing":
                signer = ["-A", "workers.app:signing", "worker", "-n", "signing@%h", "--concurrency", "1", *CELERY]
                return "celery", signer, as_role(Power.SIGNER) | self._keys()
            case "beat":
                schedule = str(self.nursery.logs / "schedule")
                return "celery", ["-A", "workers.app:general", "beat", "--loglevel", "info", "--schedule", schedule], common
            case "web":
                public = f"http://127.0.0.1:{self.web_port}"
                return "web", [str(self.web_port)], as_role(Power.WEB) | {"LICDESK_PUBLIC_URL": public}
            case "mail":
                return "sink", [str(self.smtp_port), str(self.maildir)], {}
            case _:
                raise ValueError(name)

    def _mail(self) -> dict[str, str]:
        return {
            "LICDESK_MAX_ATTEMPTS": str(self.max_attempts),
            "LICDESK_SMTP_PORT": str(self.smtp_port),
            "LICDESK_SMTP_TLS": "none",
            "LICDESK_MAIL_SENDER": SENDER,
            "LICDESK_MAIL_CA": str(self.mail_keys.authority),
            "LICDESK_MAIL_SIGNER_CERTIFICATE": str(self.mail_keys.signer_certificate),
            "LICDESK_MAIL_SIGNER_KEY": str(self.mail_keys.signer_key),
            "LICDESK_LICENSES_IN_DOUBT": self.in_doubt.value,
            "LICDESK_LETTERS_IN_DOUBT": self.in_doubt.value,
            **(self.archive or {"LICDESK_MAIL_ARCHIVE": f"maildir:{self.maildir}"}),
        }

    def _keys(self) -> dict[str, str]:
        return {
            "LICDESK_TRUST_DIR": str(self.issuer_keys / "trust"),
            "LICDESK_ISSUER_KEYS": self.company.room.settings.issuer_keys,
            "LICDESK_ISSUER_KEY_SECRET_FILE": str(self.issuer_keys / "secret"),
        }


@dataclass(frozen=True)
class Count:
    """What can be counted when everything is over."""

    applications: Counter[str]
    licenses: int
    owed: list[Delivery]
    received: Counter[str]
    of_nobody: set[str]
    """messages at the mail server that no row tells of"""

    @property
    def lost(self) -> list[str]:
        """Messages that are said to be accepted and are not at the mail server."""
        accepted = [each.message_id for each in self.owed if each.state == DeliveryState.ACCEPTED]
        return [each for each in accepted if not self.received[each]]

    @property
    def twice(self) -> list[Delivery]:
        """Messages that are at the mail server more than once."""
        return [each for each in self.owed if self.received[each.message_id] > 1]

    @property
    def settled(self) -> Counter[str]:
        """How doubts ended."""
        return Counter(each.resolved_by for each in self.owed if each.resolved_by)

    def as_told(self) -> Mapping[str, Any]:
        """In one line, for whoever looks at the output."""
        return {
            "applications": dict(self.applications),
            "licenses": self.licenses,
            "messages": len(self.owed),
            "at the mail server": sum(self.received.values()),
            "lost": len(self.lost),
            "twice": len(self.twice),
            "settled": dict(self.settled),
        }
