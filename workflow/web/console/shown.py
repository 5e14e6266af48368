"""What the pages show of a license: days, levels, checks. Values only; the words are in the templates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from workflow.console.current import Held, Situation
from workflow.console.said import unpacked
from workflow.license_file import LicenseClaims, Result, day_in, last_usable_day
from workflow.license_gate import EXPIRING

LAST_WEEK = 7
CHECK_KINDS: Mapping[str, str] = MappingProxyType(
    {Result.PASSED: "pass", Result.FAILED: "fail", Result.NOT_CHECKED: "skip", Result.NOTE: "note"}
)
"""the names the check list has in the stylesheet"""


@dataclass(frozen=True)
class Validity:
    """A license's days in its own time zone. `left` counts from today to the last usable day, `elapsed` is percent."""

    first: date
    last: date
    total: int
    left: int
    grace_left: int
    starts_in: int
    elapsed: int
    level: str


@dataclass(frozen=True)
class SigningKey:
    """The key of a signature, as the trust root lists it."""

    label: str
    keyid: str
    algorithm: str


@dataclass(frozen=True)
class Checked:
    """One line of the list of checks."""

    kind: str
    name: str
    title: str
    detail: str


def validity_of(claims: LicenseClaims, now: datetime) -> Validity:
    """The days of a license as of an instant."""
    first, last, today = day_in(claims.valid_from, claims.time_zone), last_usable_day(claims), day_in(now, claims.time_zone)
    span = (claims.valid_until - claims.valid_from).total_seconds()
    gone = (now - claims.valid_from).total_seconds()
    left = (last - today).days
    return Validity(
        first=first,
        last=last,
        total=(last - first).days + 1,
        left=left,
        grace_left=max(0, -((now - claims.grace_until) // timedelta(days=1))),
        starts_in=(first - today).days,
        elapsed=min(100, max(0, round(gone * 100 / span))),
        level="bad" if left <= LAST_WEEK else "warn" if claims.valid_until - now <= EXPIRING else "ok",
    )


def signing_key(held: Held, situation: Situation) -> SigningKey | None:
    """The trusted key that signed; None when the trust root lists it no more."""
    for keyid in held.row.keyids:
        if (key := situation.trust.keys.get(keyid)) is not None:
            return SigningKey(key.label, keyid, key.alg)
    return None


def checks_of(stored: Iterable[Mapping[str, Any]]) -> tuple[Checked, ...]:
    """The checks of an upload as they were stored."""
    return tuple(
        Checked(CHECK_KINDS[each["result"]], each["name"], unpacked(each["title"]), unpacked(each["detail"])) for each in stored
    )
