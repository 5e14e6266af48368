"""Answers kept for repeated requests: the row is taken in the transaction of the effect, so both are there or neither."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col

from workflow.db.tables import IdempotencyKey
from workflow.db.upsert import insert_into


def take(session: Session, person: UUID, key: str, body_sha256: str, *, until: datetime, wall: datetime) -> bool:
    """Takes a person's key, unless it is taken and still counts. Waits for another transaction that is just taking it."""
    values = {"body_sha256": body_sha256, "until": until, "status": None, "answer": None}
    taken = session.execute(
        insert_into(session, IdempotencyKey)
        .values(person=person, key=key, **values)
        .on_conflict_do_update(index_elements=["person", "key"], set_=values, where=col(IdempotencyKey.until) <= wall)
        .returning(col(IdempotencyKey.key))
    )
    return taken.one_or_none() is not None


def answer_of(session: Session, person: UUID, key: str) -> IdempotencyKey:
    """The row of a key that is taken."""
    return session.get_one(IdempotencyKey, (person, key))


def keep(session: Session, person: UUID, key: str, status: int, answer: str) -> None:
    """Keeps the answer under a key that this transaction has taken."""
    row = answer_of(session, person, key)
    row.status, row.answer = status, answer
