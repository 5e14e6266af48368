"""The life of a job row: published, claimed under a lease, finished, put off or dead. Core statements: this is the hot path.

A claim commits `attempts` before the work, so a job that kills its worker dies after its attempts instead of running forever.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, Update, and_, bindparam, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from workflow.database import UtcDateTime
from workflow.db.tables import JobRow, Reminder, table_of
from workflow.domain.events import Job, JobState
from workflow.domain.reminders import ReminderState

JOB = table_of(JobRow)
_REMINDER = table_of(Reminder)
_OPEN_STATES = [JobState.PENDING.value, JobState.RUNNING.value]
# Written into the statement and not bound: SQLite uses the partial index only for states that it sees.
OPEN = JOB.c.state.in_(bindparam("open_states", _OPEN_STATES, expanding=True, literal_execute=True))
REPUBLISH_AFTER = timedelta(seconds=60)
COURTESY = timedelta(seconds=30)
"""How long a letter waits at most for licenses that are due."""
LONGEST_WAIT = timedelta(minutes=15)
HELD = "held"
"""The detail of a delivery that waits for somebody to confirm its recipient, or for a key."""
PATIENCE = timedelta(days=3)
"""How long a step that depends on the outside (a mail server) is tried again."""


_DIED = "Its worker died {} times while doing this. Look at the worker's log, then retry."
_FREE = or_(
    JOB.c.state == JobState.PENDING,
    and_(JOB.c.state == JobState.RUNNING, JOB.c.lease_until <= bindparam("at", type_=UtcDateTime)),
)
# The kind as well: whoever can write to the broker must not have a signature done by sending its id to the mail worker.
_NAMED = (JOB.c.id.in_(bindparam("claimed", expanding=True)), JOB.c.kind == bindparam("of_kind"))
_CRASHES = JOB.c.attempts - JOB.c.deferred
_CLAIM = (
    update(JOB)
    .where(*_NAMED, _FREE, bindparam("most") > _CRASHES)
    .values(
        state=JobState.RUNNING,
        owner=bindparam("by"),
        lease_until=bindparam("lease"),
        next_at=bindparam("lease"),
        attempts=JOB.c.attempts + 1,
        published=0,
    )
    .returning(
        JOB.c.id,
        JOB.c.kind,
        JOB.c.ref,
        JOB.c.recipient,
        JOB.c.event,
        JOB.c.detail,
        JOB.c.attempts,
        JOB.c.deferred,
        JOB.c.owner,
        JOB.c.created_at,
        JOB.c.dedupe_key,
    )
)
_END = (
    update(JOB)
    .where(*_NAMED, _FREE, bindparam("most") <= _CRASHES)
    .values(state=JobState.DEAD, lease_until=None, last_error=bindparam("why"))
    .returning(JOB.c.id)
)


def _take(*which: ColumnElement[bool]) -> ReturningUpdate[Any]:
    # SKIP LOCKED for several relays; SQLite has one writer and no such words.
    due = (
        select(JOB.c.id).where(OPEN, *which).order_by(JOB.c.next_at).limit(bindparam("most")).with_for_update(skip_locked=True)
    )
    return (
        update(JOB)
        .where(JOB.c.id.in_(due.scalar_subquery()))
        .values(next_at=bindparam("again"), published=JOB.c.published + 1)
        .returning(JOB.c.id, JOB.c.kind, JOB.c.attempts, JOB.c.last_error, JOB.c.ref)
    )


_DUE = JOB.c.next_at <= bindparam("due_at")
_TAKE_ANY = _take(_DUE)
_TAKE_URGENT = _take(_DUE, or_(JOB.c.kind != Job.LETTER, JOB.c.next_at <= bindparam("letters_due_at")))
_KINDS = frozenset(each.value for each in Job)
_REFUSE = (
    update(JOB)
    .where(JOB.c.id.in_(bindparam("unknown", expanding=True)), JOB.c.published >= bindparam("rounds"))
    .values(state=JobState.DEAD, done_at=bindparam("at"), last_error=bindparam("why"))
)
UNKNOWN_ROUNDS = 10
"""How often a job of a kind that this release does not know comes up before it is refused: ten minutes, in which a relay that
is older than the pages may be replaced."""
_UNKNOWN = "No relay of this release knows this kind of work. Update relay and workers, then retry; or somebody edited the row."
_FAIL_REMINDER = (
    update(_REMINDER).where(_REMINDER.c.job == bindparam("by_job")).values(state=ReminderState.FAILED, reason=bindparam("why"))
)


@dataclass(frozen=True)
class ClaimedJob:
    """A job that belongs to this worker until its lease ends; later writes name `owner` and `attempts` as their fence."""

    id: UUID
    kind: str
    ref: UUID | None
    recipient: UUID | None
    event: UUID | None
    detail: str
    attempts: int
    deferred: int
    owner: str
    created_at: datetime
    dedupe_key: str


class LeaseLost(Exception):
    """Another worker owns the job by now; whatever this one did must not be recorded."""


@dataclass(frozen=True)
class DueJob:
    """A job to be published, and what it is about. `tried` is one that was claimed before, or buried and then retried."""

    id: UUID
    kind: str
    tried: bool
    ref: UUID | None = None


def take_due(session: Session, now: datetime, lease: timedelta, limit: int = 500) -> list[DueJob]:
    """Marks up to `limit` due jobs as published and returns them; leases that ran out are due again. Letters wait while
    anything else is due, though not for longer than `COURTESY`: they tell of licenses, they are none.

    Commit before publishing: a job published twice is harmless, a job marked and not published comes back. One of a kind that
    nobody knows is never published; it is dead after `UNKNOWN_ROUNDS`, for an operator to see.
    """
    again = now + min(REPUBLISH_AFTER, max(lease, timedelta(seconds=2)))
    terms = {"due_at": now, "letters_due_at": now - COURTESY, "again": again, "most": limit}
    due = _taken(session, _TAKE_URGENT, terms) or _taken(session, _TAKE_ANY, terms)
    unknown = [job.id for job in due if job.kind not in _KINDS]
    if unknown:
        refused = {"unknown": unknown, "rounds": UNKNOWN_ROUNDS, "at": now, "why": _UNKNOWN}
        session.connection().execute(_REFUSE, refused)
    return [job for job in due if job.kind in _KINDS]


def _taken(session: Session, take: ReturningUpdate[Any], terms: dict[str, Any]) -> list[DueJob]:
    # An operator's retry counts the attempts anew, what the last one said stays. (Asked for IS NOT NULL in a RETURNING, SQLite
    # 3.40 says yes to a NULL.)
    return [
        DueJob(row.id, row.kind, row.attempts > 0 or row.last_error is not None, row.ref)
        for row in session.connection().execute(take, terms)
    ]


def claim(
    session: Session, kind: Job, job_id: UUID, owner: str, now: datetime, lease: timedelta, max_attempts: int
) -> ClaimedJob | None:
    """Takes the job for `owner`; None when it is done, another's, of another kind, or out of attempts (it is dead then)."""
    return next(iter(claim_all(session, kind, [job_id], owner, now, lease, max_attempts)), None)


def claim_all(
    session: Session, kind: Job, job_ids: Sequence[UUID], owner: str, now: datetime, lease: timedelta, max_attempts: int
) -> list[ClaimedJob]:
    """Takes those of the jobs that are of this kind and can be had, each once, in the order given; those out of attempts are
    dead then."""
    connection = session.connection()
    wanted = list(dict.fromkeys(job_ids))
    terms = {"of_kind": kind.value, "at": now, "most": max_attempts}
    taken = connection.execute(_CLAIM, {"claimed": wanted, "by": owner, "lease": now + lease, **terms})
    claimed = {row.id: ClaimedJob(*row) for row in taken}
    left = [job_id for job_id in wanted if job_id not in claimed]
    if left:
        why = _DIED.format(max_attempts)
        for (died,) in connection.execute(_END, {"claimed": left, "why": why, **terms}):
            _fail_reminder(session, died, kind, why)
    return [claimed[job_id] for job_id in wanted if job_id in claimed]


def finish(session: Session, job: ClaimedJob, now: datetime, note: str | None = None) -> None:
    """Done, in the same transaction as the effect. Raises LeaseLost when another worker owns the job."""
    _write(session, job, state=JobState.DONE, done_at=now, lease_until=None, last_error=note)


def finish_all(session: Session, claimed: Sequence[ClaimedJob], now: datetime) -> None:
    """All of them done, in the same transaction as their effect. Raises LeaseLost when another worker owns one of them."""
    values = {"state": JobState.DONE, "done_at": now, "lease_until": None, "last_error": None}
    written: CursorResult[Any] = session.connection().execute(
        _fenced(tuple(values)), [{**values, **_fence(job)} for job in claimed]
    )
    if written.rowcount != len(claimed):
        raise LeaseLost(f"one of {len(claimed)} jobs is no longer {claimed[0].owner}'s")


def fold(session: Session, waiting: Collection[UUID], now: datetime, note: str) -> None:
    """Jobs that were never claimed and that the caller has locked are done by another one; `note` says which."""
    done = {"state": JobState.DONE, "done_at": now, "last_error": note}
    session.execute(update(JOB).where(JOB.c.id.in_(waiting), JOB.c.state == JobState.PENDING).values(done))


def put_off(session: Session, job: ClaimedJob, now: datetime, error: str) -> bool:
    """Tries again later, with growing waits; after three days the job is dead. Returns whether it will be tried again."""
    if now - job.created_at > PATIENCE:
        bury(session, job, now, error)
        return False
    _write(
        session,
        job,
        state=JobState.PENDING,
        lease_until=None,
        next_at=now + backoff(job.attempts),
        deferred=job.deferred + 1,
        last_error=error,
    )
    return True


def give_back(session: Session, claimed: Sequence[ClaimedJob], now: datetime) -> None:
    """Jobs that were claimed and not begun are due again at once, for whoever is free. One that is another's by now stays."""
    values = {"state": JobState.PENDING, "lease_until": None, "next_at": now}
    session.connection().execute(
        _fenced((*values, "deferred")), [{**values, "deferred": job.deferred + 1, **_fence(job)} for job in claimed]
    )


def bury(session: Session, job: ClaimedJob, now: datetime, error: str) -> None:
    """Dead: nobody tries it again until an operator says so. A reminder that it was to send has failed until then."""
    _write(session, job, state=JobState.DEAD, lease_until=None, done_at=now, last_error=error)
    _fail_reminder(session, job.id, job.kind, error)


def hold(session: Session, job: ClaimedJob, now: datetime, why: str) -> None:
    """Waits for a person who has to look at it: as a dead one, and `release` finds it again."""
    _write(session, job, state=JobState.DEAD, lease_until=None, done_at=now, last_error=why, detail=HELD)


def release(session: Session, recipient: UUID, now: datetime) -> list[UUID]:
    """The jobs held for a recipient are due again. Returns the applications they are about."""
    again = {"state": JobState.PENDING, "next_at": now, "attempts": 0, "deferred": 0, "created_at": now, "done_at": None}
    released = session.execute(
        update(JOB)
        .where(JOB.c.state == JobState.DEAD, JOB.c.recipient == recipient, JOB.c.detail == HELD)
        .values(**again, detail="", last_error=None)
        .returning(JOB.c.ref)
    )
    return [ref for (ref,) in released]


def held_for(session: Session, recipients: Collection[UUID]) -> set[UUID]:
    """Those of these recipients for whom a delivery is held."""
    query = select(JOB.c.recipient).where(JOB.c.state == JobState.DEAD, JOB.c.detail == HELD, JOB.c.recipient.in_(recipients))
    return set(session.connection().execute(query.distinct()).scalars())


def extend(session: Session, job: ClaimedJob, until: datetime) -> None:
    """Keeps a job for longer. Raises LeaseLost when it is too late for that."""
    _write(session, job, lease_until=until, next_at=until)


def backoff(attempts: int) -> timedelta:
    """The wait before attempt `attempts` + 1: 2, 4, 8 … seconds, at most 15 minutes, with a fifth of jitter."""
    wait = min(timedelta(seconds=2 ** min(attempts, 12)), LONGEST_WAIT)
    return wait * random.uniform(0.8, 1.2)  # noqa: S311  (spreads load, keeps no secret)


def retry(session: Session, job_id: UUID, now: datetime) -> bool:
    """An operator's retry of a dead job. Returns whether it was dead."""
    again = {"state": JobState.PENDING, "next_at": now, "attempts": 0, "deferred": 0, "created_at": now, "done_at": None}
    return _change(session, job_id, JobState.DEAD, **again)


def cancel(session: Session, job_id: UUID, now: datetime, why: str) -> bool:
    """An operator gives a dead job up. Returns whether it was dead."""
    return _change(session, job_id, JobState.DEAD, state=JobState.CANCELLED, done_at=now, last_error=why)


def hurry(session: Session, job_id: UUID, now: datetime) -> bool:
    """Brings a waiting job forward. Returns whether it was waiting."""
    return _change(session, job_id, JobState.PENDING, next_at=now)


def _change(session: Session, job_id: UUID, from_state: JobState, **values: Any) -> bool:
    changed = session.execute(update(JOB).where(JOB.c.id == job_id, JOB.c.state == from_state).values(**values))
    return bool(cast(CursorResult[Any], changed).rowcount)


def _fail_reminder(session: Session, job: UUID, kind: str, why: str) -> None:
    if kind == Job.REMINDER:
        session.connection().execute(_FAIL_REMINDER, {"by_job": job, "why": why})


def _write(session: Session, job: ClaimedJob, **values: Any) -> None:
    written: CursorResult[Any] = session.connection().execute(_fenced(tuple(values)), {**values, **_fence(job)})
    if written.rowcount != 1:
        raise LeaseLost(f"job {job.id} is no longer {job.owner}'s")


def _fence(job: ClaimedJob) -> dict[str, Any]:
    return {"of_job": job.id, "of_owner": job.owner, "of_attempt": job.attempts}


@cache
def _fenced(columns: tuple[str, ...]) -> Update:
    """The UPDATE of these columns of a job that is still its claimant's. The attempt belongs to the fence: the same worker may
    have claimed the job a second time while its first try hung."""
    return (
        update(JOB)
        .where(
            JOB.c.id == bindparam("of_job"),
            JOB.c.owner == bindparam("of_owner"),
            JOB.c.attempts == bindparam("of_attempt"),
            JOB.c.state == JobState.RUNNING,
        )
        .values({name: bindparam(name) for name in columns})
    )
