"""Counting attempts within a window."""

from datetime import datetime, timedelta

from sqlalchemy import case, delete
from sqlmodel import Session, col

from workflow.db.tables import Throttle
from workflow.db.upsert import insert_into


def count(session: Session, key: str, window: timedelta, wall: datetime) -> int:
    """Adds one attempt and returns how many there are in the running window; an ended window starts anew."""
    ended = col(Throttle.window_ends_at) <= wall
    counted = session.execute(
        insert_into(session, Throttle)
        .values(key=key, count=1, window_ends_at=wall + window)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={
                "count": case((ended, 1), else_=col(Throttle.count) + 1),
                "window_ends_at": case((ended, wall + window), else_=col(Throttle.window_ends_at)),
            },
        )
        .returning(col(Throttle.count))
    ).scalar_one()
    return int(counted)


def seconds_left(session: Session, key: str, limit: int, wall: datetime) -> int:
    """How long the key is shut because it has had `limit` attempts; 0 when it is open."""
    row = session.get(Throttle, key)
    if row is None or row.count < limit or row.window_ends_at <= wall:
        return 0
    return max(1, round((row.window_ends_at - wall).total_seconds()))


def clear(session: Session, key: str) -> None:
    """Forgets the attempts under a key."""
    session.execute(delete(Throttle).where(col(Throttle.key) == key))


def forget_ended(session: Session, wall: datetime) -> None:
    """Removes windows that have ended."""
    session.execute(delete(Throttle).where(col(Throttle.window_ends_at) <= wall))
