"""The console's own tables in its own SQLite file: registry, metadata and migration history apart from the desk's."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import JSON, CheckConstraint, Column, Engine, Index, LargeBinary, text
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, col, select

from workflow.console.said import Said
from workflow.database import UtcDateTime, create_engine

DATABASE_FILE = "console.sqlite3"
MIGRATIONS = Path(__file__).resolve().parent / "migrations"


class ConsoleTable(SQLModel, registry=registry()):
    """What every table of the console descends from; a registry of its own, so the desk's tables never mix in."""


class Standing(StrEnum):
    """Where an installed license stands among the others; whether it has ended is the clock's business."""

    SCHEDULED = "scheduled"
    CURRENT = "current"
    REPLACED = "replaced"


class SendState(StrEnum):
    """How far a receipt has come."""

    WAITING = "waiting"
    SENT = "sent"


def _moment(*, nullable: bool = False, index: bool = False) -> Any:
    return Field(default=None if nullable else ..., sa_column=Column(UtcDateTime(), nullable=nullable, index=index))


def _bytes() -> Any:
    return Field(sa_column=Column(LargeBinary(), nullable=False))


def _sentence(*, nullable: bool = False) -> Any:
    return Field(default=None if nullable else ..., sa_column=Column(Said(), nullable=nullable))


def _json() -> Any:
    return Field(sa_column=Column(JSON(), nullable=False))


class Installation(ConsoleTable, table=True):
    """This installation: one row. Tenant, environment and pin are also in the read-only identity file, which wins."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("number = 1", name="only_one_installation"),)

    number: int = Field(default=1, primary_key=True)
    installation_id: str
    keyid: str
    tenant_id: str
    environment: str
    label: str | None = None
    company: str
    time_zone: str
    desk_url: str | None = None
    created_at: datetime = _moment()


class StoredRoot(ConsoleTable, table=True):
    """The chain of trust roots, re-verified from the pin each time it is loaded."""

    __tablename__ = "trust_root"

    version: int = Field(primary_key=True)
    raw: bytes = _bytes()
    payload_sha256: str
    created_at: datetime = _moment()


class StoredRevocations(ConsoleTable, table=True):
    """The revocation list that counts, re-verified each time it is loaded; one row."""

    __tablename__ = "revocations"
    __table_args__ = (CheckConstraint("row = 1", name="only_one_list"),)

    row: int = Field(default=1, primary_key=True)
    raw: bytes = _bytes()
    sequence: int
    payload_sha256: str
    created_at: datetime = _moment()


class StagedUpload(ConsoleTable, table=True):
    """A file that passed every check and waits for its uploader's decision: half an hour, once."""

    __tablename__ = "staged_upload"

    id: str = Field(primary_key=True)
    """also the reference people are shown, UP-20261124-104351-7c1e52a0"""
    raw: bytes = _bytes()
    file_name: str
    payload_sha256: str
    verdict: str
    """ACTIVE, SCHEDULED or GRACE as the verifier said at that moment"""
    checks: list[dict[str, Any]] = _json()
    uploaded_by: str
    created_at: datetime = _moment(index=True)
    until: datetime = _moment()
    used_at: datetime | None = _moment(nullable=True)
    installed_id: int | None = None
    """what became of it"""


class RevocationUpload(ConsoleTable, table=True):
    """A revocation list that a person uploaded: it waits half an hour for the decision, and stays as history once in use."""

    __tablename__ = "revocation_upload"

    id: str = Field(primary_key=True)
    raw: bytes = _bytes()
    file_name: str
    payload_sha256: str
    sequence: int
    uploaded_by: str
    created_at: datetime = _moment(index=True)
    until: datetime = _moment()
    taken_at: datetime | None = _moment(nullable=True, index=True)
    """when it was put in use; none while it waits"""


class RefusedUpload(ConsoleTable, table=True):
    """A refused file: who, when, its digest and why. Its bytes and what it claims are not kept."""

    __tablename__ = "refused_upload"

    id: str = Field(primary_key=True)
    file_name: str
    size: int
    file_sha256: str | None = None
    """none when the file was cut off at the limit"""
    code: str
    message: str = _sentence()
    checks: list[dict[str, Any]] = _json()
    """name, result, title and detail of each; the last two as `said.packed` makes them"""
    contact: dict[str, str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    """from the file, only when its signature was good"""
    uploaded_by: str
    created_at: datetime = _moment(index=True)


class InstalledLicense(ConsoleTable, table=True):
    """A license that was activated or scheduled, with its exact bytes."""

    __tablename__ = "installed_license"
    __table_args__ = (
        CheckConstraint("standing IN ('scheduled', 'current', 'replaced')", name="known_standing"),
        Index("one_current_license", "standing", unique=True, sqlite_where=text("standing = 'current'")),
        Index("one_scheduled_license", "standing", unique=True, sqlite_where=text("standing = 'scheduled'")),
    )

    id: int | None = Field(default=None, primary_key=True)
    raw: bytes = _bytes()
    payload_sha256: str = Field(index=True)
    license_id: str
    version: int
    standing: str
    keyids: list[str] = _json()
    """trusted keys whose signature verified; a key that a later root removes takes its floors with it"""
    issued_at: datetime = _moment()
    valid_from: datetime = _moment()
    valid_until: datetime = _moment()
    grace_until: datetime = _moment()
    file_name: str
    reference: str
    """of the upload it came from"""
    acknowledged: list[Any] = _json()
    """what it took away, as the person confirmed it, each as `said.packed` makes it"""
    created_by: str
    created_at: datetime = _moment(index=True)
    """when a person activated or scheduled it"""
    in_force_at: datetime | None = _moment(nullable=True)
    replaced_at: datetime | None = _moment(nullable=True)


class Generation(ConsoleTable, table=True):
    """One number that rises with every change of what is in force or scheduled; one row."""

    __tablename__ = "generation"
    __table_args__ = (CheckConstraint("row = 1", name="only_one_generation"),)

    row: int = Field(default=1, primary_key=True)
    number: int = 0
    changed_at: datetime = _moment()


class OutgoingReceipt(ConsoleTable, table=True):
    """A signed receipt on its way to the desk; `sequence` is its place in the chain."""

    __tablename__ = "outgoing_receipt"

    sequence: int | None = Field(default=None, primary_key=True)
    receipt_id: str = Field(unique=True)
    raw: bytes = _bytes()
    payload_sha256: str
    installed_id: int | None = Field(default=None, index=True)
    """the license it is about; none for a refused file"""
    refused_id: str | None = Field(default=None, index=True)
    event: str
    created_at: datetime = _moment()
    state: str = SendState.WAITING
    attempts: int = 0
    next_at: datetime = _moment(index=True)
    last_error: str | None = _sentence(nullable=True)
    sent_at: datetime | None = _moment(nullable=True)


class ReportedUse(ConsoleTable, table=True):
    """What the platform last said is in use; one row."""

    __tablename__ = "reported_use"
    __table_args__ = (CheckConstraint("row = 1", name="only_one_report"),)

    row: int = Field(default=1, primary_key=True)
    taken_at: datetime = _moment()
    limits: dict[str, int] = _json()
    modules: dict[str, int] = _json()
    model_types: dict[str, int] = _json()


class ClockFloor(ConsoleTable, table=True):
    """The highest time this installation has seen, and what was odd about the clock; one row."""

    __tablename__ = "clock"
    __table_args__ = (CheckConstraint("row = 1", name="only_one_clock"),)

    row: int = Field(default=1, primary_key=True)
    seen: datetime = _moment()
    ahead_since: datetime | None = _moment(nullable=True)
    """first wall clock reading of a step too large to believe at once"""
    behind_since: datetime | None = _moment(nullable=True)
    """the effective time when the wall clock was first found more than a day behind"""


class Administrator(ConsoleTable, table=True):
    """A local account of the console."""

    __tablename__ = "administrator"

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(unique=True)
    name: str
    role: str
    password_hash: str
    created_at: datetime = _moment()


class SignInSession(ConsoleTable, table=True):
    """A signed-in browser; only a hash of its token is kept."""

    __tablename__ = "session"

    token_sha256: str = Field(primary_key=True)
    administrator_id: int = Field(foreign_key="administrator.id", index=True)
    created_at: datetime = _moment()
    seen_at: datetime = _moment()


class SignInFailure(ConsoleTable, table=True):
    """Failed sign-ins per account and per network address, for throttling."""

    __tablename__ = "sign_in_failure"

    key: str = Field(primary_key=True)
    count: int
    last_at: datetime = _moment()


def open_database(directory: Path) -> Engine:
    """The engine on the console's database, brought up to date with its migrations."""
    path = directory / DATABASE_FILE
    path.touch(mode=0o600)  # password hashes and sessions; SQLite gives its side files the same mode
    engine = create_engine(f"sqlite:///{path}")
    upgrade(engine)
    return engine


def upgrade(engine: Engine) -> None:
    """Applies the migrations that are missing; two processes may do so at once, the second finds nothing to do."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def generation(session: Session) -> int:
    """The number of the last change; 0 before the first."""
    row = session.get(Generation, 1)
    return row.number if row else 0


def next_generation(session: Session, now: datetime) -> int:
    """Counts one change; the caller's transaction makes it true."""
    row = session.get(Generation, 1) or Generation(changed_at=now)
    row.number += 1
    row.changed_at = now
    session.add(row)
    return row.number


def installation_of(session: Session) -> Installation:
    """The one row about this installation, made by `licdesk console init`."""
    return session.get_one(Installation, 1)


def roots_of(session: Session) -> Sequence[bytes]:
    """The stored trust roots, oldest first."""
    return session.exec(select(StoredRoot.raw).order_by(col(StoredRoot.version))).all()
