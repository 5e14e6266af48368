"""What a license is worth at an instant, and what may be done then: one table, no clock of its own."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, assert_never

from ..license_file import LicenseClaims, OnExpiry

#: An active license this close to its end is called expiring; nothing else changes.
EXPIRING: Final = timedelta(days=30)


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


class Rights(NamedTuple):
    """What may be done with what is licensed: look at it, work with it, add to it."""

    read: bool
    use: bool
    add: bool


NOTHING: Final = Rights(read=False, use=False, add=False)
EVERYTHING: Final = Rights(read=True, use=True, add=True)

AFTER_GRACE: Final[Mapping[OnExpiry, Rights]] = MappingProxyType(
    {
        OnExpiry.WARN: EVERYTHING,
        OnExpiry.BLOCK_NEW: Rights(read=True, use=True, add=False),
        OnExpiry.READ_ONLY: Rights(read=True, use=False, add=False),
    }
)


def state_at(claims: LicenseClaims, at: datetime) -> State:
    """The state of a genuine license by the clock alone. Each instant belongs to what begins with it."""
    if at < claims.valid_from:
        return State.SCHEDULED
    if at < claims.valid_until:
        return State.EXPIRING if claims.valid_until - at <= EXPIRING else State.ACTIVE
    return State.GRACE if at < claims.grace_until else State.EXPIRED


def rights_in(state: State, on_expiry: OnExpiry | None) -> Rights:
    """What may be done in a state; `on_expiry` is what the license says about the time after its grace period."""
    match state:
        case State.ACTIVE | State.EXPIRING | State.GRACE:
            return EVERYTHING
        case State.EXPIRED:
            return NOTHING if on_expiry is None else AFTER_GRACE[on_expiry]
        case State.NONE | State.SCHEDULED | State.REVOKED | State.INVALID:
            return NOTHING
        case _:
            assert_never(state)
