"""The frame around every job: claim it, do it, and say what became of it, whatever happens in between."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Engine

from workers.stopping import is_stopping
from workflow.database import transaction
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob, LeaseLost
from workflow.domain.events import Job
from workflow.logs import concerning
from workflow.times import wall_now

log = logging.getLogger("workers")

PATIENCE = 30
"""What is claimed in one message is begun within this part of a lease, ten seconds of five minutes, or given back."""

MOST_IDS = 1_000
"""A message with more ids than this is not ours; the relay sends 25 at most. What it names comes back by itself."""

Read = TypeVar("Read")
ReadAll = Callable[[Sequence[ClaimedJob]], Mapping[UUID, Read]]


@dataclass(frozen=True)
class Claimant:
    """Who claims, and on what terms."""

    engine: Engine
    owner: str
    lease: timedelta
    max_attempts: int


def perform(kind: Job, job_id: str, work: Callable[[ClaimedJob], None], claimant: Claimant) -> None:
    """Claims the job and does `work`, which finishes, puts off or buries it. A job that is done, another's or of another kind
    is let go.

    An error that `work` did not foresee puts the job off: it is tried again, and dies after three days. Leases and waits count
    in wall-clock time, so that a demo that moves the clock loses no job.
    """
    for job in _claim(kind, [job_id], claimant):
        _alone(job, work, claimant)


def perform_together(
    kind: Job,
    job_ids: Sequence[str],
    together: Callable[[Sequence[ClaimedJob]], None],
    work: Callable[[ClaimedJob], None],
    claimant: Claimant,
) -> None:
    """Claims several jobs and does them `together`, in one transaction that finishes all; when that fails, nothing of it was
    kept, and each is done alone by `work`, so that one that cannot be done holds no other up. When all that takes too long
    (a locked row, a time limit), the rest is given back."""
    jobs_claimed = _claim(kind, job_ids, claimant)
    until = _end_of_patience(claimant)
    if len(jobs_claimed) > 1:
        try:
            together(jobs_claimed)
        except Exception as error:  # noqa: BLE001  (each is tried alone next, and says what is wrong with it)
            log.info("%d jobs are done one by one: %s", len(jobs_claimed), error)
        else:
            return
    _in_turn(jobs_claimed, work, claimant, until)


def perform_in_turn(
    kind: Job,
    job_ids: Sequence[str],
    read: ReadAll[Read],
    work: Callable[[ClaimedJob, Read], None],
    claimant: Claimant,
) -> None:
    """Claims several jobs and reads what they need at once, then does each alone, one after the other.

    Whoever waits too long for the one before it (a slow mail server), or for a worker that was told to stop, is given back, so
    that another worker may take it, and no job works with what was read long ago.
    """
    jobs_claimed = _claim(kind, job_ids, claimant)
    until = _end_of_patience(claimant)
    found = _read_for_all(jobs_claimed, read)
    _in_turn(jobs_claimed, lambda job: work(job, found[job.id] if job.id in found else read([job])[job.id]), claimant, until)


def _end_of_patience(claimant: Claimant) -> float:
    return time.monotonic() + claimant.lease.total_seconds() / PATIENCE


def _in_turn(claimed: Sequence[ClaimedJob], work: Callable[[ClaimedJob], None], claimant: Claimant, until: float) -> None:
    for done, job in enumerate(claimed):
        if done and (is_stopping() or time.monotonic() > until):
            with transaction(claimant.engine) as session:
                jobs.give_back(session, claimed[done:], wall_now())
            return
        _alone(job, work, claimant)


def _read_for_all(claimed: Sequence[ClaimedJob], read: ReadAll[Read]) -> Mapping[UUID, Read]:
    if len(claimed) <= 1:
        return {}
    try:
        return read(claimed)
    except Exception as error:  # noqa: BLE001  (each reads alone then, and says what is wrong with it)
        log.info("%d jobs are read one by one: %s", len(claimed), error)
        return {}


def _claim(kind: Job, job_ids: Sequence[str], claimant: Claimant) -> list[ClaimedJob]:
    ids: list[UUID] = []
    if len(job_ids) > MOST_IDS:
        log.error("a message held %d job ids, more than any of ours; dropped", len(job_ids))
        return []
    for job_id in job_ids:
        try:
            ids.append(UUID(job_id))
        except (ValueError, TypeError, AttributeError):
            log.error("a message held %.60r instead of a job id; dropped", job_id)
    if not ids:
        return []
    with transaction(claimant.engine) as session:
        return jobs.claim_all(session, kind, ids, claimant.owner, wall_now(), claimant.lease, claimant.max_attempts)


def _alone(job: ClaimedJob, work: Callable[[ClaimedJob], None], claimant: Claimant) -> None:
    with concerning(job=str(job.id), kind=job.kind, subject=str(job.ref or ""), event=str(job.event or "")):
        _try(job, work, claimant)


def _try(job: ClaimedJob, work: Callable[[ClaimedJob], None], claimant: Claimant) -> None:
    try:
        work(job)
    except LeaseLost:
        log.warning("job %s %s: the lease ended while it ran; whoever owns it now goes on", job.id, job.kind)
    except Exception as error:
        log.exception("job %s %s failed", job.id, job.kind)
        try:
            with transaction(claimant.engine) as session:
                jobs.put_off(session, job, wall_now(), f"{type(error).__name__}: {error}"[:2000])
        except LeaseLost:
            log.warning("job %s %s: the lease ended while it failed", job.id, job.kind)
