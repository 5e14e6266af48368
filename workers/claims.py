"""The frame around every job: claim it, do it, and say what became of it, whatever happens in between."""

import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine

from workflow.database import transaction
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob, LeaseLost
from workflow.times import wall_now

log = logging.getLogger("workers")


def perform(
    job_id: str,
    work: Callable[[ClaimedJob], None],
    *,
    engine: Engine,
    owner: str,
    lease: timedelta,
    max_attempts: int,
) -> None:
    """Claims the job and does `work`, which finishes, puts off or buries it. A job that is done or another's is let go.

    An error that `work` did not foresee puts the job off: it is tried again, and dies after three days. Leases and waits count
    in wall-clock time, so that a demo that moves the clock loses no job.
    """
    try:
        job_uuid = UUID(job_id)
    except (ValueError, TypeError, AttributeError):
        log.error("a message held %r instead of a job id; dropped", job_id)
        return
    with transaction(engine) as session:
        job = jobs.claim(session, job_uuid, owner, wall_now(), lease, max_attempts)
    if job is None:
        return
    try:
        work(job)
    except LeaseLost:
        log.warning("job %s %s: the lease ended while it ran; whoever owns it now goes on", job.id, job.kind)
    except Exception as error:
        log.exception("job %s %s failed", job.id, job.kind)
        try:
            with transaction(engine) as session:
                jobs.put_off(session, job, wall_now(), f"{type(error).__name__}: {error}"[:2000])
        except LeaseLost:
            log.warning("job %s %s: the lease ended while it failed", job.id, job.kind)
