"""Counts for the navigation and the home pages: each costs what is open, not what exists."""

from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from workflow.db.tables import Application, Installation, JobRow, Revision, VoteRow
from workflow.domain.application import Status


def count_waiting_for(session: Session, person: UUID) -> int:
    """How many submitted applications a person can still decide on."""
    voted = select(VoteRow.id).where(
        VoteRow.person == person,
        col(VoteRow.application) == col(Application.id),
        col(VoteRow.revision) == col(Application.revision),
    )
    wrote = select(Revision.id).where(Revision.author == person, col(Revision.application) == col(Application.id))
    return session.exec(
        select(func.count())
        .select_from(Application)
        .where(Application.status == Status.SUBMITTED.value, ~voted.exists(), ~wrote.exists())
    ).one()


def count_attention(session: Session) -> int:
    """How many things wait for an operator: jobs that gave up, and installations nobody has confirmed."""
    dead = session.exec(select(func.count()).select_from(JobRow).where(JobRow.state == "dead")).one()
    unconfirmed = session.exec(
        select(func.count()).select_from(Installation).where(col(Installation.confirmed_at).is_(None))
    ).one()
    return dead + unconfirmed
