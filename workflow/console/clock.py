"""The stored side of the clock floor: a clock that was set back is seen and shown, and never extends a license."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, select

from workflow.console.store import ClockFloor, InstalledLicense
from workflow.license_file import SeenTime, TrustRoot, effective_now, is_behind

WRITTEN_EVERY = timedelta(minutes=1)
"""how far the clock moves before the floor is written down again"""


@dataclass(frozen=True)
class ClockReading:
    """The effective time, what the clock said, and since when it is known to be more than a day behind (None: it is not)."""

    now: datetime
    said: datetime
    behind_since: datetime | None

    @property
    def is_suspect(self) -> bool:
        """Whether somebody set the clock back: worth an alert, never a punishment."""
        return self.behind_since is not None


def read(session: Session, trust: TrustRoot, environment: str, now: datetime) -> ClockReading:
    """The effective time: the latest of `now`, the highest time seen and the newest `issued_at` of a trusted license.

    `now` is the product's time, which the demo may move; the highest time seen is the machine's.
    """
    floor = session.get(ClockFloor, 1)
    seen = SeenTime(floor.seen, floor.ahead_since) if floor else None
    rows = session.exec(select(InstalledLicense.keyids, InstalledLicense.issued_at)).all()
    issued = [issued_at for keyids, issued_at in rows if trust.trusts_issuers(keyids, environment, now)]
    effective = effective_now(now, seen, max(issued, default=None))
    if not is_behind(now, effective):
        return ClockReading(effective, now, None)
    return ClockReading(effective, now, (floor.behind_since if floor else None) or effective)


def observe(session: Session, reading: ClockReading, wall: datetime) -> bool:
    """Looks at the machine's clock once more and keeps what follows from it. True if anything was written."""
    floor = session.get(ClockFloor, 1)
    if floor is None:
        session.add(ClockFloor(seen=wall, behind_since=reading.behind_since))
        return True
    before = SeenTime(floor.seen, floor.ahead_since)
    after = before.observed(wall)
    if (
        after.highest - before.highest < WRITTEN_EVERY
        and after.ahead_since == before.ahead_since
        and floor.behind_since == reading.behind_since
    ):
        return False
    floor.seen, floor.ahead_since, floor.behind_since = after.highest, after.ahead_since, reading.behind_since
    session.add(floor)
    return True
