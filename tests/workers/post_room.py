"""The letters of an office at work: what its jobs write to people, through a real mail server."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from email.message import EmailMessage
from uuid import UUID

from sqlmodel import col, select

from tests.builders import Office
from tests.servers import SmtpCatcher
from tests.workers.company import SENDER, url_as
from workers import letters
from workers.claims import Claimant, perform_in_turn
from workers.runtime import Runtime, owner_name
from workflow.database import create_engine
from workflow.db.powers import Power
from workflow.db.tables import Delivery, JobRow
from workflow.domain.events import Job
from workflow.mail.transport import MailTransport
from workflow.settings import Mode, WorkerSettings


@dataclass
class PostRoom:
    """An office, the mail server, and what a general worker holds. It works with the worker's own database role."""

    office: Office
    smtp: SmtpCatcher
    here: Runtime

    @classmethod
    def of(cls, office: Office, smtp: SmtpCatcher) -> "PostRoom":
        """With the office's own desk."""
        url = url_as(Power.WORKER, office.engine)
        settings = WorkerSettings(
            mode=Mode.DEMO, database_url=url, smtp_port=smtp.port, smtp_tls="none", mail_sender=SENDER, public_url=DESK_URL
        )
        desk = replace(office.desk, public_url=DESK_URL)
        here = Runtime(settings, create_engine(url, ping=False), desk, MailTransport(settings), None, owner_name("test"))
        return cls(office, smtp, here)

    def close(self) -> None:
        """Lets the database and the mail server go."""
        self.here.transport.close()
        self.here.engine.dispose()

    @property
    def claimant(self) -> Claimant:
        """A worker with so much time that a busy machine makes it give nothing back."""
        return Claimant(self.here.engine, owner_name("test"), timedelta(hours=1), 3)

    def jobs(self, kind: Job = Job.LETTER) -> list[JobRow]:
        """The jobs of a kind, oldest first."""
        with self.office.work() as session:
            return list(session.exec(select(JobRow).where(JobRow.kind == kind.value).order_by(col(JobRow.id))))

    def send_letters(self, which: Callable[[JobRow], bool] = lambda _: True) -> None:
        """Does what a message with these letters' ids does."""
        ids = [str(row.id) for row in self.jobs() if row.state in ("pending", "running") and which(row)]
        perform_in_turn(
            Job.LETTER,
            ids,
            lambda claimed: letters.read_letters(self.here, claimed),
            lambda job, read: letters.send_letter(self.here, job, read),
            self.claimant,
        )

    def received(self, address: str) -> list[EmailMessage]:
        """What reached somebody's mailbox, oldest first."""
        return [each for each in self.smtp.messages if each["To"].addresses[0].addr_spec == address]

    def delivery_of(self, job: UUID) -> Delivery:
        """The message that a job has sent."""
        with self.office.work() as session:
            return session.exec(select(Delivery).where(Delivery.job == job)).one()


DESK_URL = "https://desk.serviceme.example"


def text_of(message: EmailMessage) -> str:
    """The plain words of a letter, in one line."""
    part = message.get_body(("plain",))
    assert part is not None, "every letter has its words as plain text"
    return " ".join(part.get_content().split())
