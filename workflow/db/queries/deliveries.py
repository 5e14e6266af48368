"""Messages on their way, and the jobs behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, func, insert, update
from sqlalchemy import select as core_select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from workflow.db.tables import (
    Application,
    Delivery,
    IssuedLicense,
    JobRow,
    PortalCode,
    PortalLink,
    Recipient,
    Revision,
    table_of,
)
from workflow.domain.delivery import DeliveryState
from workflow.domain.events import Job, JobState
from workflow.errors import NotFound


@dataclass(frozen=True)
class RecipientState:
    """How the file gets on with one recipient: the latest round's job, and the message once there is one."""

    recipient: Recipient
    job: JobRow
    delivery: Delivery | None


@dataclass(frozen=True)
class Handover:
    """A license on its way to one recipient: what the job knows when it starts. `rounds` counts the deliveries so far."""

    application: Application
    issued: IssuedLicense
    recipient: Recipient
    content: str
    stored: Delivery | None
    rounds: int


_ROUNDS = (
    core_select(func.count())
    .select_from(Delivery)
    .where(
        col(Delivery.license) == col(IssuedLicense.id),
        col(Delivery.recipient) == col(Recipient.id),
        col(Delivery.kind) == "license_delivery",
    )
    .correlate(IssuedLicense, Recipient)
    .scalar_subquery()
)
# A second name for the message that this job has built: the count above is over all of them.
_STORED = aliased(Delivery)
_BY_JOB = select(Delivery).where(Delivery.job == bindparam("of_job"))
_HANDOVERS = (
    core_select(JobRow.id, Application, IssuedLicense, Recipient, Revision.content, _STORED, _ROUNDS)  # type: ignore[call-overload]
    .join(Application, col(Application.id) == col(JobRow.ref))
    .join(IssuedLicense, col(IssuedLicense.application) == col(Application.id))
    .join(Revision, and_(col(Revision.application) == col(Application.id), col(Revision.number) == col(Application.revision)))
    .join(Recipient, col(Recipient.id) == col(JobRow.recipient))
    .join(_STORED, col(_STORED.job) == col(JobRow.id), isouter=True)
    .where(col(JobRow.id).in_(bindparam("of_jobs", expanding=True)))
)

_DELIVERY = table_of(Delivery)
_INSERT = insert(_DELIVERY)
_ACCEPT = (
    update(_DELIVERY)
    .where(_DELIVERY.c.id == bindparam("accepted_one"))
    .values(
        state=DeliveryState.ACCEPTED,
        sent_at=bindparam("at"),
        smtp_code=bindparam("code"),
        smtp_reply=bindparam("reply"),
        resolved_by=bindparam("by"),
    )
)


def find_by_job(session: Session, job: UUID) -> Delivery | None:
    """The message a job has built."""
    return session.exec(_BY_JOB, params={"of_job": job}).one_or_none()


def by_jobs(session: Session, jobs: Sequence[UUID]) -> dict[UUID, Delivery]:
    """The messages that these jobs have built so far."""
    if not jobs:
        return {}
    return {row.job: row for row in session.exec(select(Delivery).where(col(Delivery.job).in_(jobs)))}


def handovers(session: Session, jobs: Sequence[UUID]) -> dict[UUID, Handover]:
    """What jobs that hand a license to a recipient need to know, in one look. One whose license or recipient is gone is not
    among them."""
    return {job: Handover(*found) for job, *found in session.execute(_HANDOVERS, {"of_jobs": list(jobs)})}


def forget_text(session: Session, delivery: UUID) -> None:
    """Takes the bytes of a message away; that it was sent, and their digest, stay."""
    session.execute(update(Delivery).where(col(Delivery.id) == delivery).values(mime=None))


def put(session: Session, delivery: Delivery, *, is_new: bool) -> None:
    """Writes a message's row, past the session's bookkeeping: this is the hot path. The object stays a plain value."""
    values = delivery.model_dump()
    if is_new:
        session.connection().execute(_INSERT, values)
    else:
        session.connection().execute(_DELIVERY.update().where(_DELIVERY.c.id == delivery.id).values(values))


def set_accepted(
    session: Session, delivery: Delivery, *, code: int | None, reply: str, resolved_by: str | None, now: datetime
) -> None:
    """Notes the mail server's yes on a message's row."""
    values = {"accepted_one": delivery.id, "at": now, "code": code, "reply": reply, "by": resolved_by}
    session.connection().execute(_ACCEPT, values)


def get_delivery(session: Session, delivery: UUID) -> Delivery:
    """The message with this id. Raises NotFound."""
    found = session.get(Delivery, delivery)
    if found is None:
        raise NotFound("There is no such message.")
    return found


def license_deliveries(session: Session, application: UUID) -> list[RecipientState]:
    """Per recipient the latest attempt to hand over the license of an application."""
    rows = session.exec(
        select(JobRow, Recipient, Delivery)
        .join(Recipient, col(Recipient.id) == col(JobRow.recipient))
        .join(Delivery, col(Delivery.job) == col(JobRow.id), isouter=True)
        .where(JobRow.ref == application, JobRow.kind == Job.DELIVER.value)
        .order_by(col(JobRow.id))
    )
    latest: dict[UUID, RecipientState] = {}
    for job, recipient, delivery in rows:
        latest[recipient.id] = RecipientState(recipient, job, delivery)
    return list(latest.values())


def jobs_of(session: Session, application: UUID) -> Sequence[JobRow]:
    """Every job that an application owes, oldest first."""
    return session.exec(select(JobRow).where(JobRow.ref == application).order_by(col(JobRow.id))).all()


def list_jobs(session: Session, *, state: str = "", before: UUID | None = None, limit: int = 100) -> Sequence[JobRow]:
    """Jobs in a state, newest first."""
    query = select(JobRow).order_by(col(JobRow.id).desc()).limit(limit)
    if state:
        # Written into the statement and not bound: the database uses a partial index only for a state that it sees.
        seen: Any = bindparam("in_state", [JobState(state).value], expanding=True, literal_execute=True)
        query = query.where(col(JobRow.state).in_(seen))
    if before:
        query = query.where(col(JobRow.id) < before)
    return session.exec(query).all()


def get_job(session: Session, job: UUID) -> JobRow:
    """The job with this id. Raises NotFound."""
    found = session.get(JobRow, job)
    if found is None:
        raise NotFound("There is no such job.")
    return found


def find_link(session: Session, token_hash: str) -> PortalLink | None:
    """The portal link of a token's hash."""
    return session.exec(select(PortalLink).where(PortalLink.token_hash == token_hash)).one_or_none()


def find_link_of(session: Session, delivery: UUID) -> PortalLink | None:
    """The portal link that a message carries."""
    return session.exec(select(PortalLink).where(PortalLink.delivery == delivery)).one_or_none()


def open_codes(session: Session, link: UUID, wall: datetime) -> Sequence[PortalCode]:
    """Codes of a link that can still be entered, newest first."""
    return session.exec(
        select(PortalCode)
        .where(PortalCode.link == link, col(PortalCode.ends_at) > wall, col(PortalCode.used_at).is_(None))
        .order_by(col(PortalCode.id).desc())
    ).all()
