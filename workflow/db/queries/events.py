"""Reading the audit record."""

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from workflow.db.outbox import chain_hash
from workflow.db.tables import EventRow


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


def first_broken(session: Session, stream: str) -> EventRow | None:
    """The first event of a chain that does not follow from the one before it; None when the chain holds."""
    previous, expected = "", 1
    for row in of_stream(session, stream):
        if row.sequence != expected or row.previous != previous or chain_hash(row) != row.hash:
            return row
        previous, expected = row.hash, expected + 1
    return None
