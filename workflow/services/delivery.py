"""Handing a license over: what is sent to whom, and what became of it.

A message passes three states that a crash cannot blur: built (nothing left this machine), marked (its bytes may have), and
answered. The marks are committed by the worker between the steps of SMTP.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlmodel import Session

from workflow.db import jobs as jobs_table
from workflow.db import outbox
from workflow.db.ids import new_id
from workflow.db.jobs import ClaimedJob
from workflow.db.outbox import Subject
from workflow.db.queries import customers, deliveries, events, ledger, licenses, moves
from workflow.db.queries.deliveries import Handover
from workflow.db.tables import Application, Delivery, IssuedLicense, PortalLink, Recipient
from workflow.domain.application import Action, Standing
from workflow.domain.content import ApplicationContent, content_from
from workflow.domain.delivery import AttemptResult, Channel, DeliveryState, Settled
from workflow.domain.events import (
    DeliveryAccepted,
    DeliveryFailed,
    DeliveryHeld,
    Event,
    Job,
    JobState,
    LicenseDelivered,
    LicenseDownloaded,
)
from workflow.domain.policy import Policy
from workflow.domain.roles import Actor, Permission, require
from workflow.domain.terms import EnvironmentName
from workflow.errors import Conflict, NotFound
from workflow.recipient_keys import MailTrust
from workflow.services.accounts import normal_address
from workflow.services.reaching import reach_of
from workflow.services.recipients import add_recipient
from workflow.services.secrets import hash_of

LICENSE_DELIVERY = "license_delivery"
ENCRYPTED = (Channel.SMIME, Channel.OPENPGP)
"""Channels whose mail has the file in it."""
PORTAL_TTL = timedelta(hours=72)


@dataclass(frozen=True)
class NothingToSend:
    """The license is overtaken, revoked or ended: the delivery is skipped, with the reason."""

    reason: str


class StillOnItsWay(Conflict):
    """A new round before the last one has ended."""

    code = "delivery.still_on_its_way"


@dataclass(frozen=True)
class Addressee:
    """Whom a message is for and how it is protected. Without `encrypts_to`, the certificate (PEM) or the OpenPGP key of the
    channel, no license may be in it."""

    name: str
    address: str
    channel: Channel
    encrypts_to: bytes | None = None
    fingerprint: str | None = None
    recipient: UUID | None = None
    language: str = "en"
    as_of: datetime | None = None
    """when the recipient's address and key changed last, as far as this knows"""


class Hold(StrEnum):
    """Why a delivery waits for a person."""

    CHANGED = "changed"
    NO_KEY = "no_key"


@dataclass(frozen=True)
class Held:
    """A delivery that waits for a person. Nothing is sent, and no weaker way is taken."""

    application: Application
    recipient: Recipient
    why: Hold
    reason: str


class RecipientChanged(Conflict):
    """Address or key changed between reading them and sending: nothing was sent, and it is read again."""

    code = "delivery.recipient_changed"


@dataclass(frozen=True)
class Parcel:
    """A license for one recipient, and the message of an earlier attempt."""

    application: Application
    issued: IssuedLicense
    content: ApplicationContent
    to: Addressee
    round: int
    stored: Delivery | None


@dataclass(frozen=True)
class Built:
    """A message ready to go: the exact bytes, and what is kept about them."""

    to: Addressee
    kind: str
    subject: str
    message_id: str
    mime: bytes
    application: UUID | None = None
    issued: UUID | None = None
    round: int = 1
    portal_token: str | None = None


def parcels_for(
    session: Session, jobs: Sequence[UUID], wall: datetime, trust: MailTrust, policy: Policy
) -> dict[UUID, Parcel | Held | NothingToSend]:
    """What jobs `license.deliver` have to hand over, with the channel that is right now: the key on file when it is good
    at this moment and believed, else the portal, never plain mail. Or why there is nothing to send: the license
    does not count any more, or the recipient was removed. Or what a person has to look at first: the recipient changed
    after the approval, or has no key although the policy asks for one.
    """
    found = deliveries.handovers(session, jobs)
    changed = {each.application.id for each in found.values() if _changed_since(each.recipient, each.application.submitted_at)}
    approved = events.approved_at(session, changed)
    return {job: _parcel(found[job], wall, trust, policy, approved) if job in found else _GONE for job in jobs}


_GONE = NothingToSend("This application has no license, or its recipient is gone.")


def _parcel(
    found: Handover, wall: datetime, trust: MailTrust, policy: Policy, approved: Mapping[UUID, datetime]
) -> Parcel | Held | NothingToSend:
    issued, recipient, stored = found.issued, found.recipient, found.stored
    if issued.standing in (Standing.SUPERSEDED, Standing.REVOKED, Standing.EXPIRED):
        return NothingToSend(f"Version {issued.version} is {issued.standing}, so it is not sent any more.")
    if recipient.removed_at is not None:
        return NothingToSend(f"{recipient.address} was removed from the recipients.")
    content = content_from(json.loads(found.content))
    to = addressee_for(recipient, wall, trust)
    # A message whose bytes may have left is followed to its end: only what is still to be decided waits.
    may_have_left = stored is not None and stored.state in (DeliveryState.SENDING, DeliveryState.IN_DOUBT)
    held = None if may_have_left else _hold(found, to, content, trust, policy, approved, wall)
    if held is not None:
        return held
    return Parcel(
        application=found.application,
        issued=issued,
        content=content,
        to=to,
        round=stored.round if stored is not None else 1 + found.rounds,
        stored=stored,
    )


def _hold(
    found: Handover,
    to: Addressee,
    content: ApplicationContent,
    trust: MailTrust,
    policy: Policy,
    approved: Mapping[UUID, datetime],
    wall: datetime,
) -> Held | None:
    """Why a person has to look first. A message whose bytes may have left is followed to its end instead."""
    application, recipient = found.application, found.recipient
    if _changed_since(recipient, approved.get(application.id)):
        reason = (
            f"The address or key of {recipient.name} ({recipient.address}) changed after the approval. "
            "Somebody other than who changed it has to confirm it on the customer's page."
        )
        return Held(application, recipient, Hold.CHANGED, reason)
    environment = content.request.environment
    if to.channel is Channel.PORTAL and not policy.delivery_to(environment).portal:
        why = reach_of(recipient, wall, trust).why or "No certificate or OpenPGP key is on file."
        reason = f"The policy lets files for {environment} travel encrypted to the recipient's own key only. {why}"
        return Held(application, recipient, Hold.NO_KEY, reason)
    return None


def _changed_since(recipient: Recipient, moment: datetime | None) -> bool:
    """Whether address or key changed after a moment, and nobody else has said since that they are right."""
    return moment is not None and recipient.changed_at > moment and recipient.change_confirmed_at is None


def hold(session: Session, actor: Actor, job: ClaimedJob, held: Held, now: datetime, wall: datetime) -> None:
    """The delivery waits, with attention: operators and the liaison are told why."""
    jobs_table.hold(session, job, wall, held.reason)
    application = _locked(session, held.application.id)
    fact = DeliveryHeld(str(held.recipient.id), held.recipient.address, held.why, held.reason)
    outbox.record(session, fact, actor, now, application=application)


def _require_unchanged(session: Session, to: Addressee) -> None:
    """Who changes a recipient and who sends to them wait for each other here. Raises RecipientChanged."""
    assert to.recipient is not None, "a license is for a recipient"
    recipient = customers.keep_recipient(session, to.recipient)
    if recipient.removed_at is not None or recipient.changed_at != to.as_of:
        raise RecipientChanged(f"{to.address} was changed while the file was on its way to the mail server. Nothing was sent.")


def addressee_for(recipient: Recipient, wall: datetime, trust: MailTrust) -> Addressee:
    """The recipient with the channel that works now: encrypted to the key on file when that counts, else the portal."""
    reach = reach_of(recipient, wall, trust)
    encrypts_to, fingerprint = (reach.key.encrypts_to, reach.key.fingerprint.lower()) if reach.key else (None, None)
    return Addressee(
        name=recipient.name,
        address=recipient.address,
        channel=reach.channel,
        encrypts_to=encrypts_to,
        fingerprint=fingerprint,
        recipient=recipient.id,
        language=recipient.language,
        as_of=recipient.changed_at,
    )


def mark_sending(
    session: Session, job: ClaimedJob, stored: Delivery | None, built: Built, now: datetime, wall: datetime
) -> Delivery:
    """Stores the bytes and the mark before DATA: from here on the outcome can be in doubt. Returns the message's row."""
    if built.kind == LICENSE_DELIVERY and built.to.as_of is not None:
        _require_unchanged(session, built.to)
    if stored is not None and stored.state in (DeliveryState.SENDING, DeliveryState.IN_DOUBT):
        note_unanswered(session, stored, "The worker stopped while the mail server had the message.", now)
    delivery = _put(session, job, stored, built, now, DeliveryState.SENDING, data_started_at=wall)
    if built.portal_token is not None and built.issued is not None and built.to.recipient is not None:
        link = deliveries.find_link_of(session, delivery.id) or PortalLink(
            delivery=delivery.id, license=built.issued, recipient=built.to.recipient, token_hash="", ends_at=wall
        )
        # A message built anew, after one that provably was not sent, has a new token; the old one was in nobody's hands.
        link.token_hash, link.ends_at = hash_of(built.portal_token), wall + PORTAL_TTL
        session.add(link)
    return delivery


def note_not_sent(
    session: Session, job: ClaimedJob, stored: Delivery | None, built: Built, code: int, reply: str, now: datetime
) -> None:
    """Keeps the answer of an attempt that provably sent nothing, for the page."""
    mark = _mark_of(job, stored)
    delivery = _put(session, job, stored, built, now, DeliveryState.PREPARED, smtp_code=code or None, smtp_reply=reply)
    ledger.add_attempt(session, delivery, AttemptResult.PUT_OFF, marked_at=mark, code=code or None, reply=reply, now=now)


def note_unanswered(session: Session, delivery: Delivery, reply: str, now: datetime) -> None:
    """Writes down, once, that the last attempt at a message got no answer; what becomes of it is settled elsewhere."""
    mark = delivery.data_started_at
    ledger.add_attempt(session, delivery, AttemptResult.UNANSWERED, marked_at=mark, code=None, reply=reply, now=now)


def record_accepted(
    session: Session,
    actor: Actor,
    policy: Policy,
    delivery: Delivery,
    *,
    code: int | None,
    reply: str,
    resolved_by: str | None,
    now: datetime,
) -> None:
    """The mail server took the message. Once enough recipients have the license the application is delivered: the policy says
    how many."""
    deliveries.set_accepted(session, delivery, code=code, reply=reply, resolved_by=resolved_by, now=now)
    if resolved_by == Settled.FOUND:
        note_unanswered(session, delivery, "The worker stopped while the mail server had the message.", now)
    else:
        mark = delivery.data_started_at
        ledger.add_attempt(session, delivery, AttemptResult.ACCEPTED, marked_at=mark, code=code, reply=reply, now=now)
    if delivery.kind == LICENSE_DELIVERY and delivery.application is not None:
        accepted = DeliveryAccepted(
            str(delivery.recipient), delivery.address, delivery.channel, delivery.message_id, f"{code or ''} {reply}".strip()
        )
        application, arrived = _arrive(session, policy, delivery.application, proof=delivery.channel in ENCRYPTED, now=now)
        outbox.record_all(session, [accepted, *arrived], actor, now, application=application)


def record_refused(
    session: Session,
    actor: Actor,
    job: ClaimedJob,
    stored: Delivery | None,
    built: Built,
    *,
    code: int,
    reply: str,
    now: datetime,
) -> None:
    """The message will not be accepted: visible, with attention."""
    mark = stored.data_started_at if stored is not None else None
    its_own = _mark_of(job, stored)
    delivery = _put(
        session,
        job,
        stored,
        built,
        now,
        DeliveryState.REFUSED,
        data_started_at=mark,
        smtp_code=code or None,
        smtp_reply=reply,
    )
    ledger.add_attempt(session, delivery, AttemptResult.REFUSED, marked_at=its_own, code=code or None, reply=reply, now=now)
    answer = f"{code or ''} {reply}".strip()
    if delivery.kind == LICENSE_DELIVERY:
        _record_failure(session, actor, delivery, answer, now)


def record_in_doubt(session: Session, actor: Actor, job: ClaimedJob, reason: str, now: datetime) -> None:
    """Whether the message arrived cannot be told: it waits for an operator, who resends the same bytes or leaves it."""
    delivery = deliveries.find_by_job(session, job.id)
    assert delivery is not None, "only a stored message can be in doubt"
    delivery.state, delivery.smtp_reply = DeliveryState.IN_DOUBT, reason
    note_unanswered(session, delivery, reason, now)
    if delivery.kind == LICENSE_DELIVERY:
        _record_failure(session, actor, delivery, reason, now)


def resend(session: Session, actor: Actor, application: Application, recipient: Recipient) -> None:
    """A new round to one recipient. Raises NotFound for one of another customer or who was removed, StillOnItsWay while the
    last round has not ended."""
    require(actor, Permission.DELIVER)
    issued = licenses.get_of_application(session, application.id)
    _, tenant = customers.environment_with_tenant(session, issued.environment)
    if recipient.tenant != tenant.id or recipient.removed_at is not None:
        raise NotFound(f"{recipient.address} is not a recipient of {tenant.company}. Look at the customer's page.")
    rounds = [
        job
        for job in deliveries.jobs_of(session, application.id)
        if (job.kind, job.recipient) == (Job.DELIVER.value, recipient.id)
    ]
    if any(job.state in (JobState.PENDING, JobState.RUNNING) for job in rounds):
        raise StillOnItsWay(f"The file is on its way to {recipient.address} already. Wait for the answer, or try it now.")
    key = f"{Job.DELIVER.value}:{issued.license_id}:v{issued.version}:{recipient.id}:r{len(rounds) + 1}"
    outbox.owe(session, Job.DELIVER, key, ref=application.id, recipient=recipient.id)


def redeliver(
    session: Session, actor: Actor, application: Application, wrong: Recipient, address: str, now: datetime, wall: datetime
) -> Recipient:
    """A new round to somebody whose address was wrong: the same person is a recipient under the corrected one, too. What was
    sent to the wrong one stays on record. Raises CustomerRefused, NotFound, StillOnItsWay."""
    require(actor, Permission.DELIVER)
    tenant = customers.get_tenant_by_id(session, wrong.tenant)
    known = customers.find_recipient(session, tenant.id, normal_address(address, "address"))
    if known is None or known.removed_at is not None:
        keys: dict[str, Any] = {"key": None, "trust": MailTrust()}  # those of the wrong address are for nobody else
        same: dict[str, Any] = {"name": wrong.name, "language": wrong.language, "backup": wrong.backup}
        known = add_recipient(session, actor, tenant, address=address, **same, **keys, now=now, wall=wall)
        session.flush()  # the new round refers to it
    resend(session, actor, application, known)
    return known


def record_download(
    session: Session, actor: Actor, policy: Policy, application: Application, through: str, now: datetime
) -> IssuedLicense:
    """The license file for someone who takes it from a page; kept in the history. An administrator's download through the
    portal is proof of delivery."""
    issued = licenses.get_of_application(session, application.id)
    downloaded = LicenseDownloaded(issued.license_id, issued.version, through)
    locked, arrived = _arrive(session, policy, application.id, proof=through == Channel.PORTAL, now=now)
    outbox.record_all(session, [downloaded, *arrived], actor, now, application=locked)
    return issued


def _arrive(session: Session, policy: Policy, application: UUID, *, proof: bool, now: datetime) -> tuple[Subject, list[Event]]:
    """With proof that enough have the file: moves the application to delivered and returns what that adds to its history.
    Nothing for one that is beyond it: a late answer of a mail server must not pull an activated license back, administrators
    can be quicker. The application stays as it is until the commit."""
    enough = proof and _have_enough(session, policy, application)
    moved = moves.move_if_allowed(session, application, Action.DELIVER, now) if enough else None
    if moved is None:
        return _locked(session, application), []
    license_id, version = licenses.set_delivered(session, application, now)
    return moved, [LicenseDelivered(license_id, version)]


def _have_enough(session: Session, policy: Policy, application: UUID) -> bool:
    """Whether so many recipients have the file as the policy wants for its environment, now that one more has it. Those who
    were removed or given up are not waited for."""
    if all(each.delivered_when == 1 for each in policy.delivery):
        return True
    locked = _locked(session, application)  # two who get it at one moment must see each other
    assert locked.environment is not None, "an application with a license has an environment"
    environment, _ = customers.environment_with_tenant(session, locked.environment)
    waited_for = [
        each
        for each in deliveries.license_deliveries(session, application)
        if each.recipient.removed_at is None and each.job.state != JobState.CANCELLED
    ]
    having = sum(1 for each in waited_for if each.delivery is not None and has_the_file(each.delivery))
    return policy.delivery_to(EnvironmentName(environment.name)).is_enough(having, len(waited_for))


def has_the_file(message: Delivery) -> bool:
    """Whether its recipient has the file, as far as can be told: the mail server took it encrypted, or it was downloaded."""
    accepted = message.state == DeliveryState.ACCEPTED and message.channel in ENCRYPTED
    return accepted or message.downloaded_at is not None


def _record_failure(session: Session, actor: Actor, delivery: Delivery, reply: str, now: datetime) -> None:
    assert delivery.application is not None, "a license delivery belongs to an application"
    application = _locked(session, delivery.application)
    fact = DeliveryFailed(str(delivery.recipient), delivery.address, delivery.channel, reply)
    outbox.record(session, fact, actor, now, application=application)


def _mark_of(job: ClaimedJob, stored: Delivery | None) -> datetime | None:
    """When the bytes of this very attempt may have left; None when it never came so far."""
    marked = stored is not None and stored.state == DeliveryState.SENDING and stored.attempts == job.attempts
    return stored.data_started_at if stored is not None and marked else None


def _put(
    session: Session,
    job: ClaimedJob,
    stored: Delivery | None,
    built: Built,
    now: datetime,
    state: DeliveryState,
    *,
    data_started_at: datetime | None = None,
    smtp_code: int | None = None,
    smtp_reply: str | None = None,
) -> Delivery:
    """The message's row, with these bytes and in this state; made on the first attempt, taken up again from `stored` later."""
    delivery = Delivery(**stored.model_dump()) if stored is not None else _new(job, built, now)
    delivery.channel, delivery.fingerprint = built.to.channel, built.to.fingerprint
    delivery.mime, delivery.mime_sha256 = built.mime, hashlib.sha256(built.mime).hexdigest()
    delivery.attempts, delivery.state, delivery.data_started_at = job.attempts, state, data_started_at
    delivery.smtp_code, delivery.smtp_reply = smtp_code, smtp_reply
    deliveries.put(session, delivery, is_new=stored is None)
    return delivery


def _new(job: ClaimedJob, built: Built, now: datetime) -> Delivery:
    return Delivery(
        id=new_id(),  # as the default would, without the inspection that pydantic makes of a default's signature
        job=job.id,
        application=built.application,
        license=built.issued,
        recipient=built.to.recipient,
        name=built.to.name,
        address=built.to.address,
        kind=built.kind,
        round=built.round,
        channel=built.to.channel,
        subject=built.subject,
        message_id=built.message_id,
        created_at=now,
    )


def _locked(session: Session, application: UUID) -> Application:
    """The application as it is now, kept so until the commit: its status must not change between the look and the move."""
    found = session.get(Application, application, with_for_update=True, populate_existing=True)
    assert found is not None, "foreign keys see to it"
    return found
