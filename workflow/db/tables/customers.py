"""Customers: their tenants, environments and recipients."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Text, UniqueConstraint
from sqlmodel import Field

from workflow.db.ids import new_id
from workflow.db.tables.base import DeskTable, moment, one_of
from workflow.domain.terms import EnvironmentName


class Tenant(DeskTable, table=True):
    """A customer."""

    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: str = Field(unique=True, max_length=64)
    company: str = Field(max_length=200)
    time_zone: str
    created_at: datetime = moment()


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
    """An administrator at the customer, and how to encrypt to them. With neither certificate nor key the portal is the way."""

    __table_args__ = (UniqueConstraint("tenant", "address"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant: UUID = Field(foreign_key="tenant.id", index=True)
    name: str = Field(max_length=200)
    address: str = Field(max_length=254)
    certificate: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    fingerprint: str | None = Field(default=None, max_length=64)
    certificate_ends_at: datetime | None = moment(nullable=True)
    openpgp_key: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    openpgp_fingerprint: str | None = Field(default=None, max_length=64)
    openpgp_ends_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()
    removed_at: datetime | None = moment(nullable=True)


class Counter(DeskTable, table=True):
    """Numbers people see, taken one after the other."""

    name: str = Field(primary_key=True, max_length=60)
    value: int = 0
