"""What is asked about a license file and what comes out: the platform's expectations, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .checks import Check, CheckList
from .claims import LicenseClaims
from .revocations import RevocationList
from .trust import TrustRoot


class State(StrEnum):
    """Where an instant lies in a license's life. A new file is never accepted as EXPIRED."""

    SCHEDULED = "SCHEDULED"
    ACTIVE = "ACTIVE"
    GRACE = "GRACE"
    EXPIRED = "EXPIRED"


class LicenseWarning(StrEnum):
    """What an accepted file makes the administrator look at."""

    OVER_LIMIT = "OVER_LIMIT"
    REMOVES_SOMETHING = "REMOVES_SOMETHING"
    CLOCK_SUSPECT = "CLOCK_SUSPECT"
    UNKNOWN_MODULE = "UNKNOWN_MODULE"
    REVOCATIONS_STALE = "REVOCATIONS_STALE"
    ROOT_EXPIRED = "ROOT_EXPIRED"


@dataclass(frozen=True, slots=True)
class PastLicense:
    """A license that this platform once activated or scheduled, and the keys it was verified under."""

    license_id: str
    version: int
    payload_sha256: str
    keyids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """What this platform has already: its License ID, the highest version ever activated or scheduled, and the
    SHA-256 of that version's payload."""

    license_id: str | None = None
    highest_version: int | None = None
    digest: str | None = None

    @staticmethod
    def of(history: Iterable[PastLicense], trust: TrustRoot, environment: str, at: datetime) -> Installed:
        """What still binds under `trust`: a file whose key was removed since leaves no License ID and no version
        behind, or a stolen key could lock a customer out for ever."""
        standing = [past for past in history if trust.trusts_issuers(past.keyids, environment, at)]
        if not standing:
            return Installed()
        highest = max(standing, key=lambda past: past.version)
        return Installed(highest.license_id, highest.version, highest.payload_sha256)


@dataclass(frozen=True, slots=True)
class Expected:
    """The platform that a file must be meant for.

    `history` is preferred to `installed`: it is judged by the newest trust root, also one that comes in the file.
    `revocations` is the list in use. The rest only leads to warnings: the modules this platform knows, what is in
    use by limit name, the claims in force, and whether the wall clock is behind.
    """

    tenant_id: str
    environment: str
    license_id: str | None = None
    installation_id: str | None = None
    installed: Installed | None = None
    platform_version: str = "1"
    history: tuple[PastLicense, ...] = ()
    revocations: RevocationList | None = None
    known_modules: frozenset[str] | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    in_force: LicenseClaims | None = None
    clock_suspect: bool = False


@dataclass(frozen=True, slots=True)
class VerifiedLicense:
    """A license that may be used, made from the very bytes that were verified.

    `trust` is the newest trust root, `new_roots` those that came with the file and `revocations` the list that now
    counts: the caller stores them when, and only when, the license is activated.
    """

    claims: LicenseClaims
    payload: bytes = field(repr=False)
    payload_sha256: str
    keyids: tuple[str, ...]
    state: State
    warnings: tuple[LicenseWarning, ...]
    check_list: CheckList = field(repr=False, compare=False)
    trust: TrustRoot
    already_installed: bool = False
    new_roots: tuple[TrustRoot, ...] = ()
    revocations: RevocationList | None = None

    @property
    def checks(self) -> tuple[Check, ...]:
        """What a person is shown: each check with its result, then what is worth knowing."""
        return self.check_list.all()


def state_at(claims: LicenseClaims, at: datetime) -> State:
    """Where `at` lies: both ends of a period are exclusive at their end."""
    if at < claims.valid_from:
        return State.SCHEDULED
    if at < claims.valid_until:
        return State.ACTIVE
    return State.GRACE if at < claims.grace_until else State.EXPIRED
