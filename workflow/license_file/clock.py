"""The time that counts: a floor under the wall clock, so that setting the clock back never extends a license."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: A step ahead up to this long is believed at once.
TRUSTED_STEP: Final = timedelta(days=31)
#: A longer step is believed after the clock has gone on for this long.
CONFIRMATION: Final = timedelta(hours=72)
#: A wall clock this far behind what was seen is reported.
TOLERATED_LAG: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class SeenTime:
    """The highest time a platform has seen, and since when a doubtful step ahead is waiting for confirmation."""

    highest: datetime
    ahead_since: datetime | None = None

    def observed(self, wall: datetime) -> SeenTime:
        """What is known after looking at the wall clock once more. Look at least daily."""
        step = wall - self.highest
        if step <= TRUSTED_STEP:
            return SeenTime(max(self.highest, wall))
        if self.ahead_since is None or wall < self.ahead_since:
            return SeenTime(self.highest, wall)
        if wall - self.ahead_since >= CONFIRMATION:
            return SeenTime(wall)
        return self


def effective_now(wall: datetime, seen: SeenTime | None, newest_issued_at: datetime | None) -> datetime:
    """The instant to judge licenses by: the latest of the wall clock, the highest time seen, and the newest
    `issued_at` of a verified document whose key is still trusted. All aware UTC."""
    known = [wall, seen.highest if seen else None, newest_issued_at]
    return max(instant for instant in known if instant is not None)


def is_behind(wall: datetime, effective: datetime) -> bool:
    """Whether the wall clock lags so far that somebody should look: an alert, never a punishment."""
    return effective - wall > TOLERATED_LAG
