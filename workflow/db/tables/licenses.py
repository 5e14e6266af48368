"""What was signed, what was taken back, and what platforms reported."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field

from workflow.db.ids import new_id
from workflow.db.tables.base import DeskTable, moment, one_of
from workflow.domain.application import Standing


class IssuedLicense(DeskTable, table=True):
    """A signed file. `standing` is a domain.application.Standing."""

    __tablename__ = "license"
    __table_args__ = (
        UniqueConstraint("license_id", "version"),
        UniqueConstraint("application"),
        UniqueConstraint("payload_sha256"),
        one_of("standing", Standing, "standing"),
        Index("ix_license_until", "valid_until", "id"),
        Index("ix_license_standing_until", "standing", "valid_until", "id"),
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
    valid_from: datetime = moment()
    valid_until: datetime = moment()
    grace_until: datetime = moment()
    issued_at: datetime = moment()
    delivered_at: datetime | None = moment(nullable=True)
    activated_at: datetime | None = moment(nullable=True)
    standing: str = Standing.ISSUED.value
    superseded_by: UUID | None = Field(default=None, foreign_key="license.id")
    next_reminder_at: datetime | None = moment(nullable=True)
    nudged_days: int = 0


class Revocation(DeskTable, table=True):
    """A license that is called back, once it is confirmed. For PROD another operator than the one who asked confirms it."""

    license: UUID = Field(primary_key=True, foreign_key="license.id")
    reason: str = Field(max_length=200)
    asked_by: str = Field(max_length=100)
    asked_by_name: str = Field(max_length=200)
    asked_at: datetime = moment()
    confirmed_by: str | None = Field(default=None, max_length=100)
    confirmed_by_name: str | None = Field(default=None, max_length=200)
    confirmed_at: datetime | None = moment(nullable=True)


class RevocationListRow(DeskTable, table=True):
    """A revocation list as it was signed and published. Its number is used once; the highest one counts."""

    __tablename__ = "revocation_list"
    sequence: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    envelope: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    payload_sha256: str = Field(unique=True, max_length=64)
    issued_at: datetime = moment()
    next_update: datetime = moment()
    published_by: str = Field(max_length=200)


class Installation(DeskTable, table=True):
    """A platform that sent receipts. Nothing it says counts until an operator confirms its key's fingerprint."""

    __table_args__ = (
        UniqueConstraint("installation_id", "keyid"),
        Index(
            "ix_installation_unconfirmed",
            "id",
            sqlite_where=text("confirmed_at IS NULL"),
            postgresql_where=text("confirmed_at IS NULL"),
        ),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    installation_id: str = Field(max_length=100)
    keyid: str = Field(max_length=64)
    environment: UUID = Field(foreign_key="environment.id", index=True)
    first_seen_at: datetime = moment()
    confirmed_at: datetime | None = moment(nullable=True)
    confirmed_by: UUID | None = Field(default=None, foreign_key="person.id")


class Receipt(DeskTable, table=True):
    """A receipt as it arrived. `outcome`: waiting, applied, or kept with the reason."""

    receipt_id: str = Field(primary_key=True, max_length=100)
    installation: UUID = Field(foreign_key="installation.id", index=True)
    license: UUID = Field(foreign_key="license.id", index=True)
    event: str
    envelope: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sha256: str = Field(max_length=64)
    at: datetime = moment()
    outcome: str = "waiting"
    reason: str | None = None
    received_at: datetime = moment()
