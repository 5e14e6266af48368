"""What was sent to whom, and what became of it."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Column, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field

from workflow.db.ids import new_id
from workflow.db.tables.base import DeskTable, moment, one_of
from workflow.domain.bounces import Proof, Verdict
from workflow.domain.delivery import AttemptResult, DeliveryState
from workflow.domain.reminders import ReminderState


class Delivery(DeskTable, table=True):
    """One message to one person: a license, a letter or a reminder. The bytes are kept until they are accepted."""

    __table_args__ = (
        UniqueConstraint("license", "recipient", "channel", "kind", "round"),
        one_of("state", DeliveryState, "state"),
        Index("ix_delivery_created", "created_at", "id"),
        Index("ix_delivery_state_created", "state", "created_at", "id"),
        Index("ix_delivery_kind_created", "kind", "created_at", "id"),
        Index("ix_delivery_channel_created", "channel", "created_at", "id"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    job: UUID = Field(foreign_key="job.id", unique=True)
    application: UUID | None = Field(default=None, foreign_key="application.id", index=True)
    license: UUID | None = Field(default=None, foreign_key="license.id")
    recipient: UUID | None = Field(default=None, foreign_key="recipient.id")
    name: str
    address: str = Field(max_length=254)
    kind: str = Field(max_length=40)
    round: int = 1
    channel: str = Field(max_length=10)
    fingerprint: str | None = Field(default=None, max_length=64)
    subject: str
    message_id: str = Field(unique=True, max_length=200)
    mime: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    mime_sha256: str | None = Field(default=None, max_length=64)
    state: str = DeliveryState.PREPARED.value
    attempts: int = 0
    data_started_at: datetime | None = moment(nullable=True)
    smtp_code: int | None = None
    smtp_reply: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    resolved_by: str | None = None
    sent_at: datetime | None = moment(nullable=True)
    downloaded_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()


class Attempt(DeskTable, table=True):
    """One try to hand a message over, and the mail server's answer. `marked_at` (wall clock) is when its bytes may have left:
    what a killed worker could not write down is written when the message is taken up again, once."""

    __table_args__ = (UniqueConstraint("delivery", "marked_at"), one_of("result", AttemptResult, "result"))
    id: UUID = Field(default_factory=new_id, primary_key=True)
    delivery: UUID = Field(foreign_key="delivery.id", index=True)
    channel: str = Field(max_length=10)
    fingerprint: str | None = Field(default=None, max_length=64)
    result: str
    marked_at: datetime | None = moment(nullable=True)
    smtp_code: int | None = None
    smtp_reply: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    at: datetime = moment()


class BounceRow(DeskTable, table=True):
    """What came back about a message, each report once. `proof` is how it was matched; only some matches change anything."""

    __tablename__ = "bounce"
    __table_args__ = (
        UniqueConstraint("delivery", "digest"),
        one_of("verdict", Verdict, "verdict"),
        one_of("proof", Proof, "proof"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    delivery: UUID = Field(foreign_key="delivery.id")
    digest: str = Field(max_length=64)
    verdict: str
    proof: str
    status: str = Field(default="", max_length=20)
    reporter: str = Field(default="", max_length=200)
    said: str = Field(default="", sa_column=Column(Text, nullable=False))
    received_at: datetime = moment()


class FoldedLetter(DeskTable, table=True):
    """A letter that is told of in a digest and was not sent by itself: both are jobs. Once only, says the primary key."""

    __tablename__ = "folded_letter"
    job: UUID = Field(foreign_key="job.id", primary_key=True)
    digest: UUID = Field(foreign_key="job.id", index=True)


class PortalLink(DeskTable, table=True):
    """A link to a license for a recipient without a certificate. Only the token's hash is kept; wall-clock times."""

    __tablename__ = "portal_link"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    delivery: UUID = Field(foreign_key="delivery.id", unique=True)
    license: UUID = Field(foreign_key="license.id")
    recipient: UUID = Field(foreign_key="recipient.id")
    token_hash: str = Field(unique=True, max_length=64)
    ends_at: datetime = moment()
    closed_at: datetime | None = moment(nullable=True)
    wrong_codes: int = 0
    downloaded_at: datetime | None = moment(nullable=True)


class PortalCode(DeskTable, table=True):
    """A one-time code for a portal link, bound to the browser that asked. `code` is cleared once it is sent."""

    __tablename__ = "portal_code"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    link: UUID = Field(foreign_key="portal_link.id", index=True)
    code_hash: str = Field(max_length=64)
    code: str | None = None
    browser_hash: str = Field(max_length=64)
    tries: int = 0
    ends_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()


class Reminder(DeskTable, table=True):
    """Once per license, expiry, step and recipient: the primary key says so."""

    __table_args__ = (
        one_of("state", ReminderState, "state"),
        Index("ix_reminder_created", "created_at", "license", "days_ahead", "recipient"),
    )
    license: UUID = Field(foreign_key="license.id", primary_key=True)
    expiry: date = Field(primary_key=True)
    days_ahead: int = Field(primary_key=True)
    recipient: str = Field(primary_key=True, max_length=254)
    name: str = ""
    state: str = ReminderState.QUEUED.value
    reason: str | None = None
    job: UUID | None = Field(default=None, foreign_key="job.id", unique=True)
    created_at: datetime = moment()
    sent_at: datetime | None = moment(nullable=True)
    acknowledged_at: datetime | None = moment(nullable=True)
