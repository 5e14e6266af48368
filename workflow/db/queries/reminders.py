"""Reminders: written in batches under their key, read for pages and before sending."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from workflow.db.tables import Application, IssuedLicense, Reminder
from workflow.domain.roles import Actor, Permission, may


def steps_done(session: Session, license_row: UUID) -> set[int]:
    """The steps (days ahead) of a license that have reminder rows, whatever became of them."""
    return set(session.exec(select(Reminder.days_ahead).where(Reminder.license == license_row)))


def insert_missing(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Adds reminder rows; one that exists stays as it is: the key makes a reminder happen once."""
    if not rows:
        return
    dialect = session.get_bind().dialect.name
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(Reminder)
    session.execute(statement.values(list(rows)).on_conflict_do_nothing())


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


def recent(session: Session, actor: Actor, limit: int = 100) -> Sequence[tuple[Reminder, IssuedLicense, Application]]:
    """Reminders of licenses that an actor may see, latest first."""
    query = (
        select(Reminder, IssuedLicense, Application)
        .join(IssuedLicense, col(IssuedLicense.id) == col(Reminder.license))
        .join(Application, col(Application.id) == col(IssuedLicense.application))
        .order_by(col(Reminder.created_at).desc(), col(Reminder.days_ahead))
        .limit(limit)
    )
    if not may(actor, Permission.READ_ALL):
        query = query.where(Application.owner == actor.person_id)
    return session.exec(query).all()
