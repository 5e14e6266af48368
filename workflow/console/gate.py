"""`LicenseGate`: what the platform's processes ask "may I?". Imports the standard library and `license_file` only.

It reads the directory that the console publishes, verifies each generation itself from the pin (so whoever can write the
directory gains nothing), and answers from memory. A new generation counts within a second, without a restart.
"""

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import assert_never

from workflow.license_file import (
    Expected,
    Installed,
    LicenseClaims,
    LicenseRefused,
    OnExpiry,
    Revoked,
    TrustChain,
    TrustError,
    TrustRoot,
    VerifiedLicense,
    verify_license,
)
from workflow.license_file import envelope as container

CURRENT_FILE = "current.lic"
NEXT_FILE = "next.lic"
GENERATION_FILE = "generation"
TRUST_DIRECTORY = "trust"
EXPIRING = timedelta(days=30)
POLL_SECONDS = 0.25

log = logging.getLogger("licdesk.gate")


class State(StrEnum):
    """What the license in force is worth at an instant."""

    NONE = "none"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    EXPIRING = "expiring"
    GRACE = "grace"
    EXPIRED = "expired"
    REVOKED = "revoked"
    INVALID = "invalid"


def state_at(claims: LicenseClaims, at: datetime) -> State:
    """The state of a genuine license by the clock alone."""
    if at < claims.valid_from:
        return State.SCHEDULED
    if at < claims.valid_until:
        return State.EXPIRING if claims.valid_until - at <= EXPIRING else State.ACTIVE
    return State.GRACE if at < claims.grace_until else State.EXPIRED


def verify_installed(
    raw: bytes, trust: TrustRoot, tenant_id: str, environment: str, installation_id: str | None, at: datetime
) -> VerifiedLicense:
    """Checks a license that was installed before: genuine, still trusted, for this platform; it may have ended.

    Raises LicenseRefused.
    """
    payload = container.decode(raw).payload
    # Naming the file itself as the installed one ends the checks before the dates: an expired license is not invalid.
    known = Installed(digest=sha256(payload).hexdigest())
    expected = Expected(tenant_id=tenant_id, environment=environment, installation_id=installation_id, installed=known)
    return verify_license(raw, trust, expected, at)


@dataclass(frozen=True)
class Grant:
    """What counts right now, worked out once per generation and per change of state."""

    state: State
    claims: LicenseClaims | None
    until: datetime | None
    """when the state changes by itself; None: never"""

    @property
    def works(self) -> bool:
        """Whether what is licensed may be used."""
        match self.state:
            case State.ACTIVE | State.EXPIRING | State.GRACE:
                return True
            case State.EXPIRED:
                return self.claims is not None and self.claims.on_expiry is not OnExpiry.READ_ONLY
            case State.NONE | State.SCHEDULED | State.REVOKED | State.INVALID:
                return False
            case _:
                assert_never(self.state)

    @property
    def takes_new(self) -> bool:
        """Whether something new (an agent, a user) may be added."""
        if self.state is State.EXPIRED:
            return self.claims is not None and self.claims.on_expiry is OnExpiry.WARN
        return self.works


NOTHING = Grant(State.NONE, None, None)


class LicenseGate:
    """Answers for one platform process.

    `path` is the console's published directory. `identity` is the read-only file that holds the pin, the tenant and the
    environment; by default the one the console keeps beside that directory. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        identity: Path | str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._path = Path(path)
        facts = json.loads(Path(identity or self._path.parent / "identity.json").read_bytes())
        self._pin: str = facts["pin"]
        self._tenant_id: str = facts["tenant_id"]
        self._environment: str = facts["environment"]
        self._installation_id: str = facts["installation_id"]
        self._clock = clock
        self._floor = datetime.min.replace(tzinfo=UTC)
        self._held: tuple[VerifiedLicense | State, ...] = ()
        self._generation: str | None = None
        self._grant = NOTHING
        self._look()
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, args=(poll_seconds,), name="license-gate", daemon=True)
        self._poller.start()

    @property
    def state(self) -> State:
        """The state of the license in force."""
        return self._grant.state

    @property
    def generation(self) -> int:
        """The number of the published change that counts; 0 before the first."""
        return int(self._generation or 0)

    @property
    def claims(self) -> LicenseClaims | None:
        """The verified license in force; None when there is none or it cannot be trusted."""
        return self._grant.claims

    def allows(self, module: str) -> bool:
        """Whether the module may be used."""
        grant = self._grant
        if not grant.works or grant.claims is None:
            return False
        return any(each.code == module and self._not_over(each.until) for each in grant.claims.modules)

    def allows_model(self, model_type: str) -> bool:
        """Whether models of the type may be called."""
        grant = self._grant
        return grant.works and grant.claims is not None and model_type in grant.claims.model_types

    def allows_new(self) -> bool:
        """Whether something new may be added: false after grace with `block_new` or `read_only`."""
        return self._grant.takes_new

    def limit(self, name: str) -> int | None:
        """The maximum of "agents" or "users": None is unlimited, 0 is none (also without a license)."""
        claims = self._grant.claims
        return 0 if claims is None else claims.limits[name].max

    def close(self) -> None:
        """Stops looking for new generations; the last answers stay."""
        self._stopping.set()
        self._poller.join()

    def __enter__(self) -> "LicenseGate":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _not_over(self, until: datetime | None) -> bool:
        return until is None or self._now() < until

    def _now(self) -> datetime:
        self._floor = max(self._floor, self._clock())
        return self._floor

    def _poll(self, seconds: float) -> None:
        while not self._stopping.wait(seconds):
            try:
                self._look()
            except Exception:
                log.exception("The published license could not be read; the last answers stay.")

    def _look(self) -> None:
        now = self._now()
        # A directory that is away (a mount that comes back) is no news: the last license goes on, and ends by its dates.
        generation = self._read_generation() or self._generation
        if generation != self._generation:
            held = self._read_licenses(now)
            # Licenses are written before the number: an unchanged number around the reading means one generation.
            if self._read_generation() != generation:
                return
            self._held, self._generation = held, generation
        elif self._grant.until is None or now < self._grant.until:
            return
        self._grant = self._grant_at(now)

    def _read_generation(self) -> str | None:
        try:
            return (self._path / GENERATION_FILE).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None

    def _read_licenses(self, now: datetime) -> tuple[VerifiedLicense | State, ...]:
        raws = [each.read_bytes() for name in (CURRENT_FILE, NEXT_FILE) if (each := self._path / name).exists()]
        if not raws:
            return ()
        try:
            trust = TrustChain.read(self._path / TRUST_DIRECTORY, self._pin).current
        except TrustError as refused:
            log.error("The published trust root is not to be trusted: %s", refused)
            return (State.INVALID,)
        return tuple(self._verified(raw, trust, now) for raw in raws)

    def _verified(self, raw: bytes, trust: TrustRoot, now: datetime) -> VerifiedLicense | State:
        try:
            verified = verify_installed(raw, trust, self._tenant_id, self._environment, self._installation_id, now)
        except Revoked:
            return State.REVOKED
        except LicenseRefused as refused:
            log.error("A published license is not to be trusted: %s %s", refused.code, refused)
            return State.INVALID
        self._floor = max(self._floor, verified.claims.issued_at)
        return verified

    def _grant_at(self, now: datetime) -> Grant:
        """The newest license that has begun; else what waits; else what is wrong."""
        genuine = [each.claims for each in self._held if not isinstance(each, State)]
        begun = [claims for claims in genuine if claims.valid_from <= now]
        waiting = [claims for claims in genuine if now < claims.valid_from]
        begins = min((claims.valid_from for claims in waiting), default=None)
        if begun:
            claims = max(begun, key=lambda each: each.version)
            return Grant(state_at(claims, now), claims, _earliest(_next_change(claims, now), begins))
        refused = next((each for each in self._held if isinstance(each, State)), None)
        if refused is not None:
            return Grant(refused, None, begins)
        return Grant(State.SCHEDULED if waiting else State.NONE, None, begins)


def _next_change(claims: LicenseClaims, now: datetime) -> datetime | None:
    changes = (claims.valid_until - EXPIRING, claims.valid_until, claims.grace_until)
    return next((each for each in changes if now < each), None)


def _earliest(*instants: datetime | None) -> datetime | None:
    return min((each for each in instants if each is not None), default=None)
