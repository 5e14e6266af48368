"""What a license says: the members of the payload as frozen values. Reading and writing them is in `payload.py`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LICENSE_TYPE: Final = "application/vnd.serviceme.license.v1+json"

#: Crockford's base 32: no I, L, O, U, so that a License ID can be read out on the phone.
CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CROCKFORD: Final = frozenset(CROCKFORD)


class Environment(StrEnum):
    """The environments of a customer's platform."""

    DEV = "DEV"
    UAT = "UAT"
    PROD = "PROD"


_ENVIRONMENTS: Final = frozenset(Environment)


class Kind(StrEnum):
    """What the license is for."""

    STANDARD = "standard"
    TRIAL = "trial"
    EXTENSION = "extension"


class OnExpiry(StrEnum):
    """What the platform does once validity and grace are over."""

    WARN = "warn"
    BLOCK_NEW = "block_new"
    READ_ONLY = "read_only"


class Count(StrEnum):
    """How the things under a limit are counted."""

    NAMED = "named"
    ACTIVE_30D = "active_30d"
    CONCURRENT = "concurrent"
    TOTAL = "total"


class Over(StrEnum):
    """What the platform does above a limit."""

    WARN = "warn"
    BLOCK_NEW = "block_new"


class BindingMode(StrEnum):
    """Whether the license is bound to named installations (random ids, never hardware)."""

    NONE = "none"
    INSTALLATION = "installation"


@dataclass(frozen=True, slots=True)
class Licensee:
    """The customer. `tenant_id` must be that of the platform."""

    tenant_id: str
    company: str


@dataclass(frozen=True, slots=True)
class Contact:
    """The business liaison's desk, a role rather than a person. Empty texts are not shown."""

    name: str
    url: str
    mailbox: str
    phone: str


@dataclass(frozen=True, slots=True)
class Issuer:
    """What was approved, sealed in: the application's id, digest of the approved content, number of approvals and
    the digest over them."""

    name: str
    application_id: str
    application_sha256: str
    approvals: int
    approvals_sha256: str


@dataclass(frozen=True, slots=True)
class Supersedes:
    """The file that this one replaces: its version and the SHA-256 of its payload."""

    version: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Module:
    """A granted module, until the license ends or until an earlier instant."""

    code: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """`max` None is unlimited, 0 is none."""

    max: int | None
    count: Count
    over: Over


@dataclass(frozen=True, slots=True)
class Restriction:
    """A usage restriction: a code for programs, a text for people."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Bindings:
    """The installations that may use the license; no values when `mode` is none."""

    mode: BindingMode = BindingMode.NONE
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Activation:
    """16 random bytes as 32 lowercase hexadecimal digits, see `new_activation_code`."""

    code: str


@dataclass(frozen=True, slots=True)
class LicenseClaims:
    """Everything a license says. In force iff `valid_from` <= now < `valid_until`; nothing stops before
    `grace_until`. Instants are aware UTC in whole seconds. `limits` has exactly "agents" and "users"."""

    license_id: str
    version: int
    supersedes: Supersedes | None
    issuer: Issuer
    licensee: Licensee
    contact: Contact
    environment: Environment
    issued_at: datetime
    valid_from: datetime
    valid_until: datetime
    grace_until: datetime
    time_zone: str
    on_expiry: OnExpiry
    kind: Kind
    modules: tuple[Module, ...]
    model_types: tuple[str, ...]
    limits: Mapping[str, Limit]
    restrictions: tuple[Restriction, ...]
    bindings: Bindings
    activation: Activation
    ext: Mapping[str, str] = field(default_factory=dict)


def new_license_id(environment: str) -> str:
    """A fresh License ID such as `PROD-7Q2MX-4TBK9-HZ0CE`: 75 random bits, enough never to meet twice."""
    groups = ("".join(secrets.choice(CROCKFORD) for _ in range(5)) for _ in range(3))
    return "-".join((Environment(environment).value, *groups))


def is_license_id(text: str) -> bool:
    """Whether `text` has the form of a License ID."""
    environment, _, code = text.partition("-")
    in_groups = len(code) == 17 and code[5] == code[11] == "-"
    return environment in _ENVIRONMENTS and in_groups and _CROCKFORD.issuperset(code[:5] + code[6:11] + code[12:])


def new_activation_code() -> str:
    """A fresh activation code; whoever holds the file can prove it with `receipts.phone_code`."""
    return secrets.token_hex(16)


def file_name(license_id: str, version: int) -> str:
    """The name of the file that carries this version."""
    return f"{license_id}-v{version}.lic"


def day_in(instant: datetime, time_zone: str) -> date:
    """The day an instant falls on in a zone.

    In UTC if this machine does not know the zone, or if the day there would be outside the calendar (year 1 to 9999): the page
    that says when a license ends must never fail.
    """
    try:
        return instant.astimezone(ZoneInfo(time_zone)).date()
    except (ZoneInfoNotFoundError, ValueError, OSError, OverflowError):
        return instant.astimezone(UTC).date()


def last_usable_day(claims: LicenseClaims) -> date:
    """The day that holds the last usable second, in the license's own time zone."""
    return day_in(claims.valid_until - timedelta(seconds=1), claims.time_zone)


def last_usable_day_text(claims: LicenseClaims) -> str:
    """The last usable day as every page, mail and command says it: "6 Dec 2026, Asia/Shanghai"."""
    day = last_usable_day(claims)
    return f"{day.day} {day:%b %Y}, {claims.time_zone}"
