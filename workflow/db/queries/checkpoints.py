"""The checkpoints that are kept in the database."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from workflow.db.tables import CheckpointRow


def all_checkpoints(session: Session) -> Sequence[CheckpointRow]:
    """Every checkpoint, oldest first."""
    return session.exec(select(CheckpointRow).order_by(col(CheckpointRow.number))).all()


def last_at(session: Session) -> tuple[int, datetime] | None:
    """The number and the time of the newest checkpoint."""
    found = session.exec(
        select(CheckpointRow.number, CheckpointRow.at).order_by(col(CheckpointRow.number).desc()).limit(1)
    ).one_or_none()
    return (found[0], found[1]) if found else None


def add(session: Session, number: int, at: datetime, statement: bytes, heads: str) -> None:
    """Keeps one. Two witnesses at the same instant: the second meets the primary key."""
    session.add(CheckpointRow(number=number, at=at, statement=statement, heads=heads))
