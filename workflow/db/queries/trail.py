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
    """Up to `limit` events, newest first, those of one instant in the order in which they were written, last one first; only
    older ones than `before`."""
    query = select(EventRow).order_by(col(EventRow.at).desc(), col(EventRow.id).desc()).limit(limit)
    if before:
        at = session.exec(select(EventRow.at).where(EventRow.id == before)).one_or_none()
        if at is None:
            return []
        query = query.where(tuple_(col(EventRow.at), col(EventRow.id)) < (at, before))
    if asked.person:
        query = query.where(col(EventRow.actor).in_(_actors(session, asked.person)))
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


def _actors(session: Session, said: str) -> list[str]:
    """The labels of those that somebody may mean: who has this address, else everybody with that in their name, and parts of
    the desk that act by themselves."""
    person = session.exec(select(Person.id).where(Person.email == said.lower())).one_or_none()
    if person is not None:
        return [f"person:{person}"]
    people = session.exec(select(Person.id).where(col(Person.name).icontains(said, autoescape=True))).all()
    parts = [each for each in _acting_parts(session) if said.casefold() in each.removeprefix(_PART).casefold()]
    return [*(f"person:{each}" for each in people), *parts]


_PART = "system:"


def _acting_parts(session: Session) -> list[str]:
    """Every part of the desk that has acted, found from label to label in the index: there are few, and very many events."""
    found: list[str] = []
    last = _PART
    while True:
        following = select(EventRow.actor).where(col(EventRow.actor) > last).order_by(col(EventRow.actor)).limit(1)
        label = session.exec(following).one_or_none()
        if label is None or not label.startswith(_PART):
            return found
        found.append(label)
        last = label


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
