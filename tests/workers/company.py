"""A customer, its people, and the processes' insides on one database: what a test needs to take jobs by hand."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine
from sqlmodel import col, select

from workers import delivery, digests, letters, notices, reminders, signing
from workers.claims import Claimant, perform
from workers.runtime import Runtime, owner_name
from workers.signing import SigningRoom
from workflow.database import create_engine, transaction
from workflow.db.powers import Power, role_name
from workflow.db.queries import applications
from workflow.db.tables import Application, JobRow
from workflow.domain.approvals import Choice
from workflow.domain.events import Job
from workflow.domain.roles import Actor, Role, system
from workflow.mail.demo_keys import DemoFiles
from workflow.mail.encryption import MailSigner
from workflow.mail.transport import MailTransport
from workflow.services import accounts, customers, decisions, recipients
from workflow.services import applications as applying
from workflow.services.desk import desk_from
from workflow.settings import Mode, SigningSettings, WorkerSettings
from workflow.times import wall_now

SENDER = "licensing@serviceme.example"
WITH_CERTIFICATE = "wei.zhang@harbourline.example"
WITHOUT_CERTIFICATE = "yu.chen@harbourline.example"


@dataclass
class Company:
    """Everything a job can meet, on one database. `engine` is its owner's; pages, workers and signer each have their own."""

    engine: Engine
    web: Engine
    here: Runtime
    room: SigningRoom
    liaison: Actor
    approver: Actor
    operator: Actor

    def apply(self, **changes: object) -> str:
        """A submitted application; returns its number."""
        now = wall_now()
        raw: dict[str, object] = {
            "tenant_id": "T-20817",
            "environment": "PROD",
            "modules": ["agent-studio", "knowledge-base"],
            "model_types": ["chat"],
            "limits": {"agents": 120, "users": 800},
            "validity": {
                "first_day": now.date().isoformat(),
                "last_day": (now.date() + timedelta(days=364)).isoformat(),
                "time_zone": "Asia/Shanghai",
            },
            "recipients": [WITH_CERTIFICATE],
            "note": "Order PO-88213.",
            **changes,
        }
        with transaction(self.web) as session:
            return applying.apply(session, self.liaison, self.here.desk, raw, now).number

    def revise(self, number: str, **changes: object) -> None:
        """The liaison answers some things differently and hands the application in again."""
        now = wall_now()
        with transaction(self.web) as session:
            application = applications.get_application(session, number)
            raw = json.loads(application.draft) | changes
            applying.save_draft(session, self.liaison, raw, now, application=application)
            applying.submit(session, self.liaison, self.here.desk, application, application.version, now)

    def approve(self, number: str) -> None:
        """The approver's yes, which completes the requirements."""
        with transaction(self.web) as session:
            application = applications.get_application(session, number)
            decisions.vote(
                session,
                self.approver,
                self.here.desk,
                application,
                Choice.APPROVE,
                comment="",
                seen_revision=application.revision,
                seen_version=application.version,
                now=wall_now(),
            )

    def application(self, number: str) -> Application:
        """The application as it is now."""
        with transaction(self.engine) as session:
            return applications.get_application(session, number)

    def jobs(self, kind: Job | None = None) -> list[JobRow]:
        """All jobs, or those of a kind, oldest first."""
        with transaction(self.engine) as session:
            rows = list(session.exec(select(JobRow).order_by(col(JobRow.id))))
        return [row for row in rows if kind is None or row.kind == kind]

    def run(self, kind: Job) -> None:
        """Does every pending job of a kind, as a worker would."""
        work = {
            Job.SIGN: lambda job: signing.sign(self.room, job),
            Job.DELIVER: lambda job: delivery.deliver_license(self.here, job, delivery.read_parcels(self.here, [job])[job.id]),
            Job.LETTER: lambda job: letters.send_letter(self.here, job, letters.read_letters(self.here, [job])[job.id]),
            Job.DIGEST: lambda job: digests.send_digest(self.here, job),
            Job.NOTICE: lambda job: notices.send_notice(self.here, job),
            Job.REMINDER: lambda job: reminders.send_reminder(self.here, job),
            Job.ONE_TIME_LINK: lambda job: letters.send_one_time_link(self.here, job),
            Job.PORTAL_CODE: lambda job: delivery.send_portal_code(self.here, job),
        }[kind]
        for row in self.jobs(kind):
            if row.state in ("pending", "running"):
                perform(kind, str(row.id), work, Claimant(self.engine, owner_name("test"), timedelta(seconds=60), 3))


def url_as(power: Power, engine: Engine) -> str:
    """The URL of the engine's database for one kind of process: with PostgreSQL each has a role of its own, as in life."""
    url = engine.url if engine.dialect.name == "sqlite" else engine.url.set(username=role_name(power))
    return url.render_as_string(hide_password=False)


def company_on(engine: Engine, *, smtp_port: int, mail_keys: DemoFiles, issuer_keys: Path, archive: Path) -> Company:
    """A liaison, an approver, an operator, and one customer with two recipients; nothing applied for yet."""
    for folder in ("new", "cur", "tmp"):
        (archive / folder).mkdir(parents=True, exist_ok=True)
    url = url_as(Power.WORKER, engine)
    settings = WorkerSettings(
        mode=Mode.DEMO,
        database_url=url,
        smtp_port=smtp_port,
        smtp_tls="none",
        mail_sender=SENDER,
        mail_ca=mail_keys.authority,
        mail_archive=f"maildir:{archive}",
    )
    desk = desk_from(settings)
    signer = MailSigner.load(mail_keys.signer_certificate, mail_keys.signer_key, address=SENDER, at=wall_now())
    here = Runtime(settings, create_engine(url, ping=False), desk, MailTransport(settings), signer, owner_name("test"))
    room = SigningRoom(
        SigningSettings(
            mode=Mode.DEMO,
            database_url=url_as(Power.SIGNER, engine),
            trust_dir=issuer_keys / "trust",
            issuer_keys=",".join(
                f"{name.upper()}=file:{issuer_keys}/keys/issuer-{name}.pem" for name in ("dev", "uat", "prod")
            ),
            issuer_key_secret=SecretStr((issuer_keys / "secret").read_text().strip()),
        )
    )
    setup = system("set-up")
    with transaction(engine) as session:
        made = {
            role: accounts.add_person(
                session,
                setup,
                email=f"{role}@serviceme.example",
                name=name,
                roles=[role],
                password=None,
                now=wall_now() - timedelta(days=1),
            )
            for role, name in (
                (Role.LIAISON, "Lin Mei"),
                (Role.APPROVER, "Daniel Osei"),
                (Role.OPERATOR, "Omar Reyes"),
            )
        }
        actors = {role: accounts.actor_of(session, person, wall_now()) for role, person in made.items()}
        tenant = customers.add_tenant(
            session,
            actors[Role.LIAISON],
            tenant_id="T-20817",
            company="Harbourline Logistics Co., Ltd.",
            time_zone="Asia/Shanghai",
            now=wall_now(),
        )
        for name, address in (("Zhang Wei", WITH_CERTIFICATE), ("Chen Yu", WITHOUT_CERTIFICATE)):
            recipients.add_recipient(
                session,
                actors[Role.LIAISON],
                tenant,
                name=name,
                address=address,
                key=mail_keys.recipients[address].read_bytes() if address in mail_keys.recipients else None,
                trust=desk.mail_trust,
                now=wall_now(),
                wall=wall_now(),
            )
    return Company(
        engine,
        create_engine(url_as(Power.WEB, engine)),
        here,
        room,
        actors[Role.LIAISON],
        actors[Role.APPROVER],
        actors[Role.OPERATOR],
    )


def add_customers(company: Company, tenants: Sequence[str], mail_keys: DemoFiles) -> None:
    """One customer for each Tenant ID, so that no two applications wait for the same License ID."""
    now = wall_now()
    certificate = mail_keys.recipients[WITH_CERTIFICATE].read_bytes()
    with transaction(company.engine) as session:
        for each in tenants:
            tenant = customers.add_tenant(
                session, company.liaison, tenant_id=each, company=f"Company {each}", time_zone="Asia/Shanghai", now=now
            )
            recipients.add_recipient(
                session,
                company.liaison,
                tenant,
                name="Zhang Wei",
                address=WITH_CERTIFICATE,
                key=certificate,
                trust=company.here.desk.mail_trust,
                now=now,
                wall=now,
            )
