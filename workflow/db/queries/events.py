"""Reading the audit record."""

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from workflow.db.outbox import CHAINED, chain_hash
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
    return break_in(of_stream(session, stream), head_of(session, stream))


def head_of(session: Session, stream: str) -> tuple[int, str]:
    """How many events a chain has had, and the hash of the last; (0, "") for one that never began."""
    head = session.exec(select(EventStream.count, EventStream.head).where(EventStream.stream == stream)).one_or_none()
    return (head[0], head[1]) if head is not None else (0, "")


def break_in(told: Sequence[EventRow], head: tuple[int, str]) -> int | None:
    """The number of the first of these events that is altered or missing when the chain has this head; None when it holds."""
    previous, expected = "", 1
    for row in told:
        if (
            row.sequence != expected
            or row.previous != previous
            or chain_hash({name: getattr(row, name) for name in CHAINED}) != row.hash
        ):
            return expected
        previous, expected = row.hash, expected + 1
    return None if head == (expected - 1, previous) else expected
