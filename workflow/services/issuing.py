"""Issuing a license: what may be signed, and the record of what was.

The signing worker trusts no status. It reads the revision and the votes again, counts them again under its own policy as well
as what was asked for at the desk, recomputes every digest, and only then gets claims to sign.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.ids import new_id
from workflow.db.outbox import Entry
from workflow.db.queries import licenses, moves
from workflow.db.tables import Application, EventRow, IssuedLicense, VoteRow
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
from workflow.domain.policy import resolve, subject_of
from workflow.domain.reminders import next_look_at
from workflow.domain.roles import Actor
from workflow.domain.terms import day_in, last_usable_day
from workflow.errors import Conflict
from workflow.license_file import Issuer, LicenseClaims, Supersedes, VerifiedLicense, content_digest, new_activation_code
from workflow.services.applications import in_the_way, require_not_overtaken
from workflow.services.claims import Seal, claims_for
from workflow.services.decisions import Ballot, quorum_from
from workflow.services.desk import Desk
from workflow.services.evidence import Evidence

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


def claims_to_sign(evidence: Evidence, desk: Desk, now: datetime) -> LicenseClaims:
    """The claims of an application that really is approved, by the evidence.

    Raises IllegalMove unless it is waiting to be issued, ContentChanged when the stored revision does not match its digests,
    NotApproved when the votes do not add up or the history does not tell of them, LicensedMeanwhile when the platform got its
    first license through another application.
    """
    application, ballot = evidence.application, evidence.ballot
    next_status(Status(application.status), Action.ISSUE)
    revision = ballot.revision
    if hashlib.sha256(revision.content.encode()).hexdigest() != revision.content_sha256:
        raise ContentChanged(f"Revision {revision.number} of {application.number} was altered after it was submitted.")
    content = content_from(json.loads(revision.content))
    environment, tenant = evidence.environment, evidence.tenant
    named = (content.request.tenant_id, content.request.environment.value, content.request.label, content.license_id)
    if named != (tenant.tenant_id, environment.name, environment.label, environment.license_id):
        raise ContentChanged(f"{application.number} names another environment than the one that was approved.")
    own = resolve(desk.policy, subject_of(content.request, evidence.before)).quorum
    decision = ballot.decision(own.plus(quorum_from(evidence.requirements, revision)))
    if decision.outcome is not Outcome.APPROVED:
        missing = " ".join(decision.still_needed)
        raise NotApproved(
            f"{application.number} is marked approved, but its votes come to {decision.outcome.value}. {missing}".strip()
        )
    votes = [row for row in ballot.rows if row.revision in ballot.numbers]
    _require_same_content(application, ballot, content)
    _require_told_by_history(evidence, votes)
    require_not_overtaken(application, in_the_way(evidence.in_force, content.request.request))
    newest = evidence.versions[0] if evidence.versions else None
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


def _require_told_by_history(evidence: Evidence, votes: Sequence[VoteRow]) -> None:
    """Raises NotApproved unless the history is unbroken, its last decision is the approval of this very revision, and it tells
    of every vote; and unless nothing but approvals and changed notes came since the first revision whose approvals count. A
    row is quickly changed by hand; a chain is not.
    """
    revision, chain = evidence.ballot.revision, evidence.chain
    decided = [row for row in chain.told if row.type in _DECISIONS]
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
        chain.broken is not None
        or not decided
        or (decided[-1].type, *_about(decided[-1])) != (ApplicationApproved.type, *what)
        or any(row.type != ApprovalRecorded.type and not _changed_the_note_only(row) for row in since)
        or any(
            (row.event_hash, f"person:{row.person}", _whose(row), row.revision, row.content_digest) not in recorded
            for row in votes
        )
    ):
        raise NotApproved(
            f"The history of {evidence.application.number} does not tell of its approval as the votes do. Look at both."
        )


def _changed_the_note_only(row: EventRow) -> bool:
    return row.type == ApplicationRevised.type and json.loads(row.payload)["content_changed"] is False


def _whose(row: VoteRow) -> str | None:
    return str(row.on_behalf_of) if row.on_behalf_of else None


def _about(row: EventRow) -> tuple[int | None, str | None]:
    said = json.loads(row.payload)
    return said.get("revision"), said.get("content_digest")


@dataclass(frozen=True)
class Signed:
    """A license file as it was signed, and what `license_file.verify` returned for its very bytes."""

    application: Application
    envelope: bytes
    verified: VerifiedLicense


def record_issued(session: Session, actor: Actor, desk: Desk, signed: Sequence[Signed], now: datetime) -> list[IssuedLicense]:
    """Stores signed files once and moves their applications to issued; the deliveries are owed from here on.

    All or none: raises AlreadyMoved when one of the applications moved meanwhile, IntegrityError when a version was taken.
    """
    applications = [each.application for each in signed]
    moves.move_all(session, applications, Action.ISSUE, now)
    issued = [_row_of(desk, each, now) for each in signed]
    licenses.put_all(session, issued)
    for application in applications:
        application.attention = None
    outbox.record_each(session, [_issued_fact(each) for each in signed], actor, now)
    return issued


def _issued_fact(signed: Signed) -> Entry:
    claims = signed.verified.claims
    fact = LicenseIssued(claims.license_id, claims.version, signed.verified.payload_sha256, list(signed.verified.keyids))
    return Entry(signed.application, [fact])


def _row_of(desk: Desk, signed: Signed, now: datetime) -> IssuedLicense:
    claims = signed.verified.claims
    assert signed.application.environment is not None, "an approved application has an environment"
    last_day = last_usable_day(claims.valid_until, claims.time_zone)
    return IssuedLicense(
        id=new_id(),
        application=signed.application.id,
        environment=signed.application.environment,
        license_id=claims.license_id,
        version=claims.version,
        payload=signed.verified.payload,
        envelope=signed.envelope,
        key_ids=",".join(signed.verified.keyids),
        payload_sha256=signed.verified.payload_sha256,
        envelope_sha256=hashlib.sha256(signed.envelope).hexdigest(),
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


def record_signing_failed(session: Session, actor: Actor, application: Application, reason: str, now: datetime) -> None:
    """Says on the application's page why nothing was signed, and writes to the operators and the liaison."""
    application.attention = f"The license was not signed. {reason}"
    session.flush()  # the application's row before its history, as every move takes them: or two wait for each other
    outbox.record(session, SigningFailed(reason), actor, now, application=application)
