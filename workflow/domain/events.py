"""Facts that happened, and the one table of what each of them owes.

An event is past tense and never changes; a job is an imperative with a name on the wire, which is forever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from workflow.domain.application import Status

SYSTEM_STREAM = "system"
"""Events that belong to no application: roles, keys, sign-ins, customers."""


class Job(StrEnum):
    """Work that events owe. The values are on the wire."""

    SIGN = "license.sign"
    DELIVER = "license.deliver"
    LETTER = "letter.send"
    PORTAL_CODE = "portal.send_code"
    REMINDER = "letter.expiry_reminder"
    ONE_TIME_LINK = "letter.one_time_link"
    DIGEST = "letter.digest"
    NOTICE = "letter.notice"


class JobState(StrEnum):
    """Where a job is. A dead one has used its attempts up and waits for an operator."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


class LetterKind(StrEnum):
    """The letters an event can owe, beside the delivery and the reminder."""

    APPROVAL_REQUESTED = "approval_requested"
    APPROVAL_REMINDER = "approval_reminder"
    APPROVAL_ESCALATED = "approval_escalated"
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    DELIVERED = "delivered"
    ACTIVATED = "activated"
    NEEDS_ATTENTION = "needs_attention"
    NOT_ACTIVATED = "not_activated"
    REVOKED = "revoked"


class Notice(StrEnum):
    """The letters to one person that are about no application."""

    CREDENTIALS_CHANGED = "credentials_changed"
    HISTORY_DOUBTED = "history_doubted"


ASKING = (LetterKind.APPROVAL_REQUESTED, LetterKind.APPROVAL_REMINDER, LetterKind.APPROVAL_ESCALATED)
"""The letters that ask somebody for a decision."""


class Audience(StrEnum):
    """Whom a job is for: one job row per member."""

    NOBODY = "nobody"
    RECIPIENTS = "recipients"
    APPROVERS = "approvers"
    """those who can decide on an application as it was just submitted"""
    ASKED = "asked"
    """those who were written to that an application waits for them"""
    LIAISON = "liaison"
    OPERATORS = "operators"


@dataclass(frozen=True)
class Owed:
    """A job an event owes, once per member of the audience."""

    job: Job
    audience: Audience = Audience.NOBODY
    letter: LetterKind | None = None


@dataclass(frozen=True)
class Event:
    """A fact. `type` is its name in the audit record; `payload()` is what is kept with it."""

    type: ClassVar[str]
    schema: ClassVar[int] = 1

    def payload(self) -> dict[str, Any]:
        """The members of this fact as plain values (strings, integers, lists, None)."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class DraftSaved(Event):
    """The first save of a draft; later ones leave no mark."""

    type = "application.drafted"
    copied_from: str | None = None


@dataclass(frozen=True)
class ApplicationSubmitted(Event):
    """A liaison handed a revision to the approvers."""

    type = "application.submitted"
    revision: int
    content_digest: str
    policy: str
    note: str


@dataclass(frozen=True)
class ApplicationRevised(Event):
    """A revision was replaced while it waited; `content_changed` says whether votes became stale."""

    type = "application.revised"
    revision: int
    content_digest: str
    content_changed: bool
    policy: str
    note: str


@dataclass(frozen=True)
class ApprovalRecorded(Event):
    """One approver approved; more may be needed."""

    type = "application.approval_recorded"
    revision: int
    content_digest: str
    comment: str
    on_behalf_of: str | None = None
    acting_for: str = ""


@dataclass(frozen=True)
class ApprovalReminded(Event):
    """Nobody decided in time, so those who can still decide are reminded."""

    type = "application.approval_reminded"
    revision: int


@dataclass(frozen=True)
class ApprovalEscalated(Event):
    """Nobody decided for so long that one more group is asked."""

    type = "application.approval_escalated"
    revision: int
    rule: str
    group: str


@dataclass(frozen=True)
class ApplicationApproved(Event):
    """Every requirement is met."""

    type = "application.approved"
    revision: int
    content_digest: str
    approvals: int
    policy: str


@dataclass(frozen=True)
class ChangesRequested(Event):
    """An approver sent the application back."""

    type = "application.changes_requested"
    revision: int
    comment: str
    on_behalf_of: str | None = None
    acting_for: str = ""


@dataclass(frozen=True)
class ApplicationRejected(Event):
    """An approver closed the application."""

    type = "application.rejected"
    revision: int
    comment: str
    on_behalf_of: str | None = None
    acting_for: str = ""


@dataclass(frozen=True)
class VoteRefused(Event):
    """An approver's word that did not count: it changed nothing, and the history knows who tried. `code` says why."""

    type = "application.vote_refused"
    code: str
    choice: str
    seen_revision: int
    on_behalf_of: str | None = None
    acting_for: str = ""


@dataclass(frozen=True)
class ApprovalRescinded(Event):
    """An approval was taken back before anything was issued."""

    type = "application.approval_rescinded"
    comment: str


@dataclass(frozen=True)
class ApplicationWithdrawn(Event):
    """The liaison took the application back."""

    type = "application.withdrawn"
    comment: str


@dataclass(frozen=True)
class ApplicationHandedOver(Event):
    """An operator put another liaison in charge."""

    type = "application.handed_over"
    before: str
    after: str


@dataclass(frozen=True)
class LicenseIssued(Event):
    """A license file was signed, verified and stored."""

    type = "license.issued"
    license_id: str
    version: int
    payload_sha256: str
    key_ids: list[str]


@dataclass(frozen=True)
class SigningFailed(Event):
    """The signing job gave up; an operator has to look."""

    type = "license.signing_failed"
    reason: str


@dataclass(frozen=True)
class DeliveryAccepted(Event):
    """The recipient's mail server took the message, or the file was downloaded."""

    type = "delivery.accepted"
    recipient: str
    address: str
    channel: str
    message_id: str
    reply: str


@dataclass(frozen=True)
class DeliveryFailed(Event):
    """A message was refused for good."""

    type = "delivery.failed"
    recipient: str
    address: str
    channel: str
    reply: str


@dataclass(frozen=True)
class DeliveryHeld(Event):
    """A delivery waits for a person: the recipient changed after the approval, or has no key that the policy asks for."""

    type = "delivery.held"
    recipient: str
    address: str
    why: str
    reason: str


@dataclass(frozen=True)
class RecipientConfirmed(Event):
    """Another person said that a recipient's changed address or key is right; what was held goes on."""

    type = "delivery.recipient_confirmed"
    recipient: str
    address: str
    fingerprint: str


@dataclass(frozen=True)
class DeliveryBounced(Event):
    """A message that had been accepted came back. `proof` is how the report was matched, `reporter` who wrote it."""

    type = "delivery.bounced"
    recipient: str
    address: str
    channel: str
    message_id: str
    reply: str
    reporter: str
    proof: str


@dataclass(frozen=True)
class LicenseDelivered(Event):
    """Enough recipients have the file."""

    type = "license.delivered"
    license_id: str
    version: int


@dataclass(frozen=True)
class LicenseDownloaded(Event):
    """Somebody took the file from a page of the desk or the portal."""

    type = "license.downloaded"
    license_id: str
    version: int
    through: str


@dataclass(frozen=True)
class LicenseActivated(Event):
    """The platform reported the license in force."""

    type = "license.activated"
    license_id: str
    version: int
    installation: str
    receipt_id: str
    activated_at: str


@dataclass(frozen=True)
class LicenseScheduled(Event):
    """The platform reported that the license will take over by itself."""

    type = "license.scheduled"
    license_id: str
    version: int
    installation: str
    receipt_id: str


@dataclass(frozen=True)
class ReceiptHandedIn(Event):
    """Somebody brought a receipt as a file, from a platform with no way to this desk. Its signature is the credential; who
    carried it is a fact for the history."""

    type = "receipt.handed_in"
    license_id: str
    version: int
    installation: str
    receipt_id: str
    event: str


@dataclass(frozen=True)
class ReceiptKept(Event):
    """A receipt arrived that changes no status (too late, or of a refusal): kept as evidence."""

    type = "receipt.kept"
    receipt_id: str
    event: str
    reason: str


@dataclass(frozen=True)
class LicenseSuperseded(Event):
    """The successor was activated."""

    type = "license.superseded"
    license_id: str
    version: int
    by_version: int


@dataclass(frozen=True)
class LicenseExpired(Event):
    """The last usable day and the grace after it have passed."""

    type = "license.expired"
    license_id: str
    version: int


@dataclass(frozen=True)
class RevocationAsked(Event):
    """An operator asked for a license of PROD to be called back; another one has to confirm it."""

    type = "license.revocation_asked"
    license_id: str
    version: int
    reason: str


@dataclass(frozen=True)
class LicenseRevoked(Event):
    """The license is called back: it counts no more here, and the next revocation list names it."""

    type = "license.revoked"
    license_id: str
    version: int
    reason: str


@dataclass(frozen=True)
class LicenseNotActivated(Event):
    """Delivered days ago, and nobody has uploaded the file."""

    type = "license.not_activated"
    license_id: str
    version: int
    days: int


@dataclass(frozen=True)
class ReminderSent(Event):
    """One person was reminded of the coming end."""

    type = "reminder.sent"
    license_id: str
    version: int
    days_ahead: int
    address: str
    message_id: str


@dataclass(frozen=True)
class ReminderBounced(Event):
    """A reminder that had been accepted came back."""

    type = "reminder.bounced"
    license_id: str
    version: int
    days_ahead: int
    address: str
    reply: str


@dataclass(frozen=True)
class ReminderAcknowledged(Event):
    """Somebody said that a reminder was seen."""

    type = "reminder.acknowledged"
    license_id: str
    version: int
    days_ahead: int
    address: str


@dataclass(frozen=True)
class SystemFact(Event):
    """Something in the system's stream: a sign-in, a role, a customer, a key, an installation."""

    type = "system.fact"
    what: str
    subject: str
    detail: str = ""


REACHED_BY: Mapping[str, Status] = MappingProxyType(
    {
        ApplicationSubmitted.type: Status.SUBMITTED,
        ApplicationApproved.type: Status.APPROVED,
        LicenseIssued.type: Status.ISSUED,
        LicenseDelivered.type: Status.DELIVERED,
        LicenseActivated.type: Status.ACTIVATED,
    }
)
"""The event, by its name, that brings an application to each of the five states."""


def _letter(kind: LetterKind, audience: Audience) -> Owed:
    return Owed(Job.LETTER, audience, kind)


CONSEQUENCES: Mapping[type[Event], tuple[Owed, ...]] = MappingProxyType(
    {
        ApplicationSubmitted: (_letter(LetterKind.APPROVAL_REQUESTED, Audience.APPROVERS),),
        ApplicationRevised: (_letter(LetterKind.APPROVAL_REQUESTED, Audience.APPROVERS),),
        ApprovalReminded: (_letter(LetterKind.APPROVAL_REMINDER, Audience.APPROVERS),),
        ApprovalEscalated: (_letter(LetterKind.APPROVAL_ESCALATED, Audience.APPROVERS),),
        ApplicationApproved: (Owed(Job.SIGN), _letter(LetterKind.APPROVED, Audience.LIAISON)),
        ChangesRequested: (_letter(LetterKind.CHANGES_REQUESTED, Audience.LIAISON),),
        ApplicationRejected: (_letter(LetterKind.REJECTED, Audience.LIAISON),),
        ApprovalRescinded: (_letter(LetterKind.CHANGES_REQUESTED, Audience.LIAISON),),
        ApplicationWithdrawn: (_letter(LetterKind.WITHDRAWN, Audience.ASKED),),
        LicenseIssued: (Owed(Job.DELIVER, Audience.RECIPIENTS),),
        SigningFailed: (
            _letter(LetterKind.NEEDS_ATTENTION, Audience.OPERATORS),
            _letter(LetterKind.NEEDS_ATTENTION, Audience.LIAISON),
        ),
        DeliveryFailed: (
            _letter(LetterKind.NEEDS_ATTENTION, Audience.OPERATORS),
            _letter(LetterKind.NEEDS_ATTENTION, Audience.LIAISON),
        ),
        DeliveryHeld: (
            _letter(LetterKind.NEEDS_ATTENTION, Audience.OPERATORS),
            _letter(LetterKind.NEEDS_ATTENTION, Audience.LIAISON),
        ),
        DeliveryBounced: (
            _letter(LetterKind.NEEDS_ATTENTION, Audience.OPERATORS),
            _letter(LetterKind.NEEDS_ATTENTION, Audience.LIAISON),
        ),
        LicenseDelivered: (_letter(LetterKind.DELIVERED, Audience.LIAISON),),
        LicenseRevoked: (
            _letter(LetterKind.REVOKED, Audience.RECIPIENTS),
            _letter(LetterKind.REVOKED, Audience.LIAISON),
        ),
        LicenseActivated: (_letter(LetterKind.ACTIVATED, Audience.LIAISON),),
        LicenseNotActivated: (
            _letter(LetterKind.NOT_ACTIVATED, Audience.RECIPIENTS),
            _letter(LetterKind.NOT_ACTIVATED, Audience.LIAISON),
        ),
    }
)
"""What each event owes; an event that is not listed owes nothing."""


def consequences(event: Event) -> tuple[Owed, ...]:
    """The jobs this event owes."""
    return CONSEQUENCES.get(type(event), ())
