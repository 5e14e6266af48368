"""What an operator does about jobs that need attention. Jobs count in the machine's time."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from workflow.db import jobs, outbox
from workflow.db.queries import deliveries
from workflow.domain.events import SystemFact
from workflow.domain.roles import Actor, Permission, require
from workflow.errors import Conflict
from workflow.times import wall_now


class NotDead(Conflict):
    """The job is not waiting for an operator."""

    code = "jobs.not_dead"

    def __init__(self) -> None:
        super().__init__("This job is not waiting for an operator any more. Look at the list again.")


def retry_job(session: Session, actor: Actor, job: UUID, now: datetime) -> None:
    """Gives a dead job new attempts. A message in doubt is sent again with the same bytes. Raises NotDead."""
    require(actor, Permission.OPERATE)
    row = deliveries.get_job(session, job)
    if not jobs.retry(session, job, wall_now()):
        raise NotDead
    outbox.record(session, SystemFact("job.retried", str(job), row.kind), actor, now)


def cancel_job(session: Session, actor: Actor, job: UUID, now: datetime) -> None:
    """Gives a dead job up for good. Raises NotDead."""
    require(actor, Permission.OPERATE)
    row = deliveries.get_job(session, job)
    if not jobs.cancel(session, job, wall_now()):
        raise NotDead
    outbox.record(session, SystemFact("job.cancelled", str(job), row.kind), actor, now)


def hurry_job(session: Session, actor: Actor, job: UUID) -> None:
    """Tries a waiting job now instead of at the end of its pause; a job that is running already is fine."""
    require(actor, Permission.DOWNLOAD_FILE)
    jobs.hurry(session, job, wall_now())
