"""How much work is owed, kind by kind, and how long it has waited. Each question costs what is open, not what exists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, case, func, select
from sqlmodel import Session, col

from workflow.db.jobs import OPEN
from workflow.db.tables import JobRow
from workflow.domain.events import JobState

_PENDING = col(JobRow.state) == JobState.PENDING
_UNTOUCHED = and_(_PENDING, col(JobRow.attempts) == 0)
# A job nobody has taken has waited since it was owed, however often it was published; another one since it was due again.
_SINCE = case((_UNTOUCHED, col(JobRow.created_at)), else_=col(JobRow.next_at))


@dataclass(frozen=True)
class Queue:
    """One kind of job. `waiting` was never taken by a worker, `again` failed before and is tried again; `since` is how long the
    oldest has waited, in the future when nothing is late."""

    kind: str
    waiting: int = 0
    again: int = 0
    running: int = 0
    dead: int = 0
    since: datetime | None = None

    def lag(self, wall: datetime) -> timedelta:
        """How long the oldest job has waited for a worker."""
        return max(timedelta(), wall - self.since) if self.since else timedelta()


def all_queues(session: Session) -> Sequence[Queue]:
    """Every kind that has something open or dead, by name."""
    # Two statements, because each has an index of its own; one that asks for both reads the whole table.
    found = {
        kind: Queue(kind, waiting, again, running, since=since)
        for kind, waiting, again, running, since in session.execute(
            select(
                col(JobRow.kind),
                func.sum(case((_UNTOUCHED, 1), else_=0)),
                func.sum(case((and_(_PENDING, col(JobRow.attempts) > 0), 1), else_=0)),
                func.sum(case((col(JobRow.state) == JobState.RUNNING, 1), else_=0)),
                func.min(_SINCE),
            )
            .where(OPEN)
            .group_by(col(JobRow.kind))
        )
    }
    for kind, dead in session.execute(
        select(col(JobRow.kind), func.count()).where(col(JobRow.state) == JobState.DEAD).group_by(col(JobRow.kind))
    ):
        before = found.get(kind, Queue(kind))
        found[kind] = Queue(kind, before.waiting, before.again, before.running, dead, before.since)
    return [found[kind] for kind in sorted(found)]


def totals(queues: Sequence[Queue]) -> Queue:
    """All kinds together."""
    waits = [each.since for each in queues if each.since is not None]
    return Queue(
        kind="",
        waiting=sum(each.waiting for each in queues),
        again=sum(each.again for each in queues),
        running=sum(each.running for each in queues),
        dead=sum(each.dead for each in queues),
        since=min(waits, default=None),
    )
