"""The ledger: every message, every attempt to hand it over, and what came back about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from workflow.db.ids import new_id
from workflow.db.queries import words
from workflow.db.queries.people import team_of
from workflow.db.tables import Application, Attempt, BounceRow, Delivery, Environment, JobRow, Tenant, table_of
from workflow.db.upsert import insert_into
from workflow.domain.bounces import Proof, Report
from workflow.domain.delivery import AttemptResult
from workflow.domain.roles import Actor, Permission, may
from workflow.errors import NotFound

# Made once: an attempt is written down with every message.
_INSERTS: dict[str, Any] = {
    name: made(table_of(Attempt)).on_conflict_do_nothing(index_elements=["delivery", "marked_at"])
    for name, made in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


@dataclass(frozen=True)
class Asked:
    """What messages are looked for; what is empty narrows nothing. `until` is the first instant that is too late."""

    state: str = ""
    kind: str = ""
    channel: str = ""
    customer: str = ""
    """a tenant ID, or words of a company's name"""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Line:
    """One message, the job that carries it, and what it is about, if it is about an application."""

    message: Delivery
    job: JobRow
    application: Application | None
    tenant: Tenant | None


_LINES = (
    select(Delivery, JobRow, Application, Tenant)
    .join(JobRow, col(JobRow.id) == col(Delivery.job))
    .join(Application, col(Application.id) == col(Delivery.application), isouter=True)
    .join(Environment, col(Environment.id) == col(Application.environment), isouter=True)
    .join(Tenant, col(Tenant.id) == col(Environment.tenant), isouter=True)
)


def page(session: Session, actor: Actor, asked: Asked, *, before: UUID | None = None, limit: int) -> list[Line]:
    """Up to `limit` messages an actor may see, newest first; only older ones than `before`."""
    query = _LINES.order_by(col(Delivery.created_at).desc(), col(Delivery.id).desc()).limit(limit)
    if not may(actor, Permission.READ_ALL):
        query = query.where(col(Application.owner).in_(team_of(session, actor)))
    for column, value in ((Delivery.state, asked.state), (Delivery.kind, asked.kind), (Delivery.channel, asked.channel)):
        if value:
            query = query.where(col(column) == value)
    if asked.customer:
        looked_for = words.asked(asked.customer)
        query = query.where(words.of_environments(session, looked_for, col(Application.environment)))
        if looked_for.environment:
            query = query.where(col(Environment.name) == looked_for.environment)
    if asked.since:
        query = query.where(col(Delivery.created_at) >= asked.since)
    if asked.until:
        query = query.where(col(Delivery.created_at) < asked.until)
    if before:
        at = session.exec(select(Delivery.created_at).where(Delivery.id == before)).one_or_none()
        if at is None:
            return []
        query = query.where(tuple_(col(Delivery.created_at), col(Delivery.id)) < (at, before))
    return [Line(*row) for row in session.exec(query)]


def get_visible(session: Session, actor: Actor, delivery: UUID) -> Line:
    """A message that the actor may see. Raises NotFound, also for one of somebody else."""
    query = _LINES.where(Delivery.id == delivery)
    if not may(actor, Permission.READ_ALL):
        query = query.where(col(Application.owner).in_(team_of(session, actor)))
    found = session.exec(query).one_or_none()
    if found is None:
        raise NotFound("There is no such message.")
    return Line(*found)


def add_attempt(
    session: Session,
    delivery: Delivery,
    result: AttemptResult,
    *,
    marked_at: datetime | None,
    code: int | None,
    reply: str | None,
    now: datetime,
) -> None:
    """Writes one attempt down; nothing when what became of this mark is written already."""
    connection = session.connection()
    values = {
        "id": new_id(),
        "delivery": delivery.id,
        "channel": delivery.channel,
        "fingerprint": delivery.fingerprint,
        "result": result,
        "marked_at": marked_at,
        "smtp_code": code,
        "smtp_reply": reply,
        "at": now,
    }
    connection.execute(_INSERTS[connection.dialect.name], values)


def attempts_of(session: Session, deliveries: Sequence[UUID]) -> dict[UUID, list[Attempt]]:
    """The attempts of messages, each message's oldest first."""
    found: dict[UUID, list[Attempt]] = {each: [] for each in deliveries}
    if deliveries:
        for row in session.exec(select(Attempt).where(col(Attempt.delivery).in_(deliveries)).order_by(col(Attempt.id))):
            found[row.delivery].append(row)
    return found


def lock_delivery(session: Session, delivery: UUID) -> Delivery:
    """The message as it is now, kept so until the commit."""
    found = session.get(Delivery, delivery, with_for_update=True, populate_existing=True)
    assert found is not None, "messages are never deleted"
    return found


def find_by_message_id(session: Session, message_id: str) -> Delivery | None:
    """The message with this Message-ID."""
    return session.exec(select(Delivery).where(Delivery.message_id == message_id)).one_or_none()


def keep_bounce(session: Session, delivery: UUID, report: Report, proof: Proof, now: datetime) -> bool:
    """Keeps a report; whether it is one that was not known."""
    kept = session.execute(
        insert_into(session, BounceRow)
        .values(
            id=new_id(),
            delivery=delivery,
            digest=report.digest,
            verdict=report.verdict,
            proof=proof,
            status=report.status,
            reporter=report.reporter,
            said=report.said,
            received_at=now,
        )
        .on_conflict_do_nothing(index_elements=["delivery", "digest"])
        .returning(col(BounceRow.id))
    )
    return kept.first() is not None


def is_kept(session: Session, delivery: UUID, digest: str) -> bool:
    """Whether a report was taken in before."""
    return (
        session.exec(select(BounceRow.id).where(BounceRow.delivery == delivery, BounceRow.digest == digest)).first() is not None
    )


def count_bounces(session: Session, delivery: UUID, *, counting: bool) -> int:
    """How many reports are kept about a message: those that count, or those that prove nothing."""
    query = select(func.count()).select_from(BounceRow).where(BounceRow.delivery == delivery)
    proofs = [each.value for each in Proof if each.counts is counting]
    return session.exec(query.where(col(BounceRow.proof).in_(proofs))).one()


def bounces_of(session: Session, deliveries: Sequence[UUID]) -> dict[UUID, list[BounceRow]]:
    """What came back about messages, each message's oldest first."""
    found: dict[UUID, list[BounceRow]] = {each: [] for each in deliveries}
    if deliveries:
        for row in session.exec(select(BounceRow).where(col(BounceRow.delivery).in_(deliveries)).order_by(col(BounceRow.id))):
            found[row.delivery].append(row)
    return found
