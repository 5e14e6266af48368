"""What tests start from: an application's answers, the desk's own settings, and a whole office on a real database."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from tests import people
from tests.license_file import example
from workflow.database import transaction
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob
from workflow.db.queries import applications, customers, deliveries, events, licenses
from workflow.db.queries import people as person_queries
from workflow.db.tables import Application, Delivery, EventRow, IssuedLicense, JobRow, Person, Receipt, Recipient, Tenant
from workflow.domain.approvals import Choice, Decision
from workflow.domain.catalogue import Catalogue, Entry
from workflow.domain.delivery import Channel
from workflow.domain.events import SYSTEM_STREAM, Job
from workflow.domain.roles import Actor, system
from workflow.license_file import (
    ClockHealth,
    Environment,
    Installation,
    LicenseClaims,
    ReceiptClaims,
    ReceiptEvent,
    sign_license,
    sign_receipt,
    verify_license,
)
from workflow.recipient_keys import MailTrust
from workflow.services import applications as applying
from workflow.services import customers as customer_services
from workflow.services import decisions, delivery, issuing, receipts, recipients
from workflow.services.delivery import LICENSE_DELIVERY, Built
from workflow.services.desk import Desk, desk_from
from workflow.services.evidence import evidence_of
from workflow.services.parcels import Addressee
from workflow.settings import Database
from workflow.times import wall_now

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
DESK: Desk = desk_from(Database())
CATALOGUE: Catalogue = DESK.catalogue
WEI, YU = "wei.zhang@harbourline.example", "yu.chen@harbourline.example"
SIGNER, MAILER = system("signing worker"), system("mail worker")

ANSWERS: dict[str, Any] = {
    "tenant_id": "T-20817",
    "environment": "PROD",
    "label": "",
    "request": "new",
    "kind": "standard",
    "modules": ["agent-studio", "knowledge-base"],
    "model_types": ["chat", "embedding"],
    "restrictions": ["internal-use"],
    "limits": {"agents": 120, "users": 800},
    "validity": {"first_day": "2026-11-02", "last_day": "2027-10-31", "time_zone": "Asia/Shanghai"},
    "recipients": [WEI],
    "contract_reference": "C-2026-77",
    "note": "Order PO-88213.",
}


def answers(**changes: Any) -> dict[str, Any]:
    """An application's answers; `limits__agents=5` changes a nested one, and None takes one away."""
    made = deepcopy(ANSWERS)
    for name, value in changes.items():
        place, *path = made, *name.split("__")
        for part in path[:-1]:
            place = place[part]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
    return made


@dataclass
class Office:
    """The desk at work for one customer, on a real database. Whatever people do here is a transaction of its own.

    An application is named by its number. A method called like a status brings an application there.
    """

    engine: Engine
    desk: Desk = DESK
    now: datetime = NOW

    @classmethod
    def opened(cls, engine: Engine) -> "Office":
        """Everybody has moved in; one customer with two recipients, nothing applied for yet."""
        office = cls(engine)
        with office.work() as session:
            people.move_in(session)
            tenant = customer_services.add_tenant(
                session,
                people.LIAISON,
                tenant_id="T-20817",
                company="Harbourline Logistics Co., Ltd.",
                time_zone="Asia/Shanghai",
                now=NOW,
            )
            person_queries.get_person(session, people.id_of(people.ADMINISTRATOR)).tenant = tenant.id
            for name, address in (("Zhang Wei", WEI), ("Chen Yu", YU)):
                office.add_recipient(session, tenant, name, address)
        return office

    def add_recipient(self, session: Session, tenant: Tenant, name: str, address: str) -> Recipient:
        """A recipient without a key."""
        return recipients.add_recipient(
            session,
            people.LIAISON,
            tenant,
            name=name,
            address=address,
            key=None,
            trust=MailTrust(),
            now=self.now,
            wall=wall_now(),
        )

    def work(self) -> AbstractContextManager[Session]:
        """A transaction."""
        return transaction(self.engine)

    def with_catalogue(self, **tables: tuple[Entry, ...]) -> Desk:
        """This desk with other entries in some tables of its catalogue."""
        return replace(self.desk, catalogue=replace(self.desk.catalogue, **tables))

    def system_facts(self) -> list[str]:
        """What is in the system's history, oldest first; its chain is whole."""
        with self.work() as session:
            assert events.first_broken(session, SYSTEM_STREAM) is None
            return [row.payload for row in events.of_stream(session, SYSTEM_STREAM)]

    # What people do

    def draft(self, actor: Actor = people.LIAISON, **changes: Any) -> str:
        """A saved draft."""
        with self.work() as session:
            return applying.save_draft(session, actor, answers(**changes), self.now).number

    def submitted(self, **changes: Any) -> str:
        """An application that waits for an approver."""
        with self.work() as session:
            return applying.apply(session, people.LIAISON, self.desk, answers(**changes), self.now).number

    def submit(self, number: str, actor: Actor = people.LIAISON) -> None:
        """Hands a draft in."""
        with self.work() as session:
            application = applications.get_application(session, number)
            applying.submit(session, actor, self.desk, application, application.version, self.now)

    def vote(
        self,
        number: str,
        choice: Choice = Choice.APPROVE,
        actor: Actor = people.APPROVER,
        comment: str = "Because.",
        on_behalf_of: UUID | None = None,
    ) -> Decision:
        """Reads the application and decides on it at once."""
        with self.work() as session:
            application = applications.get_application(session, number)
            return decisions.vote(
                session,
                actor,
                self.desk,
                application,
                choice,
                comment=comment,
                seen_revision=application.revision,
                seen_version=application.version,
                now=self.now,
                on_behalf_of=on_behalf_of,
            )

    def approved(self, **changes: Any) -> str:
        """An application whose license waits to be signed."""
        number = self.submitted(**changes)
        self.vote(number)
        return number

    def sign(self, number: str) -> IssuedLicense:
        """What the signing worker does with an approved application."""
        with self.work() as session:
            application = applications.get_application(session, number)
            claims = self.claims_to_sign(session, number)
            raw = sign_license(claims, [example.signer(f"issuer-{claims.environment.lower()}")])
            verified = verify_license(raw, example.trust(), None, self.now)
            return issuing.record_issued(session, SIGNER, self.desk, [issuing.Signed(application, raw, verified)], self.now)[0]

    def claims_to_sign(self, session: Session, number: str) -> LicenseClaims:
        """What the signing worker would sign."""
        application = applications.get_application(session, number)
        return issuing.claims_to_sign(evidence_of(session, self.desk.policy, [application])[0], self.desk, self.now)

    def issued(self, **changes: Any) -> str:
        """An application whose license is signed and on its way."""
        number = self.approved(**changes)
        self.sign(number)
        return number

    def hand_over(self, number: str, address: str = WEI, channel: Channel = Channel.SMIME, **changes: Any) -> Delivery:
        """The mail server takes the message to this recipient."""
        job = self.claim(self.delivery_job(number, address))
        built = self.message(number, job, address, channel, **changes)
        with self.work() as session:
            marked = delivery.mark_sending(session, job, deliveries.find_by_job(session, job.id), built, self.now, wall_now())
        with self.work() as session:
            jobs.finish(session, job, wall_now())
            answer: dict[str, Any] = {"code": 250, "reply": "2.0.0 accepted", "resolved_by": None}
            delivery.record_accepted(session, MAILER, self.desk.policy, marked, **answer, now=self.now)
        with self.work() as session:
            return deliveries.get_delivery(session, marked.id)

    def delivered(self, **changes: Any) -> str:
        """An application whose license has been handed over."""
        number = self.issued(**changes)
        self.hand_over(number)
        return number

    def activated(self, **changes: Any) -> str:
        """An application whose license is in force on the customer's confirmed platform."""
        number = self.delivered(**changes)
        self.confirm()
        self.report(number)
        return number

    def report(
        self, number: str, event: ReceiptEvent = ReceiptEvent.ACTIVATED, *, platform: str = "platform", **changes: Any
    ) -> Receipt | None:
        """The platform's receipt arrives."""
        raw = self.receipt(number, event, platform=platform, **changes)
        with self.work() as session:
            return receipts.record_receipt(session, raw, self.now)

    def confirm(self, platform: str = "platform", environment: str = "PROD", actor: Actor = people.OPERATOR) -> None:
        """An operator vouches for the platform's key before its first receipt."""
        with self.work() as session:
            tenant = customers.get_tenant(session, "T-20817")
            found = customers.find_environment(session, tenant.id, environment, "")
            assert found is not None
            receipts.expect_installation(session, actor, found.id, f"inst-{platform}", example.signer(platform).keyid, self.now)

    def renewal_of(self, number: str, **changes: Any) -> str:
        """A submitted renewal of the license that an application led to, with all the answers prefilled."""
        with self.work() as session:
            issued = licenses.get_of_application(session, applications.get_application(session, number).id)
            draft = applying.start_renewal(session, people.LIAISON, issued, self.now)
        self.submit(draft.number)
        return draft.number

    # What they do it with

    def receipt(self, number: str, event: ReceiptEvent, *, platform: str = "platform", **changes: Any) -> bytes:
        """A receipt for an application's license, signed by the platform of this name."""
        issued = self.license_of(number)
        claims = ReceiptClaims(
            receipt_id=f"{platform}-{event}-{issued.version}-{issued.license_id}",
            license_id=issued.license_id,
            version=issued.version,
            payload_sha256=issued.payload_sha256,
            event=event,
            reason="",
            tenant_id="T-20817",
            environment=Environment(issued.license_id.split("-")[0]),
            installation=Installation.of(f"inst-{platform}", example.signer(platform)),
            at=self.now,
            platform_version="4.2.0",
            trust_root_version=1,
            revocation_sequence=0,
            clock=ClockHealth.OK,
            previous=None,
        )
        return sign_receipt(replace(claims, **changes), example.signer(platform))

    def delivery_job(self, number: str, address: str = WEI) -> UUID:
        """The newest job that hands an application's license to this recipient."""
        with self.work() as session:
            recipient = session.exec(select(Recipient).where(Recipient.address == address)).one()
        return [row.id for row in self.jobs(number, Job.DELIVER) if row.recipient == recipient.id][-1]

    def claim(self, job: UUID, owner: str = "worker 1") -> ClaimedJob:
        """A worker takes a job."""
        with self.work() as session:
            kind = Job(session.exec(select(JobRow.kind).where(JobRow.id == job)).one())
            claimed = jobs.claim(session, kind, job, owner, wall_now(), timedelta(minutes=5), 8)
        assert claimed is not None, "somebody has this job already"
        return claimed

    def message(
        self, number: str, job: ClaimedJob, address: str = WEI, channel: Channel = Channel.SMIME, **changes: Any
    ) -> Built:
        """A built message with an application's license, or with a link to it."""
        issued = self.license_of(number)
        built = Built(
            to=Addressee("Zhang Wei", address, channel, recipient=job.recipient),
            kind=LICENSE_DELIVERY,
            subject="Your license",
            message_id=f"<{job.id}@serviceme.example>",
            mime=b"From: desk\r\n\r\nsealed\r\n",
            application=issued.application,
            issued=issued.id,
        )
        return replace(built, **changes)

    # What a person could notice

    def application(self, number: str) -> Application:
        """The application as it is now."""
        with self.work() as session:
            return applications.get_application(session, number)

    def status(self, number: str) -> str:
        """The application's status."""
        return self.application(number).status

    def license_of(self, number: str) -> IssuedLicense:
        """The license as it is now."""
        with self.work() as session:
            return licenses.get_of_application(session, applications.get_application(session, number).id)

    def history(self, number: str) -> list[EventRow]:
        """Every event of an application, oldest first; the chain must hold."""
        stream = str(self.application(number).id)
        with self.work() as session:
            assert events.first_broken(session, stream) is None
            return list(events.of_stream(session, stream))

    def said(self, number: str) -> list[str]:
        """The names of what happened to an application."""
        return [row.type for row in self.history(number)]

    def jobs(self, number: str, kind: Job | None = None) -> list[JobRow]:
        """The jobs an application owes, oldest first."""
        application = self.application(number)
        with self.work() as session:
            rows: Sequence[JobRow] = session.exec(
                select(JobRow).where(JobRow.ref == application.id).order_by(col(JobRow.id))
            ).all()
        return [row for row in rows if kind is None or row.kind == kind.value]

    def letters(self, number: str) -> list[tuple[str, str]]:
        """Which letters an application owes, and to whom."""
        with self.work() as session:
            names = {row.id: row.name for row in session.exec(select(Person))}
            names |= {row.id: row.name for row in session.exec(select(Recipient))}
        return sorted((row.detail, names[row.recipient]) for row in self.jobs(number, Job.LETTER) if row.recipient)
