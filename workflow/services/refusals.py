"""Votes that did not count. Whoever tries what the rules forbid is refused, and the history tells of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine
from sqlmodel import Session

from workflow.database import transaction
from workflow.db import outbox
from workflow.db.queries import applications, events, people
from workflow.db.queries.moves import AlreadyMoved
from workflow.domain.application import IllegalMove
from workflow.domain.approvals import Choice, NotEligible, SelfApproval, StaleRevision, VotedAlready
from workflow.domain.events import VoteRefused
from workflow.domain.roles import Actor
from workflow.errors import DeskError, Stale
from workflow.services.applications import LicensedMeanwhile
from workflow.services.confirming import ProdNeedsAPerson
from workflow.services.delegations import NotTheirDelegate

REFUSALS: tuple[type[DeskError], ...] = (
    AlreadyMoved,
    IllegalMove,
    LicensedMeanwhile,
    NotEligible,
    NotTheirDelegate,
    ProdNeedsAPerson,
    SelfApproval,
    Stale,
    StaleRevision,
    VotedAlready,
)
"""What the history tells of. A form that was not filled in and a mistyped password are nobody's business."""


@contextmanager
def kept(
    engine: Engine, actor: Actor, number: str, choice: Choice, seen_revision: int, on_behalf_of: UUID | None, now: datetime
) -> Iterator[None]:
    """Around the transaction that votes: a refusal takes back all that was written in it, so it is recorded in one of its own,
    and raised again."""
    try:
        yield
    except REFUSALS as error:
        with transaction(engine) as session:
            _record(session, actor, number, VoteRefused(error.code, choice.value, seen_revision), on_behalf_of, now)
        raise


def _record(
    session: Session, actor: Actor, number: str, refused: VoteRefused, on_behalf_of: UUID | None, now: datetime
) -> None:
    """Tells of it once for each person, reason and revision: whoever goes on trying makes the history no longer."""
    application = applications.get_application(session, number)
    stream = str(application.id)
    events.hold(session, stream)
    known = events.told_by(session, stream, VoteRefused.type, actor.label, application.revision)
    if any(json.loads(row.payload)["code"] == refused.code for row in known):
        return
    if on_behalf_of is not None and (name := people.names_of(session, [on_behalf_of]).get(on_behalf_of)):
        refused = replace(refused, on_behalf_of=str(on_behalf_of), acting_for=name)
    outbox.record(session, refused, actor, now, application=application)
