"""Reading the audit record."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple, Protocol, cast
from uuid import UUID

import sqlalchemy
from sqlalchemy import Table, func
from sqlmodel import Session, col, select

from workflow.db.chains import Break, Head, Link, break_in
from workflow.db.tables import Application, EventRow, EventStream, IssuedLicense
from workflow.domain.events import ApplicationApproved

WALKED_AT_ONCE = 2_000
_EVENT = cast(Table, EventRow.__table__)  # type: ignore[attr-defined]  # made by the metaclass
_WALK = sqlalchemy.select(_EVENT).order_by(_EVENT.c.stream, _EVENT.c.sequence)
_HEADS = select(EventStream.stream, EventStream.count, EventStream.head)


class Told(Link, Protocol):
    """An event as `walk` reads it."""

    stream: str
    type: str
    payload: str


def of_stream(session: Session, stream: str) -> Sequence[EventRow]:
    """Every event of a chain, oldest first."""
    return session.exec(select(EventRow).where(EventRow.stream == stream).order_by(col(EventRow.sequence))).all()


def approved_at(session: Session, applications: Collection[UUID]) -> dict[UUID, datetime]:
    """When these applications were approved last."""
    if not applications:
        return {}
    by_stream = {str(each): each for each in applications}
    rows = session.exec(
        select(EventRow.stream, func.max(EventRow.at))
        .where(col(EventRow.stream).in_(by_stream), EventRow.type == ApplicationApproved.type)
        .group_by(EventRow.stream)
    )
    return {by_stream[stream]: at for stream, at in rows}


_Joined = tuple[str, int, str, EventRow | None]
"""A head with one of its chain's events; with None when all events are gone."""


class Chain(NamedTuple):
    """The events of a chain, oldest first, and its head as it was at the very same instant."""

    told: Sequence[EventRow]
    head: Head

    @property
    def broken(self) -> Break | None:
        """Where it breaks first; None when it holds."""
        return break_in(self.told, self.head)


NEVER_BEGAN = Chain((), Head(0, ""))


def chains_of(session: Session, streams: Collection[str]) -> dict[str, Chain]:
    """These chains; one that never began is not among them.

    One statement reads events and heads, so that an event that is added meanwhile is in both or in neither.
    """
    rows = session.exec(
        select(EventStream.stream, EventStream.count, EventStream.head, EventRow)
        .join(EventRow, col(EventRow.stream) == col(EventStream.stream), isouter=True)
        .where(col(EventStream.stream).in_(streams))
        .order_by(col(EventStream.stream), col(EventRow.sequence))
    )
    return {
        stream: Chain(tuple(event for *_, event in its_own if event is not None), Head(count, head))
        for (stream, count, head), its_own in groupby(cast(Iterable[_Joined], rows), key=lambda row: row[:3])
    }


def chain_of(session: Session, stream: str) -> Chain:
    """One chain; an empty one if it never began."""
    return chains_of(session, [stream]).get(stream, NEVER_BEGAN)


def by_ids(session: Session, wanted: Collection[UUID]) -> dict[UUID, EventRow]:
    """The events with these ids."""
    return {row.id: row for row in session.exec(select(EventRow).where(col(EventRow.id).in_(wanted)))}


def first_broken(session: Session, stream: str) -> int | None:
    """The number of the first event of a chain that was altered or is missing, also at its end; None when the chain holds."""
    found = chain_of(session, stream).broken
    return found.sequence if found else None


def hold(session: Session, stream: str) -> None:
    """Keeps others from adding to a chain until the transaction ends, so that what it does not tell yet can be added once."""
    session.exec(select(EventStream.stream).where(EventStream.stream == stream).with_for_update()).one_or_none()


def told_by(session: Session, stream: str, kind: str, actor: str, revision: int | None) -> Sequence[EventRow]:
    """What a chain tells of one kind about one actor and one revision, oldest first."""
    return session.exec(
        select(EventRow)
        .where(EventRow.stream == stream, EventRow.type == kind, EventRow.actor == actor, EventRow.revision == revision)
        .order_by(col(EventRow.sequence))
    ).all()


def of_kind(session: Session, stream: str, kind: str) -> Sequence[EventRow]:
    """What a chain tells of one kind, oldest first."""
    return session.exec(
        select(EventRow).where(EventRow.stream == stream, EventRow.type == kind).order_by(col(EventRow.sequence))
    ).all()


def heads(session: Session) -> dict[str, Head]:
    """The heads of all chains."""
    return {stream: Head(count, head) for stream, count, head in session.execute(_HEADS)}


def walk(session: Session) -> Iterator[Told]:
    """Every event there is, chain by chain, oldest first; read from the database as it is asked for."""
    return cast(Iterator[Told], iter(session.connection().execution_options(yield_per=WALKED_AT_ONCE).execute(_WALK)))


def applications_by_stream(session: Session) -> dict[str, str]:
    """The number of each application by the name of its chain."""
    return {str(identity): number for identity, number in session.execute(select(Application.id, Application.number))}


def issued_files(session: Session) -> dict[str, set[str]]:
    """The digests of the licenses that are stored, by the name of their application's chain."""
    found: dict[str, set[str]] = {}
    for application, digest in session.execute(select(IssuedLicense.application, IssuedLicense.payload_sha256)):
        found.setdefault(str(application), set()).add(digest)
    return found
