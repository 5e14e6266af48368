"""People, and how they sign in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from workflow.db.ids import new_id
from workflow.db.tables.base import LANGUAGES, DeskTable, moment, one_of
from workflow.domain.roles import Role


class Person(DeskTable, table=True):
    """Somebody who signs in, or is only written to. `tenant` is set for a customer's administrator.

    `credentials_at` is when the person last got credentials in another way than with their own earlier ones: a first
    password, a reset, a second factor set up or taken away. What was submitted before that does not wait for them.
    """

    __table_args__ = (one_of("language", LANGUAGES, "language"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    email: str = Field(unique=True, max_length=254)
    name: str = Field(max_length=200)
    password_hash: str | None = None
    credentials_at: datetime | None = moment(nullable=True)
    tenant: UUID | None = Field(default=None, foreign_key="tenant.id")
    team: str = Field(default="", max_length=60)
    time_zone: str = "UTC"
    language: str = "en"
    created_at: datetime = moment()
    disabled_at: datetime | None = moment(nullable=True)


class RoleGrant(DeskTable, table=True):
    """A role from then until then."""

    __tablename__ = "role_grant"
    __table_args__ = (one_of("role", Role, "role"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    person: UUID = Field(foreign_key="person.id", index=True)
    role: str
    granted_at: datetime = moment()
    revoked_at: datetime | None = moment(nullable=True)


class DelegationRow(DeskTable, table=True):
    """Somebody is out of office, and another approver acts for them: from then until then, or until it was ended early."""

    __tablename__ = "delegation"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    giver: UUID = Field(foreign_key="person.id", index=True)
    delegate: UUID = Field(foreign_key="person.id", index=True)
    reason: str = Field(max_length=200)
    created_at: datetime = moment()
    starts_at: datetime = moment()
    ends_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)


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
    created_at: datetime = moment()
    seen_at: datetime = moment()
    ends_at: datetime = moment()


class ApiToken(DeskTable, table=True):
    """A personal token for the API. Only its hash is kept. `scopes`: what it may do besides reading, comma separated."""

    __tablename__ = "api_token"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    person: UUID = Field(foreign_key="person.id", index=True)
    name: str = Field(max_length=100)
    token_hash: str = Field(unique=True, max_length=64)
    hint: str = Field(max_length=16)
    scopes: str = Field(default="", max_length=100)
    created_at: datetime = moment()
    ends_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)
    revoked_at: datetime | None = moment(nullable=True)


class SecondFactor(DeskTable, table=True):
    """A person's authenticator app. It counts once `confirmed_at` is set; a code of `last_step` or before was used already.

    The secret is kept as it is: the desk has to compute the codes itself.
    """

    __tablename__ = "second_factor"
    person: UUID = Field(primary_key=True, foreign_key="person.id")
    secret: str = Field(max_length=64)
    last_step: int = 0
    created_at: datetime = moment()
    confirmed_at: datetime | None = moment(nullable=True)


class RecoveryCode(DeskTable, table=True):
    """Stands in for the authenticator app, once. Only its hash is kept."""

    __tablename__ = "recovery_code"
    __table_args__ = (UniqueConstraint("person", "code_hash"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    person: UUID = Field(foreign_key="person.id")
    code_hash: str = Field(max_length=64)
    used_at: datetime | None = moment(nullable=True)


class OneTimeLink(DeskTable, table=True):
    """A link with which a person chooses a password, once: invited, or after the old one was forgotten. Only the hash of its
    token is kept; none while the letter that brings it is not written. Times are wall-clock times.
    """

    __tablename__ = "one_time_link"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    person: UUID = Field(foreign_key="person.id", index=True)
    invited_by: str | None = Field(default=None, max_length=200)
    token_hash: str | None = Field(default=None, unique=True, max_length=64)
    created_at: datetime = moment()
    ends_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)


class Throttle(DeskTable, table=True):
    """Counts attempts under a key (an address, a link) within a window; wall-clock times."""

    key: str = Field(primary_key=True, max_length=300)
    count: int = 0
    window_ends_at: datetime = moment()
