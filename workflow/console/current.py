"""What is in force right now, what waits, and what a person or a program is told about it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from workflow.console import clock, revocations, store, usage
from workflow.console.clock import ClockReading
from workflow.console.identity import Console
from workflow.console.store import InstalledLicense, Standing
from workflow.console.usage import Use
from workflow.license_file import LicenseClaims, LicenseRefused, RevocationList, Revoked, TrustRoot
from workflow.license_gate import State, rights_in, state_at, verify_installed


@dataclass(frozen=True)
class Held:
    """An installed license as it verifies now: its claims when it is genuine, the refusal when it no longer is."""

    row: InstalledLicense
    claims: LicenseClaims | None
    refusal: LicenseRefused | None

    def state(self, now: datetime) -> State:
        """What it is worth at an instant."""
        if self.claims is not None:
            return state_at(self.claims, now)
        return State.REVOKED if isinstance(self.refusal, Revoked) else State.INVALID


@dataclass(frozen=True)
class Situation:
    """One consistent look at the console: the license in force, the next one, the clock, the generation, and whom it
    believes."""

    state: State
    current: Held | None
    next: Held | None
    clock: ClockReading
    generation: int
    trust: TrustRoot
    revocations: RevocationList | None = None
    use: Use | None = None

    @property
    def now(self) -> datetime:
        """The effective time of this look."""
        return self.clock.now

    @property
    def claims(self) -> LicenseClaims | None:
        """The claims in force, genuine ones only."""
        return self.current.claims if self.current else None


def look(session: Session, console: Console, now: datetime) -> Situation:
    """The situation at `now` (the product's time; the clock floor is applied here).

    A scheduled license counts from its instant on, also before `install.take_over` has written it down.
    """
    trust = console.trust(session)
    reading = clock.read(session, trust, console.identity.environment, now)
    listed = revocations.held(session, trust, reading.now)
    current = _held(session, console, trust, listed, Standing.CURRENT, reading.now)
    following = _held(session, console, trust, listed, Standing.SCHEDULED, reading.now)
    if following and following.claims and following.claims.valid_from <= reading.now:
        current, following = following, None
    counting = current or following
    state = counting.state(reading.now) if counting else State.NONE
    return Situation(state, current, following, reading, store.generation(session), trust, listed, usage.find(session))


def summary(situation: Situation) -> dict[str, Any]:
    """What programs are told over HTTP; the envelope itself (it holds the activation code) is not part of it."""
    claims = situation.claims
    rights = rights_in(situation.state, claims.on_expiry if claims else None)
    licensed = [each.code for each in claims.modules if each.until is None or situation.now < each.until] if claims else []
    models = list(claims.model_types) if claims else []
    facts: dict[str, Any] = {
        "state": situation.state.value,
        "generation": situation.generation,
        "allowed": {
            "modules": licensed if rights.use else [],
            "reading": licensed if rights.read else [],
            "model_types": models if rights.use else [],
            "new": rights.add,
        },
        "license_id": None,
        "version": None,
        "valid_from": None,
        "valid_until": None,
        "grace_until": None,
        "on_expiry": None,
        "modules": [],
        "model_types": [],
        "limits": {},
    }
    if claims is None:
        return facts
    return facts | {
        "license_id": claims.license_id,
        "version": claims.version,
        "valid_from": rfc3339(claims.valid_from),
        "valid_until": rfc3339(claims.valid_until),
        "grace_until": rfc3339(claims.grace_until),
        "on_expiry": claims.on_expiry.value,
        "modules": [{"code": each.code, "until": rfc3339(each.until) if each.until else None} for each in claims.modules],
        "model_types": list(claims.model_types),
        "limits": {
            name: {"max": limit.max, "count": limit.count.value, "over": limit.over.value}
            for name, limit in claims.limits.items()
        },
    }


def rfc3339(instant: datetime) -> str:
    """2026-12-06T16:00:00Z"""
    return f"{instant.replace(tzinfo=None).isoformat(timespec='seconds')}Z"  # strftime writes the year 1 with one digit


def row_with(session: Session, standing: Standing) -> InstalledLicense | None:
    """The current or the scheduled row; the database allows one of each."""
    return session.exec(select(InstalledLicense).where(col(InstalledLicense.standing) == standing)).one_or_none()


def _held(
    session: Session,
    console: Console,
    trust: TrustRoot,
    listed: RevocationList | None,
    standing: Standing,
    now: datetime,
) -> Held | None:
    row = row_with(session, standing)
    if row is None:
        return None
    try:
        verified = verify_installed(row.raw, trust, console.identity.platform, listed, now)
    except LicenseRefused as refused:
        return Held(row, None, refused)
    return Held(row, verified.claims, None)
