"""The desk's tables: columns and constraints, nothing that decides. Rules live in `domain/`, statements in `queries`.

Constraints carry meaning: "only once" is always a unique key, never a query followed by an insert.
"""

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, LargeBinary, Table, Text, UniqueConstraint, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from workflow.database import UtcDateTime
from workflow.db.ids import new_id
from workflow.domain.application import Standing, Status
from workflow.domain.delivery import DeliveryState
from workflow.domain.events import JobState
from workflow.domain.policy import StepKind
from workflow.domain.reminders import ReminderState
from workflow.domain.roles import Role
from workflow.domain.terms import EnvironmentName

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class DeskTable(SQLModel, registry=registry()):
    """Base of the desk's tables; the console has a registry of its own."""

    __table_args__: ClassVar[Any] = ()


DeskTable.metadata.naming_convention = NAMES


def table_of(row: type[DeskTable]) -> Table:
    """The table behind a row's class, for statements that bypass the session."""
    return DeskTable.metadata.tables[str(row.__tablename__)]


def _one_of(column: str, values: Any, name: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


def _time(*, nullable: bool = False, index: bool = False) -> Any:
    return Field(
        default=None if nullable else ...,
        sa_type=UtcDateTime,
        nullable=nullable,
        index=index,
    )


# People ---------------------------------------------------------------------------------------------------------------


class Person(DeskTable, table=True):
    """Somebody who signs in, or is only written to. `tenant` is set for a customer's administrator.

    `credentials_at` is when the person last got credentials in another way than with their own earlier ones: a first
    password, a reset, a second factor set up or taken away. What was submitted before that does not wait for them.
    """

    id: UUID = Field(default_factory=new_id, primary_key=True)
    email: str = Field(unique=True, max_length=254)
    name: str = Field(max_length=200)
    password_hash: str | None = None
    credentials_at: datetime | None = _time(nullable=True)
    tenant: UUID | None = Field(default=None, foreign_key="tenant.id")
    team: str = Field(default="", max_length=60)
    time_zone: str = "UTC"
    created_at: datetime = _time()
    disabled_at: datetime | None = _time(nullable=True)


class RoleGrant(DeskTable, table=True):
    """A role from then until then."""

    __tablename__ = "role_grant"
    __table_args__ = (_one_of("role", Role, "role"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    person: UUID = Field(foreign_key="person.id", index=True)
    role: str
    granted_at: datetime = _time()
    revoked_at: datetime | None = _time(nullable=True)


class DelegationRow(DeskTable, table=True):
    """Somebody is out of office, and another approver acts for them: from then until then, or until it was ended early."""

    __tablename__ = "delegation"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    giver: UUID = Field(foreign_key="person.id", index=True)
    delegate: UUID = Field(foreign_key="person.id", index=True)
    reason: str = Field(max_length=200)
    created_at: datetime = _time()
    starts_at: datetime = _time()
    ends_at: datetime = _time()
    ended_at: datetime | None = _time(nullable=True)


class SignedIn(DeskTable, table=True):
    """A session in a browser. Only the hash of its cookie is kept. Times are wall-clock times.

    While `waits_for_code` it is only the promise of one: the password was right, the second factor has not been shown.
    """

    __tablename__ = "session"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    token_hash: str = Field(unique=True, max_length=64)
    person: UUID = Field(foreign_key="person.id", index=True)
    waits_for_code: bool = False
    browser: str = Field(default="", max_length=100)
    created_at: datetime = _time()
    seen_at: datetime = _time()
    ends_at: datetime = _time()


class ApiToken(DeskTable, table=True):
    """A personal token for the API. Only its hash is kept. `scopes`: what it may do besides reading, comma separated."""

    __tablename__ = "api_token"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    person: UUID = Field(foreign_key="person.id", index=True)
    name: str = Field(max_length=100)
    token_hash: str = Field(unique=True, max_length=64)
    hint: str = Field(max_length=16)
    scopes: str = Field(default="", max_length=100)
    created_at: datetime = _time()
    ends_at: datetime = _time()
    used_at: datetime | None = _time(nullable=True)
    revoked_at: datetime | None = _time(nullable=True)


class SecondFactor(DeskTable, table=True):
    """A person's authenticator app. It counts once `confirmed_at` is set; a code of `last_step` or before was used already.

    The secret is kept as it is: the desk has to compute the codes itself.
    """

    __tablename__ = "second_factor"
    person: UUID = Field(primary_key=True, foreign_key="person.id")
    secret: str = Field(max_length=64)
    last_step: int = 0
    created_at: datetime = _time()
    confirmed_at: datetime | None = _time(nullable=True)


class RecoveryCode(DeskTable, table=True):
    """Stands in for the authenticator app, once. Only its hash is kept."""

    __tablename__ = "recovery_code"
    __table_args__ = (UniqueConstraint("person", "code_hash"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    person: UUID = Field(foreign_key="person.id")
    code_hash: str = Field(max_length=64)
    used_at: datetime | None = _time(nullable=True)


class OneTimeLink(DeskTable, table=True):
    """A link with which a person chooses a password, once: invited, or after the old one was forgotten. Only the hash of its
    token is kept; none while the letter that brings it is not written. Times are wall-clock times.
    """

    __tablename__ = "one_time_link"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    person: UUID = Field(foreign_key="person.id", index=True)
    invited_by: str | None = Field(default=None, max_length=200)
    token_hash: str | None = Field(default=None, unique=True, max_length=64)
    created_at: datetime = _time()
    ends_at: datetime = _time()
    used_at: datetime | None = _time(nullable=True)


class Throttle(DeskTable, table=True):
    """Counts attempts under a key (an address, a link) within a window; wall-clock times."""

    key: str = Field(primary_key=True, max_length=300)
    count: int = 0
    window_ends_at: datetime = _time()


# Customers ------------------------------------------------------------------------------------------------------------


class Tenant(DeskTable, table=True):
    """A customer."""

    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: str = Field(unique=True, max_length=64)
    company: str = Field(max_length=200)
    time_zone: str
    created_at: datetime = _time()


class Environment(DeskTable, table=True):
    """One platform of a customer, with the License ID that all its licenses share."""

    __table_args__ = (UniqueConstraint("tenant", "name", "label"), _one_of("name", EnvironmentName, "name"))
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant: UUID = Field(foreign_key="tenant.id")
    name: str
    label: str = Field(default="", max_length=40)
    license_id: str = Field(unique=True, max_length=40)
    created_at: datetime = _time()


class Recipient(DeskTable, table=True):
    """An administrator at the customer, and how to encrypt to them. Without a certificate the portal is the way."""

    __table_args__ = (UniqueConstraint("tenant", "address"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant: UUID = Field(foreign_key="tenant.id", index=True)
    name: str = Field(max_length=200)
    address: str = Field(max_length=254)
    certificate: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    fingerprint: str | None = Field(default=None, max_length=64)
    certificate_ends_at: datetime | None = _time(nullable=True)
    created_at: datetime = _time()
    removed_at: datetime | None = _time(nullable=True)


# Applications ---------------------------------------------------------------------------------------------------------


class Counter(DeskTable, table=True):
    """Numbers people see, taken one after the other."""

    name: str = Field(primary_key=True, max_length=60)
    value: int = 0


class Application(DeskTable, table=True):
    """A request for a license. `version` rises with every write: a move names the version it read."""

    __table_args__ = (
        _one_of("status", Status, "status"),
        Index("ix_application_status_updated", "status", "updated_at", "id"),
        Index("ix_application_owner_updated", "owner", "updated_at", "id"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    number: str = Field(unique=True, max_length=20)
    environment: UUID | None = Field(default=None, foreign_key="environment.id", index=True)
    request: str = "new"
    renews: UUID | None = Field(default=None, foreign_key="application.id", index=True)
    copied_from: UUID | None = Field(default=None, foreign_key="application.id")
    status: str = Status.DRAFT.value
    revision: int = 0
    version: int = 1
    owner: UUID = Field(foreign_key="person.id")
    draft: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    title: str = Field(default="", max_length=260)
    attention: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    submitted_at: datetime | None = _time(nullable=True)
    created_at: datetime = _time()
    updated_at: datetime = _time()


class Revision(DeskTable, table=True):
    """What was submitted, word for word, and what the policy said to it besides the requirements. Never updated.

    `approvals_from`: approvals of that revision and later ones count, since only notes were changed between.
    """

    __table_args__ = (UniqueConstraint("application", "number"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    application: UUID = Field(foreign_key="application.id")
    number: int
    content: str = Field(sa_column=Column(Text, nullable=False))
    content_sha256: str = Field(max_length=64)
    content_digest: str = Field(max_length=64)
    author: UUID = Field(foreign_key="person.id")
    approvals_from: int
    policy_sha256: str = Field(max_length=64)
    distinct_people: int
    automatic: bool
    due_at: datetime | None = _time(nullable=True)
    created_at: datetime = _time()


class RequirementRow(DeskTable, table=True):
    """What the policy asked for when a revision was submitted."""

    __tablename__ = "requirement"
    __table_args__ = (UniqueConstraint("application", "revision", "rule", "group_name"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    application: UUID = Field(foreign_key="application.id")
    revision: int
    rule: str
    group_name: str
    count: int
    explanation: str


class EscalationRow(DeskTable, table=True):
    """What happens at an instant if a revision still waits then: a reminder, or one more group that is asked."""

    __tablename__ = "escalation"
    __table_args__ = (
        UniqueConstraint("application", "revision", "rule", "step", "group_name", "at"),
        _one_of("step", StepKind, "step"),
        Index(
            "ix_escalation_due",
            "at",
            sqlite_where=text("taken_at IS NULL"),
            postgresql_where=text("taken_at IS NULL"),
        ),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    application: UUID = Field(foreign_key="application.id")
    revision: int
    rule: str
    step: str
    group_name: str
    explanation: str
    at: datetime = _time()
    taken_at: datetime | None = _time(nullable=True)


class PolicyRow(DeskTable, table=True):
    """A policy that applications were submitted under, in its canonical form, under its SHA-256."""

    __tablename__ = "policy"
    sha256: str = Field(primary_key=True, max_length=64)
    document: str = Field(sa_column=Column(Text, nullable=False))
    adopted_at: datetime = _time()


class VoteRow(DeskTable, table=True):
    """One person's word on one revision, with the groups they belonged to at that moment: their own, or those of the person
    they acted for.
    """

    __tablename__ = "vote"
    __table_args__ = (UniqueConstraint("application", "revision", "person"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    application: UUID = Field(foreign_key="application.id")
    revision: int
    person: UUID = Field(foreign_key="person.id", index=True)
    on_behalf_of: UUID | None = Field(default=None, foreign_key="person.id")
    choice: str
    comment: str = Field(sa_column=Column(Text, nullable=False))
    groups: str
    content_digest: str = Field(max_length=64)
    channel: str
    event_hash: str = Field(max_length=64)
    at: datetime = _time()


# Licenses -------------------------------------------------------------------------------------------------------------


class IssuedLicense(DeskTable, table=True):
    """A signed file. `standing` is a domain.application.Standing."""

    __tablename__ = "license"
    __table_args__ = (
        UniqueConstraint("license_id", "version"),
        UniqueConstraint("application"),
        UniqueConstraint("payload_sha256"),
        _one_of("standing", Standing, "standing"),
        Index(
            "uq_license_one_activated",
            "license_id",
            unique=True,
            sqlite_where=text("standing = 'activated'"),
            postgresql_where=text("standing = 'activated'"),
        ),
        Index(
            "ix_license_watched",
            "next_reminder_at",
            sqlite_where=text("next_reminder_at IS NOT NULL"),
            postgresql_where=text("next_reminder_at IS NOT NULL"),
        ),
        Index(
            "ix_license_not_activated",
            "delivered_at",
            sqlite_where=text("standing = 'issued'"),
            postgresql_where=text("standing = 'issued'"),
        ),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    application: UUID = Field(foreign_key="application.id")
    environment: UUID = Field(foreign_key="environment.id", index=True)
    license_id: str = Field(max_length=40)
    version: int
    payload: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    envelope: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    key_ids: str
    payload_sha256: str = Field(max_length=64)
    envelope_sha256: str = Field(max_length=64)
    time_zone: str
    first_day: date
    last_day: date
    valid_from: datetime = _time()
    valid_until: datetime = _time(index=True)
    grace_until: datetime = _time()
    issued_at: datetime = _time()
    delivered_at: datetime | None = _time(nullable=True)
    activated_at: datetime | None = _time(nullable=True)
    standing: str = Standing.ISSUED.value
    superseded_by: UUID | None = Field(default=None, foreign_key="license.id")
    next_reminder_at: datetime | None = _time(nullable=True)
    nudged_days: int = 0


class Revocation(DeskTable, table=True):
    """A license that is called back, once it is confirmed. For PROD another operator than the one who asked confirms it."""

    license: UUID = Field(primary_key=True, foreign_key="license.id")
    reason: str = Field(max_length=200)
    asked_by: str = Field(max_length=100)
    asked_by_name: str = Field(max_length=200)
    asked_at: datetime = _time()
    confirmed_by: str | None = Field(default=None, max_length=100)
    confirmed_by_name: str | None = Field(default=None, max_length=200)
    confirmed_at: datetime | None = _time(nullable=True)


class RevocationListRow(DeskTable, table=True):
    """A revocation list as it was signed and published. Its number is used once; the highest one counts."""

    __tablename__ = "revocation_list"
    sequence: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    envelope: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    payload_sha256: str = Field(unique=True, max_length=64)
    issued_at: datetime = _time()
    next_update: datetime = _time()
    published_by: str = Field(max_length=200)


class Delivery(DeskTable, table=True):
    """One message to one person: a license, a letter or a reminder. The bytes are kept until they are accepted."""

    __table_args__ = (
        UniqueConstraint("license", "recipient", "channel", "kind", "round"),
        _one_of("state", DeliveryState, "state"),
        Index("ix_delivery_state_created", "state", "created_at"),
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
    data_started_at: datetime | None = _time(nullable=True)
    smtp_code: int | None = None
    smtp_reply: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    resolved_by: str | None = None
    sent_at: datetime | None = _time(nullable=True)
    downloaded_at: datetime | None = _time(nullable=True)
    created_at: datetime = _time()


class PortalLink(DeskTable, table=True):
    """A link to a license for a recipient without a certificate. Only the token's hash is kept; wall-clock times."""

    __tablename__ = "portal_link"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    delivery: UUID = Field(foreign_key="delivery.id", unique=True)
    license: UUID = Field(foreign_key="license.id")
    recipient: UUID = Field(foreign_key="recipient.id")
    token_hash: str = Field(unique=True, max_length=64)
    ends_at: datetime = _time()
    closed_at: datetime | None = _time(nullable=True)
    wrong_codes: int = 0
    downloaded_at: datetime | None = _time(nullable=True)


class PortalCode(DeskTable, table=True):
    """A one-time code for a portal link, bound to the browser that asked. `code` is cleared once it is sent."""

    __tablename__ = "portal_code"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    link: UUID = Field(foreign_key="portal_link.id", index=True)
    code_hash: str = Field(max_length=64)
    code: str | None = None
    browser_hash: str = Field(max_length=64)
    tries: int = 0
    ends_at: datetime = _time()
    used_at: datetime | None = _time(nullable=True)
    created_at: datetime = _time()


class Reminder(DeskTable, table=True):
    """Once per license, expiry, step and recipient: the primary key says so."""

    __table_args__ = (_one_of("state", ReminderState, "state"),)
    license: UUID = Field(foreign_key="license.id", primary_key=True)
    expiry: date = Field(primary_key=True)
    days_ahead: int = Field(primary_key=True)
    recipient: str = Field(primary_key=True, max_length=254)
    name: str = ""
    state: str = ReminderState.QUEUED.value
    reason: str | None = None
    job: UUID | None = Field(default=None, foreign_key="job.id", unique=True)
    created_at: datetime = _time()
    sent_at: datetime | None = _time(nullable=True)
    acknowledged_at: datetime | None = _time(nullable=True)


class Installation(DeskTable, table=True):
    """A platform that sent receipts. Nothing it says counts until an operator confirms its key's fingerprint."""

    __table_args__ = (UniqueConstraint("installation_id", "keyid"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    installation_id: str = Field(max_length=100)
    keyid: str = Field(max_length=64)
    environment: UUID = Field(foreign_key="environment.id", index=True)
    first_seen_at: datetime = _time()
    confirmed_at: datetime | None = _time(nullable=True)
    confirmed_by: UUID | None = Field(default=None, foreign_key="person.id")


class Receipt(DeskTable, table=True):
    """A receipt as it arrived. `outcome`: waiting, applied, or kept with the reason."""

    receipt_id: str = Field(primary_key=True, max_length=100)
    installation: UUID = Field(foreign_key="installation.id", index=True)
    license: UUID = Field(foreign_key="license.id", index=True)
    event: str
    envelope: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sha256: str = Field(max_length=64)
    at: datetime = _time()
    outcome: str = "waiting"
    reason: str | None = None
    received_at: datetime = _time()


# Events and jobs ------------------------------------------------------------------------------------------------------


class EventStream(DeskTable, table=True):
    """The head of a chain of events: an application's, or the system's. Locked before an event is added."""

    __tablename__ = "event_stream"
    stream: str = Field(primary_key=True, max_length=40)
    count: int = 0
    head: str = Field(default="", max_length=64)


class EventRow(DeskTable, table=True):
    """A fact, chained to the one before it. No UPDATE and no DELETE: a trigger refuses both."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("stream", "sequence"),
        Index("ix_event_at", "at", "id"),
        Index("ix_event_actor", "actor", "id"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    stream: str = Field(foreign_key="event_stream.stream", max_length=40)
    sequence: int
    type: str = Field(max_length=60)
    schema_version: int = 1
    actor: str = Field(max_length=100)
    actor_name: str = Field(max_length=200)
    channel: str = Field(max_length=20)
    request_id: str | None = Field(default=None, max_length=64)
    network: str | None = Field(default=None, max_length=64)
    revision: int | None = None
    at: datetime = _time()
    payload: str = Field(sa_column=Column(Text, nullable=False))
    previous: str = Field(max_length=64)
    hash: str = Field(max_length=64)


class CheckpointRow(DeskTable, table=True):
    """What the witness signed: that at this instant the chains had these heads. Also kept as files outside of the database.

    `statement` is the signed document, `heads` the chains that had grown since the checkpoint before it. No UPDATE and no
    DELETE: a trigger refuses both.
    """

    __tablename__ = "checkpoint"
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = _time()
    statement: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    heads: str = Field(sa_column=Column(Text, nullable=False))


class JobRow(DeskTable, table=True):
    """Work owed. `ref` names its subject, `recipient` the person or recipient it is for, `event` why it is owed."""

    __tablename__ = "job"
    __table_args__ = (
        _one_of("state", JobState, "state"),
        Index(
            "ix_job_due",
            "next_at",
            sqlite_where=text("state IN ('pending', 'running')"),
            postgresql_where=text("state IN ('pending', 'running')"),
        ),
        Index("ix_job_ref", "ref"),
        Index(
            "ix_job_dead",
            "id",
            sqlite_where=text("state = 'dead'"),
            postgresql_where=text("state = 'dead'"),
        ),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    kind: str = Field(max_length=60)
    ref: UUID | None = None
    recipient: UUID | None = None
    event: UUID | None = Field(default=None, foreign_key="event.id")
    detail: str = ""
    dedupe_key: str = Field(unique=True, max_length=200)
    state: str = JobState.PENDING.value
    next_at: datetime = _time()
    lease_until: datetime | None = _time(nullable=True)
    owner: str | None = Field(default=None, max_length=80)
    attempts: int = 0
    deferred: int = 0
    published: int = 0
    last_error: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    created_at: datetime = _time()
    done_at: datetime | None = _time(nullable=True)


class Heartbeat(DeskTable, table=True):
    """When a process last said that it lives; wall-clock times."""

    process: str = Field(primary_key=True, max_length=100)
    at: datetime = _time()
    detail: str = ""


class IdempotencyKey(DeskTable, table=True):
    """An answer already given to a POST of the API, kept for a day."""

    __tablename__ = "idempotency_key"
    person: UUID = Field(primary_key=True, foreign_key="person.id")
    key: str = Field(primary_key=True, max_length=200)
    body_sha256: str = Field(max_length=64)
    status: int | None = None
    answer: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    until: datetime = _time()
