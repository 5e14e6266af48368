"""What an operator does about jobs that need attention. Jobs count in the machine's time."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from sqlmodel import Session

from workflow.db import jobs, outbox
from workflow.db.queries import deliveries
from workflow.domain.events import Job, JobState, SystemFact
from workflow.domain.roles import Actor, Permission, require
from workflow.errors import Conflict, Invalid, Problem
from workflow.times import wall_now

LONGEST_REASON = 500
JOB_WORDS: Mapping[str, str] = MappingProxyType(
    {
        Job.SIGN.value: "Sign a license",
        Job.DELIVER.value: "Deliver a license",
        Job.LETTER.value: "Send a letter",
        Job.DIGEST.value: "Send a digest of letters",
        Job.NOTICE.value: "Send a notice about an account or the history",
        Job.PORTAL_CODE.value: "Send a portal code",
        Job.REMINDER.value: "Send an expiry reminder",
        Job.ONE_TIME_LINK.value: "Send a link to choose a password",
    }
)
"""What each kind of job does, for people; in the order of the path."""
JOB_STATE_WORDS: Mapping[JobState, str] = MappingProxyType(
    {
        JobState.PENDING: "Waiting",
        JobState.RUNNING: "Running",
        JobState.DONE: "Done",
        JobState.DEAD: "Gave up",
        JobState.CANCELLED: "Given up by an operator",
    }
)


class NotDead(Conflict):
    """The job is not waiting for an operator."""

    code = "jobs.not_dead"

    def __init__(self) -> None:
        super().__init__("This job is not waiting for an operator any more. Look at the list again.")


class ReasonMissing(Invalid):
    """Whoever gives a job up has to say why."""

    code = "jobs.reason_missing"

    def __init__(self) -> None:
        said = f"Say why this job is given up, in at most {LONGEST_REASON} characters. It stays in the history."
        super().__init__(said, [Problem("reason", "missing", said)])


def retry_job(session: Session, actor: Actor, job: UUID, now: datetime) -> None:
    """Gives a dead job new attempts. A message in doubt is sent again with the same bytes. Raises NotDead."""
    require(actor, Permission.OPERATE)
    row = deliveries.get_job(session, job)
    if not jobs.retry(session, job, wall_now()):
        raise NotDead
    outbox.record(session, SystemFact("job.retried", str(job), row.kind), actor, now)


def cancel_job(session: Session, actor: Actor, job: UUID, reason: str, now: datetime) -> None:
    """Gives a dead job up for good, and keeps why. Raises NotDead, ReasonMissing."""
    require(actor, Permission.OPERATE)
    row = deliveries.get_job(session, job)
    why = " ".join(reason.split())
    if not 0 < len(why) <= LONGEST_REASON:
        raise ReasonMissing
    before = f" Before that: {row.last_error}" if row.last_error else ""
    if not jobs.cancel(session, job, wall_now(), f"Given up by {actor.name}: {why}{before}"):
        raise NotDead
    outbox.record(session, SystemFact("job.cancelled", str(job), f"{row.kind}: {why}"), actor, now)


def hurry_job(session: Session, actor: Actor, job: UUID) -> None:
    """Tries a waiting job now instead of at the end of its pause; a job that is running already is fine."""
    require(actor, Permission.DELIVER)
    jobs.hurry(session, job, wall_now())
