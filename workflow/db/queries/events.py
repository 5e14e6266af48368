"""Reading the audit record."""

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol, cast
from uuid import UUID

import sqlalchemy
from sqlalchemy import Table
from sqlmodel import Session, col, select

from workflow.db.chains import Head, Link, break_in
from workflow.db.tables import Application, EventRow, EventStream, IssuedLicense

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


def of_streams(session: Session, streams: Collection[str]) -> Sequence[EventRow]:
    """Every event of these chains, each oldest first."""
    return session.exec(select(EventRow).where(col(EventRow.stream).in_(streams)).order_by(col(EventRow.sequence))).all()


def heads_of(session: Session, streams: Collection[str]) -> dict[str, Head]:
    """The heads of these chains; one that never began is not among them."""
    rows = session.execute(_HEADS.where(col(EventStream.stream).in_(streams)))
    return {stream: Head(count, head) for stream, count, head in rows}


def by_ids(session: Session, wanted: Collection[UUID]) -> dict[UUID, EventRow]:
    """The events with these ids."""
    return {row.id: row for row in session.exec(select(EventRow).where(col(EventRow.id).in_(wanted)))}


def first_broken(session: Session, stream: str) -> int | None:
    """The number of the first event of a chain that was altered or is missing, also at its end; None when the chain holds."""
    found = break_in(of_stream(session, stream), head_of(session, stream))
    return found.sequence if found else None


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


def head_of(session: Session, stream: str) -> Head:
    """How many events a chain has had, and the hash of the last; (0, "") for one that never began."""
    head = session.exec(select(EventStream.count, EventStream.head).where(EventStream.stream == stream)).one_or_none()
    return Head(*head) if head is not None else Head(0, "")
