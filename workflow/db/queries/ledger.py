"""The ledger of a message: every attempt to hand it over, and what came back about it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from workflow.db.ids import new_id
from workflow.db.tables import Attempt, BounceRow, Delivery, table_of
from workflow.db.upsert import insert_into
from workflow.domain.bounces import Proof, Report
from workflow.domain.delivery import AttemptResult

# Made once: an attempt is written down with every message.
_INSERTS: dict[str, Any] = {
    name: made(table_of(Attempt)).on_conflict_do_nothing(index_elements=["delivery", "marked_at"])
    for name, made in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


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
