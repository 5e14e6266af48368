"""What the witness found wrong in the history."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, update
from sqlmodel import Session, col, select

from workflow.db.tables import FindingRow
from workflow.db.upsert import insert_into


def insert_missing(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Adds findings; one that was found before stays as it is."""
    for row in rows:
        session.execute(insert_into(session, FindingRow).values(row).on_conflict_do_nothing(index_elements=["key"]))


def take_untold(session: Session, told_in: UUID) -> int:
    """Puts everything that nobody was told of into this round of letters. Returns how many."""
    taken = session.execute(update(FindingRow).where(col(FindingRow.told_in).is_(None)).values(told_in=told_in))
    return cast(CursorResult[Any], taken).rowcount


def told_in(session: Session, round_of_letters: UUID) -> Sequence[FindingRow]:
    """The findings of a round of letters, in the order in which they were found."""
    return session.exec(select(FindingRow).where(FindingRow.told_in == round_of_letters).order_by(col(FindingRow.id))).all()
