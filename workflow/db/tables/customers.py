"""Customers: their tenants, environments and recipients."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, String, Text, UniqueConstraint, text
from sqlmodel import Field

from workflow.db.ids import new_id
from workflow.db.tables.base import LANGUAGES, DeskTable, moment, one_of
from workflow.domain.delivery import KeyKind, Trust
from workflow.domain.terms import EnvironmentName


class Tenant(DeskTable, table=True):
    """A customer."""

    __table_args__ = (Index("ix_tenant_company", "company", "id"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: str = Field(unique=True, max_length=64)
    company: str = Field(max_length=200)
    time_zone: str
    created_at: datetime = moment()


class TenantWord(DeskTable, table=True):
    """What a customer is found by: see `workflow.db.queries.words`. PostgreSQL compares it sign by sign, as SQLite does: a word
    and everything that begins with it stand together.
    """

    __tablename__ = "tenant_word"
    __table_args__ = (Index("ix_tenant_word_word", "word", "tenant"),)
    tenant: UUID = Field(foreign_key="tenant.id", primary_key=True)
    word: str = Field(primary_key=True, sa_type=String(40).with_variant(String(40, collation="C"), "postgresql"))


class Environment(DeskTable, table=True):
    """One platform of a customer, with the License ID that all its licenses share."""

    __table_args__ = (UniqueConstraint("tenant", "name", "label"), one_of("name", EnvironmentName, "name"))
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant: UUID = Field(foreign_key="tenant.id")
    name: str
    label: str = Field(default="", max_length=40)
    license_id: str = Field(unique=True, max_length=40)
    created_at: datetime = moment()


class Recipient(DeskTable, table=True):
    """An administrator at the customer, and the one key that files are encrypted to: an S/MIME certificate (PEM, with the
    intermediates it came with) or an OpenPGP key (armored). Without a key, and with a pinned one that nobody has confirmed, the
    portal is the way. `backup` is one who is written to when the others do not answer.

    `changed_at` is when the address or the key changed last, by whom, and who else said that it is right.
    """

    __table_args__ = (
        UniqueConstraint("tenant", "address"),
        one_of("key_kind", KeyKind, "key_kind"),
        one_of("trust", Trust, "trust"),
        one_of("language", LANGUAGES, "language"),
        Index(
            "ix_recipient_key_ends",
            "key_ends_at",
            "id",
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant: UUID = Field(foreign_key="tenant.id", index=True)
    name: str = Field(max_length=200)
    address: str = Field(max_length=254)
    language: str = "en"
    backup: bool = False
    key: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    key_kind: str | None = None
    fingerprint: str | None = Field(default=None, max_length=64)
    key_ends_at: datetime | None = moment(nullable=True)
    trust: str | None = None
    confirmed_by: UUID | None = Field(default=None, foreign_key="person.id")
    confirmed_at: datetime | None = moment(nullable=True)
    changed_at: datetime = moment()
    changed_by: UUID | None = Field(default=None, foreign_key="person.id")
    change_confirmed_by: UUID | None = Field(default=None, foreign_key="person.id")
    change_confirmed_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()
    removed_at: datetime | None = moment(nullable=True)


class Counter(DeskTable, table=True):
    """Numbers people see, taken one after the other."""

    name: str = Field(primary_key=True, max_length=60)
    value: int = 0
