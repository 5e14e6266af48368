"""What happened and happens around one application: its events, its deliveries, the jobs that are not done."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from workflow.db.tables import Delivery, EventRow, JobRow


def events_of(session: Session, application: UUID, limit: int = 500) -> Sequence[EventRow]:
    """The events of an application, oldest first; of a very long history the latest ones."""
    latest = session.exec(
        select(EventRow).where(EventRow.stream == str(application)).order_by(col(EventRow.sequence).desc()).limit(limit)
    ).all()
    return latest[::-1]


def deliveries_of(session: Session, application: UUID) -> Sequence[Delivery]:
    """Every message sent or tried for an application, oldest first. The stored bytes are left out."""
    return session.exec(
        select(Delivery)
        .where(Delivery.application == application)
        .options(defer(Delivery.mime))  # type: ignore[arg-type]  # a mapped column at run time
        .order_by(col(Delivery.id))
    ).all()


def unfinished_jobs_of(session: Session, application: UUID) -> Sequence[JobRow]:
    """The jobs about an application that wait, run, or gave up."""
    return session.exec(
        select(JobRow)
        .where(JobRow.ref == application, col(JobRow.state).in_(["pending", "running", "dead"]))
        .order_by(col(JobRow.id))
    ).all()
