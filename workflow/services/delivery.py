"""Handing a license over: what is sent to whom, and what became of it.

A message passes three states that a crash cannot blur: built (nothing left this machine), marked (its bytes may have), and
answered. The marks are committed by the worker between the steps of SMTP.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.ids import new_id
from workflow.db.jobs import ClaimedJob
from workflow.db.outbox import Subject
from workflow.db.queries import applications, customers, deliveries, ledger, licenses, moves
from workflow.db.tables import Application, Delivery, IssuedLicense, PortalLink, Recipient
from workflow.domain.application import Action
from workflow.domain.delivery import MARKED, AttemptResult, Channel, DeliveryState, Settled
from workflow.domain.events import (
    DeliveryAccepted,
    DeliveryFailed,
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
from workflow.services.parcels import Addressee, require_unchanged
from workflow.services.recipients import add_recipient
from workflow.services.secrets import hash_of

LICENSE_DELIVERY = "license_delivery"
ENCRYPTED = (Channel.SMIME, Channel.OPENPGP)
"""Channels whose mail has the file in it."""
PORTAL_TTL = timedelta(hours=72)


class StillOnItsWay(Conflict):
    """A new round before the last one has ended."""

    code = "delivery.still_on_its_way"


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


def mark_sending(
    session: Session, job: ClaimedJob, stored: Delivery | None, built: Built, now: datetime, wall: datetime
) -> Delivery:
    """Stores the bytes and the mark before DATA: from here on the outcome can be in doubt. Returns the message's row."""
    if built.kind == LICENSE_DELIVERY and built.to.as_of is not None:
        require_unchanged(session, built.to)
    if stored is not None and stored.state in MARKED:
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
        return applications.get_locked(session, application), []
    license_id, version = licenses.set_delivered(session, application, now)
    return moved, [LicenseDelivered(license_id, version)]


def _have_enough(session: Session, policy: Policy, application: UUID) -> bool:
    """Whether so many recipients have the file as the policy wants for its environment, now that one more has it. Those who
    were removed or given up are not waited for."""
    if all(each.delivered_when == 1 for each in policy.delivery):
        return True
    locked = applications.get_locked(session, application)  # two who get it at one moment must see each other
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
    application = applications.get_locked(session, delivery.application)
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
