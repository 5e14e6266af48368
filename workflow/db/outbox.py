"""Events and the jobs they owe, written in the caller's transaction: that is what makes them reliable.

`record` appends a fact to its chain and inserts one job row per consequence; nothing here talks to a broker.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from workflow.db.ids import new_id
from workflow.db.queries.people import people_with
from workflow.db.tables import Application, Environment, EventRow, EventStream, JobRow, Recipient, Revision, table_of
from workflow.domain.events import SYSTEM_STREAM, Audience, Event, Job, JobState, LetterKind, consequences
from workflow.domain.roles import Actor, Role
from workflow.times import wall_now

CHANNEL = "licdesk_jobs"
"""PostgreSQL's NOTIFY channel: wakes the relays when a transaction that owes jobs commits."""

# Core statements, made once: building them anew and the session's bookkeeping cost more than the database does.
_EVENT = table_of(EventRow)
_JOB = table_of(JobRow)
_STREAM = table_of(EventStream)
_INSERT_EVENT = insert(_EVENT)
_SET_HEAD = update(_STREAM).where(_STREAM.c.stream == bindparam("of_stream")).values(head=bindparam("new_head"))
_DIALECTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_TAKE_NUMBERS = {
    name: made(_STREAM)
    .values(stream=bindparam("of_stream"), count=bindparam("many"), head="")
    .on_conflict_do_update(index_elements=["stream"], set_={"count": _STREAM.c.count + bindparam("many")})
    .returning(_STREAM.c.count, _STREAM.c.head)
    for name, made in _DIALECTS.items()
}
_RECIPIENTS = (
    select(Revision.content, Recipient.address, Recipient.id)
    .join(Application, col(Application.id) == col(Revision.application))
    .join(Environment, col(Environment.id) == col(Application.environment))
    .join(Recipient, col(Recipient.tenant) == col(Environment.tenant))
    .where(
        col(Revision.application) == bindparam("named_by"),
        col(Revision.number) == bindparam("at_revision"),
        col(Recipient.removed_at).is_(None),
    )
)
_INSERT_JOBS = {
    name: made(_JOB).on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(_JOB.c.id)
    for name, made in _DIALECTS.items()
}


def canonical(value: Any) -> bytes:
    """The one byte form of plain values that digests are taken of: sorted names, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Recorded:
    """An event that was appended: its id and its place's hash."""

    id: UUID
    hash: str


CHAINED = (
    *("stream", "sequence", "type", "schema_version", "actor", "actor_name", "channel", "request_id", "network"),
    *("revision", "at", "payload", "previous"),
)
"""The columns of an event that its hash covers."""


def chain_hash(event: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over everything an event says (its columns `CHAINED`), the hash of the event before it included."""
    said = {name: event[name] for name in CHAINED}
    said["at"] = event["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(canonical(said)).hexdigest()


def record(
    session: Session,
    event: Event,
    actor: Actor,
    now: datetime,
    *,
    application: Application | None = None,
    approvers: Sequence[UUID] = (),
) -> Recorded:
    """Appends `event` to the application's chain (or the system's) and adds the jobs it owes.

    `approvers` are those to whom a letter for approvers goes: who they are is the policy's business.
    """
    return record_all(session, [event], actor, now, application=application, approvers=approvers)[0]


def record_all(
    session: Session,
    facts: Sequence[Event],
    actor: Actor,
    now: datetime,
    *,
    application: Application | None = None,
    approvers: Sequence[UUID] = (),
) -> list[Recorded]:
    """Appends what happened at one instant, in this order, to one chain, and adds the jobs all of it owes."""
    stream = str(application.id) if application else SYSTEM_STREAM
    last, previous = _lock_head(session, stream, len(facts))
    rows: list[dict[str, Any]] = []
    recorded: list[Recorded] = []
    owed: list[dict[str, Any]] = []
    for sequence, event in enumerate(facts, last - len(facts) + 1):
        event_id = new_id()
        row = {
            "id": event_id,
            "stream": stream,
            "sequence": sequence,
            "type": event.type,
            "schema_version": event.schema,
            "actor": actor.label,
            "actor_name": actor.name,
            "channel": actor.channel,
            "request_id": actor.request_id,
            "network": actor.network,
            "revision": (application.revision or None) if application else None,
            "at": now,
            "payload": canonical(event.payload()).decode(),
            "previous": previous,
        }
        previous = chain_hash(row)
        row["hash"] = previous
        rows.append(row)
        recorded.append(Recorded(event_id, previous))
        owed += _jobs_owed(session, event, event_id, application, approvers, now)
    connection = session.connection()
    connection.execute(_INSERT_EVENT, rows)
    connection.execute(_SET_HEAD, {"of_stream": stream, "new_head": previous})
    add_jobs(session, owed)
    return recorded


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


def _lock_head(session: Session, stream: str, many: int) -> tuple[int, str]:
    """Takes the next numbers of a chain; returns the last of them and the hash they follow. The row stays locked until the
    commit: two writers cannot read the same head."""
    connection = session.connection()
    taken = connection.execute(_TAKE_NUMBERS[connection.dialect.name], {"of_stream": stream, "many": many}).one()
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
        "state": JobState.PENDING,
        "next_at": wall,
        "attempts": 0,
        "deferred": 0,
        "published": 0,
        "created_at": wall,
    }


def _jobs_owed(
    session: Session,
    event: Event,
    event_id: UUID,
    application: Application | None,
    approvers: Sequence[UUID],
    now: datetime,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for owed in consequences(event):
        letter = owed.letter.value if owed.letter else ""
        for member in _audience(session, owed.audience, application, approvers, now):
            key = ":".join(str(part) for part in (owed.job.value, letter, event_id, member or "") if part)
            ref = application.id if application else None
            rows.append(job_values(owed.job, key, ref=ref, recipient=member, detail=letter, event=event_id))
    return rows


def _audience(
    session: Session, audience: Audience, application: Application | None, approvers: Sequence[UUID], now: datetime
) -> Sequence[UUID | None]:
    if audience is Audience.NOBODY:
        return [None]
    if audience is Audience.OPERATORS:
        return people_with(session, Role.OPERATOR, now)
    assert application is not None, f"an audience of {audience} needs an application"
    match audience:
        case Audience.LIAISON:
            return [application.owner]
        case Audience.APPROVERS:
            return approvers
        case Audience.ASKED:
            return _asked(session, application.id)
        case Audience.RECIPIENTS:
            return recipients_of(session, application)


def _asked(session: Session, application: UUID) -> Sequence[UUID | None]:
    asking = LetterKind.APPROVAL_REQUESTED.value
    return session.exec(
        select(JobRow.recipient)
        .where(JobRow.ref == application, JobRow.kind == Job.LETTER.value, JobRow.detail == asking)
        .distinct()
        .order_by(col(JobRow.recipient))
    ).all()


def recipients_of(session: Session, application: Application) -> list[UUID]:
    """The recipients named by the application's current revision, in their order."""
    found = session.connection().execute(_RECIPIENTS, {"named_by": application.id, "at_revision": application.revision}).all()
    if not found:
        return []
    by_address = {address: recipient for _, address, recipient in found}
    named: list[str] = json.loads(found[0][0])["request"]["recipients"]
    return [by_address[address] for address in named if address in by_address]
