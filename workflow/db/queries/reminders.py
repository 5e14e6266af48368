"""Reminders: written in batches under their key, read for pages and before sending."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import tuple_
from sqlmodel import Session, col, select

from workflow.db.queries.people import team_of
from workflow.db.tables import Application, IssuedLicense, Reminder
from workflow.db.upsert import insert_into
from workflow.domain.reminders import ReminderState
from workflow.domain.roles import Actor, Permission, may

ListedReminder = tuple[Reminder, IssuedLicense, Application]
Position = tuple[datetime, UUID, int, str]
"""The sort key of a reminder in a list: created at, license, days ahead, recipient."""


def steps_done(session: Session, license_row: UUID) -> set[int]:
    """The steps (days ahead) of a license that have reminder rows, whatever became of them."""
    return set(session.exec(select(Reminder.days_ahead).where(Reminder.license == license_row)))


def were_sent(session: Session, license_id: str) -> bool:
    """Whether anybody was reminded of the end of any version of a license."""
    sent = select(Reminder.license).join(IssuedLicense, col(IssuedLicense.id) == col(Reminder.license))
    sent = sent.where(IssuedLicense.license_id == license_id, Reminder.state == ReminderState.SENT)
    return session.exec(sent.limit(1)).first() is not None


def insert_missing(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Adds reminder rows; one that exists stays as it is: the key makes a reminder happen once."""
    if not rows:
        return
    session.execute(insert_into(session, Reminder).values(list(rows)).on_conflict_do_nothing())


def find_by_job(session: Session, job: UUID) -> Reminder | None:
    """The reminder that a job sends."""
    return session.exec(select(Reminder).where(Reminder.job == job)).one_or_none()


def of_license(session: Session, license_row: UUID) -> Sequence[Reminder]:
    """The reminders of a license, latest first."""
    return session.exec(
        select(Reminder)
        .where(Reminder.license == license_row)
        .order_by(col(Reminder.created_at).desc(), col(Reminder.days_ahead))
    ).all()


def page(
    session: Session, actor: Actor, *, license_id: str = "", after: Position | None = None, limit: int = 50
) -> list[ListedReminder]:
    """Reminders of licenses an actor may see, latest first; one more than asked for when there are more."""
    key = (col(Reminder.created_at), col(Reminder.license), col(Reminder.days_ahead), col(Reminder.recipient))
    query = _visible(session, actor).order_by(*(each.desc() for each in key)).limit(limit + 1)
    if license_id:
        query = query.where(IssuedLicense.license_id == license_id)
    if after is not None:
        query = query.where(tuple_(*key) < after)
    return [(row[0], row[1], row[2]) for row in session.exec(query)]


def recent(session: Session, actor: Actor, limit: int = 100) -> Sequence[ListedReminder]:
    """Reminders of licenses that an actor may see, latest first."""
    return page(session, actor, limit=limit)[:limit]


def _visible(session: Session, actor: Actor) -> Any:
    query = (
        select(Reminder, IssuedLicense, Application)
        .join(IssuedLicense, col(IssuedLicense.id) == col(Reminder.license))
        .join(Application, col(Application.id) == col(IssuedLicense.application))
    )
    return query if may(actor, Permission.READ_ALL) else query.where(col(Application.owner).in_(team_of(session, actor)))
