"""Counts for the navigation and the home pages: each costs what is open, not what exists."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from workflow.db.queries.applications import NOTHING_LENT, Lent, decidable
from workflow.db.tables import Application, Installation, JobRow, Person, VoteRow
from workflow.domain.application import Status
from workflow.domain.events import JobState

_IN_HAND = [each.value for each in (Status.DRAFT, Status.SUBMITTED, Status.CHANGES_REQUESTED, Status.APPROVED)]


def count_waiting_for(session: Session, person: UUID, groups: Collection[str], lent: Lent = NOTHING_LENT) -> int:
    """How many submitted applications ask one of a person's groups, or of those lent to them, and wait for that person."""
    query = select(func.count()).select_from(Application).where(*decidable(person, groups, lent))
    return session.exec(query).one()


def count_attention(session: Session) -> int:
    """How many things wait for an operator: jobs that gave up, and installations nobody has confirmed."""
    dead = session.exec(select(func.count()).select_from(JobRow).where(JobRow.state == JobState.DEAD)).one()
    return dead + count_unconfirmed(session)


def count_unconfirmed(session: Session) -> int:
    """How many platforms have sent receipts and wait for an operator to confirm their key."""
    return session.exec(select(func.count()).select_from(Installation).where(col(Installation.confirmed_at).is_(None))).one()


def numbers_of(session: Session, applications: Collection[UUID]) -> dict[UUID, str]:
    """The numbers of these applications by id; other ids are left out."""
    rows = session.exec(select(Application.id, Application.number).where(col(Application.id).in_(applications)))
    return dict(rows.all())


def decided_since(session: Session, person: UUID, since: datetime) -> int:
    """How many decisions a person has made since an instant."""
    return session.exec(
        select(func.count()).select_from(VoteRow).where(VoteRow.person == person, col(VoteRow.at) >= since)
    ).one()


def open_of(session: Session, person: UUID, limit: int = 20) -> Sequence[Application]:
    """A person's applications that are not closed and not in force yet, last changed first."""
    open_states = [
        each.value
        for each in (
            Status.CHANGES_REQUESTED,
            Status.DRAFT,
            Status.SUBMITTED,
            Status.APPROVED,
            Status.ISSUED,
            Status.DELIVERED,
        )
    ]
    return session.exec(
        select(Application)
        .where(Application.owner == person, col(Application.status).in_(open_states))
        .order_by(col(Application.updated_at).desc())
        .limit(limit)
    ).all()


def in_hand_of(session: Session, person: UUID) -> Sequence[Application]:
    """What a person is in charge of that has led to no license yet, drafts included, longest unchanged first."""
    return session.exec(
        select(Application)
        .where(Application.owner == person, col(Application.status).in_(_IN_HAND))
        .order_by(col(Application.updated_at), col(Application.id))
    ).all()


def left_behind(session: Session, limit: int = 200) -> Sequence[tuple[Application, str]]:
    """What somebody who was disabled is in charge of and that has led to no license yet, with that person's name, longest
    unchanged first."""
    return session.exec(
        select(Application, Person.name)
        .join(Person, col(Person.id) == col(Application.owner))
        .where(col(Person.disabled_at).is_not(None), col(Application.status).in_(_IN_HAND))
        .order_by(col(Application.updated_at), col(Application.id))
        .limit(limit)
    ).all()


def count_left_behind(session: Session) -> int:
    """How much `left_behind` lists."""
    return session.exec(
        select(func.count())
        .select_from(Application)
        .join(Person, col(Person.id) == col(Application.owner))
        .where(col(Person.disabled_at).is_not(None), col(Application.status).in_(_IN_HAND))
    ).one()
