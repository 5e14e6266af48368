"""Events and the jobs they owe, written in the caller's transaction: that is what makes them reliable.

`record` appends a fact to its chain and inserts one job row per consequence; nothing here talks to a broker.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from workflow.db.ids import new_id
from workflow.db.queries.people import people_with
from workflow.db.tables import Application, Environment, EventRow, EventStream, JobRow, Recipient, Revision, table_of
from workflow.domain.events import ASKING, SYSTEM_STREAM, Audience, Event, Job, JobState, consequences
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
    .on_conflict_do_update(index_elements=["stream"], set_={"count": _STREAM.c.count + made(_STREAM).excluded.count})
    .returning(_STREAM.c.stream, _STREAM.c.count, _STREAM.c.head)
    for name, made in _DIALECTS.items()
}
_RECIPIENTS = (
    select(Revision.application, Revision.content, Recipient.address, Recipient.id)
    .join(Application, col(Application.id) == col(Revision.application))
    .join(Environment, col(Environment.id) == col(Application.environment))
    .join(Recipient, col(Recipient.tenant) == col(Environment.tenant))
    .where(
        col(Revision.application).in_(bindparam("named_by", expanding=True)),
        col(Revision.number) == col(Application.revision),
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


class Subject(Protocol):
    """An application, as far as its history goes: the row itself, or what a move returned of it."""

    @property
    def id(self) -> UUID: ...
    @property
    def revision(self) -> int: ...
    @property
    def owner(self) -> UUID: ...


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
    application: Subject | None = None,
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
    application: Subject | None = None,
    approvers: Sequence[UUID] = (),
) -> list[Recorded]:
    """Appends what happened at one instant, in this order, to one chain, and adds the jobs all of it owes."""
    return record_each(session, [Entry(application, facts, approvers)], actor, now)[0]


@dataclass(frozen=True)
class Entry:
    """What happened to one application at one instant, in this order; with None it is the system's."""

    application: Subject | None
    facts: Sequence[Event]
    approvers: Sequence[UUID] = ()

    @property
    def stream(self) -> str:
        """The name of the chain it belongs to."""
        return str(self.application.id) if self.application else SYSTEM_STREAM


def record_each(session: Session, entries: Sequence[Entry], actor: Actor, now: datetime) -> list[list[Recorded]]:
    """Appends to several chains, each named once, and adds the jobs all of it owes: one statement of a kind for all."""
    taken = _lock_heads(session, entries)
    rows: list[dict[str, Any]] = []
    recorded: list[list[Recorded]] = []
    for entry in entries:
        last, head = taken[entry.stream]
        its_own = _rows_of(entry, last - len(entry.facts) + 1, head, actor, now)
        rows += its_own
        recorded.append([Recorded(row["id"], row["hash"]) for row in its_own])
    heads = [
        {"of_stream": entry.stream, "new_head": its_own[-1].hash} for entry, its_own in zip(entries, recorded, strict=True)
    ]
    connection = session.connection()
    connection.execute(_INSERT_EVENT, rows)
    connection.execute(_SET_HEAD, heads)
    add_jobs(session, _jobs_owed(session, entries, recorded, now))
    return recorded


def _rows_of(entry: Entry, first: int, previous: str, actor: Actor, now: datetime) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for sequence, event in enumerate(entry.facts, first):
        row = {
            "id": new_id(),
            "stream": entry.stream,
            "sequence": sequence,
            "type": event.type,
            "schema_version": event.schema,
            "actor": actor.label,
            "actor_name": actor.name,
            "channel": actor.channel,
            "request_id": actor.request_id,
            "network": actor.network,
            "revision": (entry.application.revision or None) if entry.application else None,
            "at": now,
            "payload": canonical(event.payload()).decode(),
            "previous": previous,
        }
        previous = chain_hash(row)
        row["hash"] = previous
        rows.append(row)
    return rows


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
    """Inserts job rows whose dedupe key is new and wakes the relays, unless it is for letters alone: those have time until
    a relay looks by itself, a second later. Returns the ids of those inserted."""
    if not rows:
        return []
    connection = session.connection()
    added = connection.execute(_INSERT_JOBS[connection.dialect.name], list(rows))
    ids: list[UUID] = list(added.scalars())
    urgent = any(row["kind"] != Job.LETTER for row in rows)
    if urgent and connection.dialect.name == "postgresql" and not session.info.get(CHANNEL):
        session.info[CHANNEL] = True  # once per transaction: a session is used for one
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")
    return ids


def _lock_heads(session: Session, entries: Sequence[Entry]) -> dict[str, tuple[int, str]]:
    """Takes the next numbers of chains; returns the last of them and the hash they follow, by chain. The rows stay locked until
    the commit: two writers cannot read the same head. In the order of their names, so that no two wait for each other."""
    connection = session.connection()
    wanted = [{"stream": each.stream, "count": len(each.facts), "head": ""} for each in sorted(entries, key=_name_of)]
    taken = connection.execute(_TAKE_NUMBERS[connection.dialect.name], wanted)
    return {stream: (count, head) for stream, count, head in taken}


def _name_of(entry: Entry) -> str:
    return entry.stream


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
    session: Session, entries: Sequence[Entry], recorded: Sequence[Sequence[Recorded]], now: datetime
) -> list[dict[str, Any]]:
    happened = [
        (entry, fact, place.id, owed)
        for entry, places in zip(entries, recorded, strict=True)
        for fact, place in zip(entry.facts, places, strict=True)
        for owed in consequences(fact)
    ]
    named = [entry.application for entry, *_, owed in happened if owed.audience is Audience.RECIPIENTS]
    recipients = recipients_of_all(session, [each.id for each in named if each]) if named else {}
    rows: list[dict[str, Any]] = []
    for entry, _, event_id, owed in happened:
        letter = owed.letter.value if owed.letter else ""
        ref = entry.application.id if entry.application else None
        for member in _audience(session, owed.audience, entry, recipients, now):
            key = ":".join(str(part) for part in (owed.job.value, letter, event_id, member or "") if part)
            rows.append(job_values(owed.job, key, ref=ref, recipient=member, detail=letter, event=event_id))
    return rows


def _audience(
    session: Session, audience: Audience, entry: Entry, recipients: Mapping[UUID, list[UUID]], now: datetime
) -> Sequence[UUID | None]:
    if audience is Audience.NOBODY:
        return [None]
    if audience is Audience.OPERATORS:
        return people_with(session, Role.OPERATOR, now)
    application = entry.application
    assert application is not None, f"an audience of {audience} needs an application"
    match audience:
        case Audience.LIAISON:
            return [application.owner]
        case Audience.APPROVERS:
            return entry.approvers
        case Audience.ASKED:
            return _asked(session, application.id)
        case Audience.RECIPIENTS:
            return recipients[application.id]


def _asked(session: Session, application: UUID) -> Sequence[UUID | None]:
    asking = [kind.value for kind in ASKING]
    return session.exec(
        select(JobRow.recipient)
        .where(JobRow.ref == application, JobRow.kind == Job.LETTER.value, col(JobRow.detail).in_(asking))
        .distinct()
        .order_by(col(JobRow.recipient))
    ).all()


def recipients_of(session: Session, application: Application) -> list[UUID]:
    """The recipients named by the application's current revision, in their order."""
    return recipients_of_all(session, [application.id])[application.id]


def recipients_of_all(session: Session, wanted: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """The recipients named by the current revisions of applications, each in their order."""
    content: dict[UUID, str] = {}
    by_address: dict[UUID, dict[str, UUID]] = {application: {} for application in wanted}
    for application, said, address, recipient in session.connection().execute(_RECIPIENTS, {"named_by": list(wanted)}):
        content[application] = said
        by_address[application][address] = recipient
    named: dict[UUID, list[str]] = {each: json.loads(said)["request"]["recipients"] for each, said in content.items()}
    return {
        application: [known[address] for address in named.get(application, []) if address in known]
        for application, known in by_address.items()
    }
