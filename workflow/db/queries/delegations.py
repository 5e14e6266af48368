"""Who acts for whom, and when."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_
from sqlmodel import Session, col, select

from workflow.db.tables import DelegationRow, Person
from workflow.errors import NotFound


def get_delegation(session: Session, delegation: UUID) -> DelegationRow:
    """The delegation with this id. Raises NotFound."""
    found = session.get(DelegationRow, delegation)
    if found is None:
        raise NotFound("There is no such delegation.")
    return found


def not_over(session: Session, now: datetime, *, giver: UUID | None = None) -> Sequence[DelegationRow]:
    """What is in force or still to come, everybody's or of one giver, first days first."""
    query = select(DelegationRow).where(col(DelegationRow.ended_at).is_(None), col(DelegationRow.ends_at) > now)
    if giver is not None:
        query = query.where(DelegationRow.giver == giver)
    return session.exec(query.order_by(col(DelegationRow.starts_at), col(DelegationRow.id))).all()


def overlapping(session: Session, giver: UUID, starts_at: datetime, ends_at: datetime) -> DelegationRow | None:
    """What a person has given for a part of that time."""
    return session.exec(
        select(DelegationRow).where(
            DelegationRow.giver == giver,
            col(DelegationRow.ended_at).is_(None),
            col(DelegationRow.starts_at) < ends_at,
            col(DelegationRow.ends_at) > starts_at,
        )
    ).first()


def was_delegate(session: Session, giver: UUID, delegate: UUID, at: datetime) -> bool:
    """Whether one acted for the other at an instant."""
    found = session.exec(
        select(DelegationRow.id).where(DelegationRow.giver == giver, DelegationRow.delegate == delegate, *_in_force(at))
    )
    return found.first() is not None


def delegates_of(session: Session, givers: Collection[UUID], at: datetime) -> frozenset[UUID]:
    """Those who act for these people at an instant, unless they cannot sign in."""
    return frozenset(
        session.exec(
            select(DelegationRow.delegate)
            .join(Person, col(Person.id) == col(DelegationRow.delegate))
            .where(col(DelegationRow.giver).in_(list(givers)), col(Person.disabled_at).is_(None), *_in_force(at))
        )
    )


def givers_to(session: Session, delegate: UUID, at: datetime) -> Sequence[Person]:
    """The people somebody acts for at an instant, by name."""
    return session.exec(
        select(Person)
        .join(DelegationRow, col(DelegationRow.giver) == col(Person.id))
        .where(DelegationRow.delegate == delegate, *_in_force(at))
        .order_by(col(Person.name), col(Person.id))
    ).all()


def _in_force(at: datetime) -> tuple[Any, ...]:
    return (
        col(DelegationRow.starts_at) <= at,
        col(DelegationRow.ends_at) > at,
        or_(col(DelegationRow.ended_at).is_(None), col(DelegationRow.ended_at) > at),
    )
