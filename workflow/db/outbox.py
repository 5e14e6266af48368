"""Events and the jobs they owe, written in the caller's transaction: that is what makes them reliable.

`record` appends a fact to its chain and inserts one job row per consequence; nothing here talks to a broker.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from workflow.db.ids import new_id
from workflow.db.queries.people import people_with
from workflow.db.tables import Application, Environment, EventRow, EventStream, JobRow, Recipient, Revision
from workflow.domain.events import SYSTEM_STREAM, Audience, Event, Job, consequences
from workflow.domain.roles import Actor, Role
from workflow.times import wall_now

CHANNEL = "licdesk_jobs"
"""PostgreSQL's NOTIFY channel: wakes the relays when a transaction that owes jobs commits."""

# Core statements, made once: building them anew and the session's bookkeeping cost more than the database does.
_EVENT = cast(Table, EventRow.__table__)  # type: ignore[attr-defined]  # made by the metaclass
_JOB = cast(Table, JobRow.__table__)  # type: ignore[attr-defined]  # made by the metaclass
_STREAM = cast(Table, EventStream.__table__)  # type: ignore[attr-defined]  # made by the metaclass
_INSERT_EVENT = insert(_EVENT)
_SET_HEAD = update(_STREAM).where(_STREAM.c.stream == bindparam("of_stream")).values(head=bindparam("new_head"))
_DIALECTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_TAKE_NUMBER = {
    name: made(_STREAM)
    .values(stream=bindparam("of_stream"), count=1, head="")
    .on_conflict_do_update(index_elements=["stream"], set_={"count": _STREAM.c.count + 1})
    .returning(_STREAM.c.count, _STREAM.c.head)
    for name, made in _DIALECTS.items()
}
_INSERT_JOBS = {
    name: made(_JOB).on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(_JOB.c.id)
    for name, made in _DIALECTS.items()
}


def canonical(value: Any) -> bytes:
    """The one byte form of plain values that digests are taken of: sorted names, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def chain_hash(row: EventRow) -> str:
    """SHA-256 (hex) over everything an event says and the hash of the event before it."""
    said = {
        "stream": row.stream,
        "sequence": row.sequence,
        "type": row.type,
        "schema": row.schema_version,
        "actor": row.actor,
        "actor_name": row.actor_name,
        "channel": row.channel,
        "request_id": row.request_id,
        "at": row.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "payload": row.payload,
        "previous": row.previous,
    }
    return hashlib.sha256(canonical(said)).hexdigest()


def record(session: Session, event: Event, actor: Actor, now: datetime, *, application: Application | None = None) -> EventRow:
    """Appends `event` to the application's chain (or the system's) and adds the jobs it owes. Returns the stored event."""
    stream = str(application.id) if application else SYSTEM_STREAM
    sequence, previous = _lock_head(session, stream)
    row = EventRow(
        stream=stream,
        sequence=sequence,
        type=event.type,
        schema_version=event.schema,
        actor=actor.label,
        actor_name=actor.name,
        channel=actor.channel,
        request_id=actor.request_id,
        at=now,
        payload=canonical(event.payload()).decode(),
        previous=previous,
        hash="",
    )
    row.hash = chain_hash(row)
    connection = session.connection()
    connection.execute(_INSERT_EVENT, row.model_dump())
    connection.execute(_SET_HEAD, {"of_stream": stream, "new_head": row.hash})
    _add_consequences(session, event, row.id, application, now)
    return row


def owe(
    session: Session,
    job: Job,
    dedupe_key: str,
    *,
    ref: UUID | None = None,
    recipient: UUID | None = None,
    detail: str = "",
    event: UUID | None = None,
) -> UUID | None:
    """Adds one job, or nothing when `dedupe_key` is known already. Returns the id of the new job."""
    values = job_values(job, dedupe_key, ref=ref, recipient=recipient, detail=detail, event=event)
    added = add_jobs(session, [values])
    return added[0] if added else None


def add_jobs(session: Session, rows: Sequence[dict[str, Any]]) -> list[UUID]:
    """Inserts job rows whose dedupe key is new and wakes the relays. Returns the ids of those inserted."""
    if not rows:
        return []
    connection = session.connection()
    added = connection.execute(_INSERT_JOBS[connection.dialect.name], list(rows))
    ids: list[UUID] = list(added.scalars())
    if connection.dialect.name == "postgresql" and not session.info.get(CHANNEL):
        session.info[CHANNEL] = True  # once per transaction: a session is used for one
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")
    return ids


def _lock_head(session: Session, stream: str) -> tuple[int, str]:
    """Takes the next number of a chain. The row stays locked until the commit: two writers cannot read the same head."""
    connection = session.connection()
    taken = connection.execute(_TAKE_NUMBER[connection.dialect.name], {"of_stream": stream}).one()
    return taken[0], taken[1]


def job_values(
    job: Job,
    dedupe_key: str,
    *,
    ref: UUID | None,
    recipient: UUID | None = None,
    detail: str = "",
    event: UUID | None = None,
) -> dict[str, Any]:
    """A new job's row. It is due at once by the machine's clock, which leases count in: a demo that moves its own clock
    must neither hurry nor lose a job."""
    wall = wall_now()
    return {
        "id": new_id(),
        "kind": job.value,
        "ref": ref,
        "recipient": recipient,
        "event": event,
        "detail": detail,
        "dedupe_key": dedupe_key,
        "state": "pending",
        "next_at": wall,
        "attempts": 0,
        "deferred": 0,
        "published": 0,
        "created_at": wall,
    }


def _add_consequences(session: Session, event: Event, event_id: UUID, application: Application | None, now: datetime) -> None:
    rows: list[dict[str, Any]] = []
    for owed in consequences(event):
        letter = owed.letter.value if owed.letter else ""
        for member in _audience(session, owed.audience, application, now):
            key = ":".join(str(part) for part in (owed.job.value, letter, event_id, member or "") if part)
            ref = application.id if application else None
            rows.append(job_values(owed.job, key, ref=ref, recipient=member, detail=letter, event=event_id))
    add_jobs(session, rows)


def _audience(session: Session, audience: Audience, application: Application | None, now: datetime) -> Sequence[UUID | None]:
    if audience is Audience.NOBODY:
        return [None]
    if audience is Audience.OPERATORS:
        return people_with(session, Role.OPERATOR, now)
    assert application is not None, f"an audience of {audience} needs an application"
    match audience:
        case Audience.LIAISON:
            return [application.owner]
        case Audience.APPROVERS if application.revision == 0:
            return []  # a draft is news to nobody
        case Audience.APPROVERS:
            authors = set(session.exec(select(Revision.author).where(Revision.application == application.id)))
            return [person for person in people_with(session, Role.APPROVER, now) if person not in authors]
        case Audience.RECIPIENTS:
            return recipients_of(session, application)


def recipients_of(session: Session, application: Application) -> list[UUID]:
    """The recipients named by the application's current revision, in their order."""
    content = session.exec(
        select(Revision.content).where(Revision.application == application.id, Revision.number == application.revision)
    ).one()
    named: list[str] = json.loads(content)["request"]["recipients"]
    found = session.exec(
        select(Recipient.address, Recipient.id)
        .join(Environment, col(Environment.tenant) == col(Recipient.tenant))
        .where(
            Environment.id == application.environment,
            col(Recipient.address).in_(named),
            col(Recipient.removed_at).is_(None),
        )
    )
    by_address = dict(found.all())
    return [by_address[address] for address in named if address in by_address]
