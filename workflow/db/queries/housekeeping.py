"""Heartbeats, and rows that nobody needs any more."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, text
from sqlmodel import Session, col, select

from workflow.db.tables import Heartbeat, IdempotencyKey, SignedIn
from workflow.db.upsert import insert_into


def beat(session: Session, process: str, detail: str, wall: datetime) -> None:
    """Says that a process lives."""
    session.execute(
        insert_into(session, Heartbeat)
        .values(process=process, at=wall, detail=detail)
        .on_conflict_do_update(index_elements=["process"], set_={"at": wall, "detail": detail})
    )


def heartbeats(session: Session) -> Sequence[Heartbeat]:
    """When each process last said that it lives."""
    return session.exec(select(Heartbeat).order_by(Heartbeat.process)).all()


def answers(session: Session) -> None:
    """Asks the database for nothing; an exception says that it does not answer."""
    session.execute(text("SELECT 1"))


def forget_ended(session: Session, wall: datetime) -> None:
    """Removes ended sessions and answers kept for repeated requests."""
    session.execute(delete(SignedIn).where(col(SignedIn.ends_at) <= wall))
    session.execute(delete(IdempotencyKey).where(col(IdempotencyKey.until) <= wall))
