"""What a delivery has to hand over now, to whom and by which way; or why a person has to look first, or nothing is sent."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlmodel import Session

from workflow.db import jobs as jobs_table
from workflow.db import outbox
from workflow.db.jobs import ClaimedJob
from workflow.db.queries import applications, customers, deliveries, events
from workflow.db.queries.deliveries import Handover
from workflow.db.tables import Application, Delivery, IssuedLicense, Recipient
from workflow.domain.application import Standing
from workflow.domain.content import ApplicationContent, content_from
from workflow.domain.delivery import MARKED, Channel
from workflow.domain.events import DeliveryHeld
from workflow.domain.policy import Policy
from workflow.domain.roles import Actor
from workflow.errors import Conflict
from workflow.recipient_keys import MailTrust
from workflow.services.reaching import reach_of


@dataclass(frozen=True)
class NothingToSend:
    """The license is overtaken, revoked or ended: the delivery is skipped, with the reason."""

    reason: str


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
    may_have_left = stored is not None and stored.state in MARKED
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
    application = applications.get_locked(session, held.application.id)
    fact = DeliveryHeld(str(held.recipient.id), held.recipient.address, held.why, held.reason)
    outbox.record(session, fact, actor, now, application=application)


def require_unchanged(session: Session, to: Addressee) -> None:
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
