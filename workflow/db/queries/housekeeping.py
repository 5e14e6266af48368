"""Heartbeats, and rows that nobody needs any more."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, text
from sqlmodel import Session, col, select

from workflow.db.tables import Heartbeat, IdempotencyKey, SignedIn
from workflow.db.upsert import insert_into
from workflow.domain.processes import FORGOTTEN_AFTER


def beat(session: Session, process: str, detail: str, wall: datetime, endings: Mapping[str, datetime] | None = None) -> None:
    """Says that a process lives, and when what it holds ends."""
    said = {"at": wall, "detail": detail, "endings": json.dumps({what: at.isoformat() for what, at in (endings or {}).items()})}
    session.execute(
        insert_into(session, Heartbeat)
        .values(process=process, **said)
        .on_conflict_do_update(index_elements=["process"], set_=said)
    )


def leave(session: Session, process: str) -> None:
    """A process ends as it was told to; its silence from now on means nothing."""
    session.execute(delete(Heartbeat).where(col(Heartbeat.process) == process))


def heartbeats(session: Session) -> Sequence[Heartbeat]:
    """When each process last said that it lives."""
    return session.exec(select(Heartbeat).order_by(Heartbeat.process)).all()


def answers(session: Session) -> None:
    """Asks the database for nothing; an exception says that it does not answer."""
    session.execute(text("SELECT 1"))


def endings_of(beats: Sequence[Heartbeat]) -> dict[str, datetime]:
    """When what the processes hold ends, by what it is; of two that say different days the earlier counts."""
    found: dict[str, datetime] = {}
    for each in beats:
        for what, at in json.loads(each.endings).items():
            ends = datetime.fromisoformat(at)
            found[what] = min(ends, found.get(what, ends))
    return found


def forget_ended(session: Session, wall: datetime) -> None:
    """Removes ended sessions, answers kept for repeated requests, and processes that left without a word long ago."""
    session.execute(delete(Heartbeat).where(col(Heartbeat.at) <= wall - FORGOTTEN_AFTER))
    session.execute(delete(SignedIn).where(col(SignedIn.ends_at) <= wall))
    session.execute(delete(IdempotencyKey).where(col(IdempotencyKey.until) <= wall))
