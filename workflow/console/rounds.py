"""What the console's process looks after by itself: the clock floor, a scheduled license whose day has come, the published
directory, and the receipts that wait."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from workflow.console import accounts, clock, current, install, publishing, receipts
from workflow.console.identity import Console
from workflow.console.store import Standing
from workflow.console.usage import UsageFile
from workflow.database import reading, transaction
from workflow.times import utc_now, wall_now

LOOK_EVERY = 0.5
"""seconds; a new generation reaches every process within one"""
WRITE_EVERY = timedelta(minutes=1)


@dataclass
class Rounds:
    """One process's rounds. Several processes may make them side by side; the database decides who does what."""

    console: Console
    desk_url: str | None
    usage_file: UsageFile | None = None
    _written: datetime | None = field(default=None, init=False)

    def look_after(self) -> None:
        """One quick round: no network, and no writing unless something is due."""
        now, wall = utc_now(), wall_now()
        publishing.publish(self.console)  # first: what was committed must not wait for anything that may fail below
        if self._floor_is_due(wall) or self._next_is_due(now):
            with transaction(self.console.engine) as session:
                trust = self.console.trust(session)
                clock.observe(session, clock.read(session, trust, self.console.identity.environment, now), wall)
                install.take_over(session, self.console, now, wall)
                accounts.forget_old(session, wall)
            self._written = wall
            publishing.mend(self.console)
        if self.usage_file is not None:
            self.usage_file.look(self.console.engine, now)

    def send_receipts(self, client: httpx.Client) -> int:
        """One round over the network: posts what is due, if there is a desk to post to."""
        if self.desk_url is None:
            return 0
        return receipts.send_waiting(self.console, self.desk_url, client, wall_now(), utc_now())

    def _floor_is_due(self, wall: datetime) -> bool:
        return self._written is None or not timedelta() <= wall - self._written < WRITE_EVERY

    def _next_is_due(self, now: datetime) -> bool:
        with reading(self.console.engine) as session:
            if current.row_with(session, Standing.SCHEDULED) is None:
                return False
            # One that was called back while it waited never takes over, and stays where it is.
            held = current.look(session, self.console, now).current
            return held is not None and held.row.standing == Standing.SCHEDULED
