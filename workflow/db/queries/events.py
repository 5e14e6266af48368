"""Reading the audit record."""

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from workflow.db.outbox import chain_hash
from workflow.db.tables import EventRow, EventStream


def of_stream(session: Session, stream: str) -> Sequence[EventRow]:
    """Every event of a chain, oldest first."""
    return session.exec(select(EventRow).where(EventRow.stream == stream).order_by(col(EventRow.sequence))).all()


def get_event(session: Session, event: UUID) -> EventRow:
    """The event a job is owed for."""
    found = session.get(EventRow, event)
    assert found is not None, "foreign keys see to it"
    return found


def latest(session: Session, *, before: UUID | None = None, limit: int = 100) -> Sequence[EventRow]:
    """The newest events of all chains."""
    query = select(EventRow).order_by(col(EventRow.id).desc()).limit(limit)
    return session.exec(query.where(col(EventRow.id) < before) if before else query).all()


def first_broken(session: Session, stream: str) -> int | None:
    """The number of the first event of a chain that was altered or is missing, also at its end; None when the chain holds."""
    previous, expected = "", 1
    for row in of_stream(session, stream):
        if row.sequence != expected or row.previous != previous or chain_hash(row) != row.hash:
            return expected
        previous, expected = row.hash, expected + 1
    head = session.get(EventStream, stream, populate_existing=True)
    known = (head.count, head.head) if head is not None else (0, "")
    return None if known == (expected - 1, previous) else expected
