"""Calling licenses back: an operator's word, for PROD two operators', and the signed lists that tell the platforms.

A license counts no more at the desk from the confirmation on; a platform learns of it from the next list it gets, which
travels inside every later license file and as a document of its own.
"""

from datetime import datetime, timedelta

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import moves, revocations
from workflow.db.tables import Application, IssuedLicense, Revocation, RevocationListRow
from workflow.domain.application import Action, Standing, Status, next_status
from workflow.domain.events import LicenseRevoked, RevocationAsked, SystemFact
from workflow.domain.roles import Actor, Permission, require
from workflow.errors import Conflict, Invalid, Problem
from workflow.license_file import (
    Environment,
    LicenseRefused,
    RevocationContent,
    RevocationList,
    RevokedLicense,
    encode_revocations,
)

LONGEST_REASON = 200
GOOD_FOR = timedelta(days=90)
"""Past it a platform warns that its list is old; it refuses nothing."""


class SecondOperatorNeeded(Conflict):
    """The operator who asked for a license of PROD to be called back cannot confirm it too."""

    code = "revocations.second_operator"
    title = "Another operator confirms"


class ReasonNeeded(Invalid):
    """The reason is missing, too long, or not text that a revocation list can hold."""

    code = "revocations.reason"


class ListRefused(Conflict):
    """A revocation list that would not do what it is for."""

    code = "revocations.list_refused"
    title = "Not published"


def revoke(
    session: Session, actor: Actor, application: Application, issued: IssuedLicense, reason: str, now: datetime
) -> Revocation:
    """Calls a license back: DEV and UAT at once, PROD when a second operator says the same. The first reason stands, and every
    customer can read it in the list.

    Raises IllegalMove when the license counts no more, ReasonNeeded, SecondOperatorNeeded, AlreadyMoved.
    """
    require(actor, Permission.OPERATE)
    next_status(Status(application.status), Action.REVOKE)
    asked = revocations.lock_revocation(session, issued)
    if asked is None:
        asked = Revocation(
            license=issued.id,
            reason=_usable_reason(issued, reason, now),
            asked_by=actor.label,
            asked_by_name=actor.name,
            asked_at=now,
        )
        session.add(asked)
        session.flush()  # somebody who asks at the same moment fails here
        if issued.license_id.startswith(Environment.PROD):
            fact = RevocationAsked(issued.license_id, issued.version, asked.reason)
            outbox.record(session, fact, actor, now, application=application)
            return asked
    elif asked.asked_by == actor.label:
        raise SecondOperatorNeeded(
            f"You asked for version {issued.version} of {issued.license_id} to be revoked. Another operator has to confirm it, "
            "by asking for the same."
        )
    asked.confirmed_by, asked.confirmed_by_name, asked.confirmed_at = actor.label, actor.name, now
    moves.move(session, application, Action.REVOKE, now)
    issued.standing, issued.next_reminder_at = Standing.REVOKED, None
    fact_of_it = LicenseRevoked(issued.license_id, issued.version, asked.reason)
    outbox.record(session, fact_of_it, actor, now, application=application)
    return asked


def list_to_sign(session: Session, now: datetime, good_for: timedelta = GOOD_FOR) -> RevocationContent:
    """The next revocation list: everything that is called back, under the number after the last one. Raises ListRefused when
    more is called back than one list can hold."""
    newest = revocations.newest_list(session)
    issued_at = now.replace(microsecond=0)
    content = RevocationContent(
        sequence=newest.sequence + 1 if newest else 1,
        issued_at=issued_at,
        next_update=issued_at + good_for,
        licenses=tuple(
            RevokedLicense(issued.license_id, issued.version, row.reason, (row.confirmed_at or now).replace(microsecond=0))
            for row, issued in revocations.confirmed(session)
        ),
    )
    try:
        encode_revocations(content)
    except LicenseRefused as refused:
        raise ListRefused(f"The list cannot be written. {refused}") from refused
    return content


def record_list(session: Session, actor: Actor, verified: RevocationList, now: datetime) -> RevocationListRow:
    """Keeps a list that was signed, as what later license files carry. Takes what `verify_revocations` returned."""
    require(actor, Permission.OPERATE)
    row = RevocationListRow(
        sequence=verified.sequence,
        envelope=verified.raw,
        payload_sha256=verified.payload_sha256,
        issued_at=verified.content.issued_at,
        next_update=verified.content.next_update,
        published_by=actor.name,
    )
    session.add(row)
    session.flush()  # the number is taken now, or somebody else has it
    outbox.record(session, SystemFact("revocations.published", str(row.sequence), row.payload_sha256), actor, now)
    return row


def _usable_reason(issued: IssuedLicense, reason: str, now: datetime) -> str:
    text = " ".join(reason.split())
    entry = RevokedLicense(issued.license_id, issued.version, text, now.replace(microsecond=0))
    problem = "Say why, in words that every customer may read." if not text else None
    if len(text) > LONGEST_REASON:
        problem = f"Say it in {LONGEST_REASON} characters; it has {len(text)}."
    elif text:
        try:
            encode_revocations(RevocationContent(1, entry.at, entry.at + GOOD_FOR, (entry,)))
        except LicenseRefused as refused:
            problem = str(refused)
    if problem:
        raise ReasonNeeded(problem, [Problem("reason", "unusable", problem)])
    return text
