"""The history as rows for people and programs: who, what, when, why, from where, about which revision, under which policy."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlmodel import Session

from workflow.database import reading
from workflow.db.queries import overview, trail
from workflow.db.queries.trail import Asked
from workflow.db.tables import EventRow
from workflow.domain.events import SYSTEM_STREAM

AT_ONCE = 500

HEAD = (
    *("Time (UTC)", "Event", "Who", "Actor", "Door", "Network", "Request", "Application", "Revision", "Policy"),
    *("Details", "Chain", "Number", "Previous hash", "Hash"),
)
"""The names of `cells`."""


@dataclass(frozen=True)
class Line:
    """One event, with the application's number and the policy that its revision was submitted under."""

    event: EventRow
    number: str
    policy: str


def lines(session: Session, asked: Asked, *, before: UUID | None = None, limit: int) -> list[Line]:
    """Up to `limit` events, newest first; only older ones than `before`."""
    rows = trail.page(session, asked, before=before, limit=limit)
    numbers = overview.numbers_of(session, {UUID(each.stream) for each in rows if each.stream != SYSTEM_STREAM})
    policies = trail.policies_of(session, rows)
    return [
        Line(
            each,
            numbers.get(UUID(each.stream), "") if each.stream != SYSTEM_STREAM else "",
            policies.get((each.stream, each.revision), "") if each.revision is not None else "",
        )
        for each in rows
    ]


def part(engine: Engine, asked: Asked, before: UUID | None = None) -> list[Line]:
    """Up to `AT_ONCE` events in a look of its own."""
    with reading(engine) as session:
        return lines(session, asked, before=before, limit=AT_ONCE)


def from_part_on(engine: Engine, asked: Asked, first: Sequence[Line]) -> Iterator[Line]:
    """A part that was read already, and everything older, read part by part: no answer is too long."""
    while first:
        yield from first
        first = part(engine, asked, first[-1].event.id) if len(first) == AT_ONCE else ()


def document(line: Line) -> dict[str, Any]:
    """One event as plain values, with everything its hash covers."""
    event = line.event
    return {
        "id": str(event.id),
        "chain": event.stream,
        "number": event.sequence,
        "type": event.type,
        "schema_version": event.schema_version,
        "at": event.at.isoformat(timespec="microseconds"),
        "actor": event.actor,
        "actor_name": event.actor_name,
        "channel": event.channel,
        "network": event.network,
        "request_id": event.request_id,
        "application": line.number or None,
        "revision": event.revision,
        "policy": line.policy or None,
        "payload": json.loads(event.payload),
        "previous": event.previous,
        "hash": event.hash,
    }


def cells(line: Line) -> tuple[object, ...]:
    """One event as a row under `HEAD`."""
    event = line.event
    return (
        *(f"{event.at:%Y-%m-%d %H:%M:%S}", event.type, event.actor_name, event.actor, event.channel, event.network),
        *(event.request_id, line.number, event.revision, line.policy, event.payload),
        *(event.stream, event.sequence, event.previous, event.hash),
    )
