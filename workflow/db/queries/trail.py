"""Looking through the history: by person, application, kind and time, newest first, page by page."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import tuple_
from sqlmodel import Session, col, select

from workflow.db.tables import Application, EventRow, Person, Revision


@dataclass(frozen=True)
class Asked:
    """What is looked for; what is empty narrows nothing. `until` is the first instant that is too late."""

    person: str = ""
    """an e-mail address, or part of a name"""
    application: str = ""
    """its number"""
    kind: str = ""
    """the type of event"""
    since: datetime | None = None
    until: datetime | None = None


def page(session: Session, asked: Asked, *, before: UUID | None = None, limit: int) -> Sequence[EventRow]:
    """Up to `limit` events, in the order in which they were written, newest first; only older ones than `before`."""
    query = select(EventRow).order_by(col(EventRow.id).desc()).limit(limit)
    if before:
        query = query.where(col(EventRow.id) < before)
    if asked.person:
        person = session.exec(select(Person.id).where(Person.email == asked.person.lower())).one_or_none()
        by_name = col(EventRow.actor_name).icontains(asked.person, autoescape=True)
        query = query.where(col(EventRow.actor) == f"person:{person}" if person else by_name)
    if asked.application:
        found = session.exec(select(Application.id).where(Application.number == asked.application.upper())).one_or_none()
        query = query.where(EventRow.stream == (str(found) if found else ""))
    if asked.kind:
        query = query.where(EventRow.type == asked.kind)
    if asked.since:
        query = query.where(col(EventRow.at) >= asked.since)
    if asked.until:
        query = query.where(col(EventRow.at) < asked.until)
    return session.exec(query).all()


def policies_of(session: Session, events: Collection[EventRow]) -> Mapping[tuple[str, int], str]:
    """The hash of the policy that each revision named by these events was submitted under, by chain and revision."""
    named = {(UUID(each.stream), each.revision) for each in events if each.revision is not None}
    if not named:
        return {}
    rows = session.exec(
        select(Revision.application, Revision.number, Revision.policy_sha256).where(
            tuple_(col(Revision.application), col(Revision.number)).in_(named)
        )
    )
    return {(str(application), number): policy for application, number, policy in rows}
