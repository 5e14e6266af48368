"""Issuing a license: what may be signed, and the record of what was.

The signing worker trusts no status. It reads the revision and the votes again, counts them again under its own policy as well
as what was asked for at the desk, recomputes every digest, and only then gets claims to sign.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.chains import break_in
from workflow.db.queries import customers, events, licenses, moves
from workflow.db.tables import Application, EventRow, IssuedLicense, Revision, VoteRow
from workflow.domain.application import Action, Status, next_status
from workflow.domain.approvals import Outcome
from workflow.domain.content import ApplicationContent, content_from, same_but_for_the_note
from workflow.domain.events import (
    ApplicationApproved,
    ApplicationRejected,
    ApplicationRevised,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    ApprovalRecorded,
    ApprovalRescinded,
    ChangesRequested,
    LicenseIssued,
    SigningFailed,
)
from workflow.domain.reminders import next_look_at
from workflow.domain.roles import Actor
from workflow.domain.terms import day_in, last_usable_day
from workflow.errors import Conflict
from workflow.license_file import Issuer, LicenseClaims, Supersedes, VerifiedLicense, content_digest, new_activation_code
from workflow.services.applications import require_first
from workflow.services.claims import Seal, claims_for
from workflow.services.decisions import Ballot, ballot_of, quorum_of
from workflow.services.desk import Desk
from workflow.services.policies import route_for

_DECISIONS = frozenset(
    fact.type
    for fact in (
        ApplicationSubmitted,
        ApplicationRevised,
        ApprovalRecorded,
        ApplicationApproved,
        ChangesRequested,
        ApplicationRejected,
        ApprovalRescinded,
        ApplicationWithdrawn,
    )
)
"""What can happen to an application between draft and signature: the last of it must be the approval."""

_HANDED_IN = frozenset({ApplicationSubmitted.type, ApplicationRevised.type})


class NotApproved(Conflict):
    """The votes on record do not add up to an approval, whatever the status says."""

    code = "signing.not_approved"
    title = "Not signed"


class ContentChanged(Conflict):
    """What is stored is not what was approved."""

    code = "signing.content_changed"
    title = "Not signed"


def claims_to_sign(session: Session, desk: Desk, application: Application, now: datetime) -> LicenseClaims:
    """The claims of an application that really is approved.

    Raises IllegalMove unless it is waiting to be issued, ContentChanged when the stored revision does not match its digests,
    NotApproved when the votes do not add up or the history does not tell of them, LicensedMeanwhile when the platform got its
    first license through another application.
    """
    next_status(Status(application.status), Action.ISSUE)
    ballot = ballot_of(session, desk.policy, application)
    revision = ballot.revision
    if hashlib.sha256(revision.content.encode()).hexdigest() != revision.content_sha256:
        raise ContentChanged(f"Revision {revision.number} of {application.number} was altered after it was submitted.")
    content = content_from(json.loads(revision.content))
    assert application.environment is not None, "foreign keys and the submission see to it"
    environment, tenant = customers.environment_with_tenant(session, application.environment)
    named = (content.request.tenant_id, content.request.environment.value, content.request.label, content.license_id)
    if named != (tenant.tenant_id, environment.name, environment.label, environment.license_id):
        raise ContentChanged(f"{application.number} names another environment than the one that was approved.")
    own = route_for(session, desk.policy, content, environment.id).quorum
    decision = ballot.decision(own.plus(quorum_of(session, application, revision)))
    if decision.outcome is not Outcome.APPROVED:
        missing = " ".join(decision.still_needed)
        raise NotApproved(
            f"{application.number} is marked approved, but its votes come to {decision.outcome.value}. {missing}".strip()
        )
    votes = [row for row in ballot.rows if row.revision in ballot.numbers]
    _require_same_content(application, ballot, content)
    _require_told_by_history(session, application, revision, votes)
    require_first(session, application, content.request.request)
    newest = licenses.newest_version(session, content.license_id)
    approvals = [
        [str(row.person), row.revision, row.content_digest, row.choice, revision.policy_sha256, row.event_hash] for row in votes
    ]
    claims = claims_for(
        content,
        Seal(
            version=newest.version + 1 if newest else 1,
            supersedes=Supersedes(newest.version, newest.payload_sha256) if newest else None,
            issuer=Issuer(
                name=desk.issuer_name,
                application_id=application.number,
                application_sha256=revision.content_sha256,
                approvals=len(decision.people),
                approvals_sha256=hashlib.sha256(outbox.canonical(approvals)).hexdigest(),
            ),
            issued_at=now,
            activation_code=new_activation_code(),
        ),
    )
    if content_digest(claims) != revision.content_digest:
        raise ContentChanged(f"The content of {application.number} does not have the digest that was approved.")
    return claims


def _require_same_content(application: Application, ballot: Ballot, content: ApplicationContent) -> None:
    """Raises ContentChanged unless every revision whose approvals count says the same, but for its note."""
    for each in ballot.standing:
        unaltered = hashlib.sha256(each.content.encode()).hexdigest() == each.content_sha256
        if not unaltered or not same_but_for_the_note(content_from(json.loads(each.content)), content):
            raise ContentChanged(f"Revision {each.number} of {application.number} is not what is to be signed.")


def _require_told_by_history(session: Session, application: Application, revision: Revision, votes: Sequence[VoteRow]) -> None:
    """Raises NotApproved unless the history is unbroken, its last decision is the approval of this very revision, and it tells
    of every vote; and unless nothing but approvals and changed notes came since the first revision whose approvals count. A
    row is quickly changed by hand; a chain is not.
    """
    stream = str(application.id)
    told = events.of_stream(session, stream)
    head = events.head_of(session, stream)
    decided = [row for row in told if row.type in _DECISIONS]
    what = (revision.number, revision.content_digest)
    first = (revision.approvals_from, revision.content_digest)
    handed_in = [at for at, row in enumerate(decided) if row.type in _HANDED_IN and _about(row) == first]
    since = decided[handed_in[-1] + 1 : -1] if handed_in else decided
    recorded = {
        (row.hash, row.actor, json.loads(row.payload).get("on_behalf_of"), *_about(row))
        for row in decided
        if row.type == ApprovalRecorded.type
    }
    if (
        break_in(told, head) is not None
        or not decided
        or (decided[-1].type, *_about(decided[-1])) != (ApplicationApproved.type, *what)
        or any(row.type != ApprovalRecorded.type and not _changed_the_note_only(row) for row in since)
        or any(
            (row.event_hash, f"person:{row.person}", _whose(row), row.revision, row.content_digest) not in recorded
            for row in votes
        )
    ):
        raise NotApproved(f"The history of {application.number} does not tell of its approval as the votes do. Look at both.")


def _changed_the_note_only(row: EventRow) -> bool:
    return row.type == ApplicationRevised.type and json.loads(row.payload)["content_changed"] is False


def _whose(row: VoteRow) -> str | None:
    return str(row.on_behalf_of) if row.on_behalf_of else None


def _about(row: EventRow) -> tuple[int | None, str | None]:
    said = json.loads(row.payload)
    return said.get("revision"), said.get("content_digest")


def record_issued(
    session: Session,
    actor: Actor,
    desk: Desk,
    application: Application,
    verified: VerifiedLicense,
    envelope: bytes,
    now: datetime,
) -> IssuedLicense:
    """Stores the signed file once and moves the application to issued; the deliveries are owed from here on.

    Takes what `license_file.verify` returned for the very bytes in `envelope`. Raises AlreadyMoved.
    """
    claims = verified.claims
    assert application.environment is not None, "an approved application has an environment"
    moves.move(session, application, Action.ISSUE, now)
    last_day = last_usable_day(claims.valid_until, claims.time_zone)
    issued = IssuedLicense(
        application=application.id,
        environment=application.environment,
        license_id=claims.license_id,
        version=claims.version,
        payload=verified.payload,
        envelope=envelope,
        key_ids=",".join(verified.keyids),
        payload_sha256=verified.payload_sha256,
        envelope_sha256=hashlib.sha256(envelope).hexdigest(),
        time_zone=claims.time_zone,
        first_day=day_in(claims.time_zone, claims.valid_from),
        last_day=last_day,
        valid_from=claims.valid_from,
        valid_until=claims.valid_until,
        grace_until=claims.grace_until,
        issued_at=claims.issued_at,
        next_reminder_at=next_look_at(
            last_day=last_day,
            time_zone=claims.time_zone,
            valid_until=claims.valid_until,
            grace_until=claims.grace_until,
            steps=desk.reminder_days,
            hour=desk.reminder_hour,
            now=now,
        ),
    )
    session.add(issued)
    session.flush()  # the unique keys speak now, before anything else is written
    fact = LicenseIssued(claims.license_id, claims.version, verified.payload_sha256, list(verified.keyids))
    outbox.record(session, fact, actor, now, application=application)
    application.attention = None
    return issued


def record_signing_failed(session: Session, actor: Actor, application: Application, reason: str, now: datetime) -> None:
    """Says on the application's page why nothing was signed, and writes to the operators and the liaison."""
    application.attention = f"The license was not signed. {reason}"
    outbox.record(session, SigningFailed(reason), actor, now, application=application)
