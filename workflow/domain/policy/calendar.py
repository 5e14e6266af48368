"""Business time: which hours of which days count, and what instant lies so many of them ahead."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import assert_never
from zoneinfo import ZoneInfo

MOST_DAYS = 60
"""The longest time a policy can give: a quarter of a year. Longer ones are mistakes."""

_WRITTEN = re.compile(r"([1-9][0-9]{0,2})(bd|bh)")


class Unit(StrEnum):
    """What business time is counted in."""

    DAYS = "bd"
    HOURS = "bh"


@dataclass(frozen=True)
class BusinessTime:
    """A stretch of business time. One business day is as long as the calendar's hours of a day."""

    amount: int
    unit: Unit

    @classmethod
    def read(cls, written: str) -> "BusinessTime":
        """Reads "2bd" or "4bh". Raises ValueError."""
        found = _WRITTEN.fullmatch(written)
        if found is None:
            raise ValueError(f"{written!r} is no business time. Write business days as 2bd, business hours as 4bh.")
        made = cls(int(found[1]), Unit(found[2]))
        if made.amount > (MOST_DAYS if made.unit is Unit.DAYS else MOST_DAYS * 8):
            raise ValueError(f"{written} is too long; {MOST_DAYS}bd is the most.")
        return made

    def __str__(self) -> str:
        """As it is written in the file."""
        return f"{self.amount}{self.unit}"

    @property
    def words(self) -> str:
        """For people: "2 business days"."""
        what = "business day" if self.unit is Unit.DAYS else "business hour"
        return f"{self.amount} {what}{'' if self.amount == 1 else 's'}"


@dataclass(frozen=True)
class Calendar:
    """When people are at work: `opens` to `closes` in `time_zone`, on days that are neither weekend nor holiday.

    `weekend` holds weekdays as numbers, Monday is 0. `workdays` are make-up days: they count although they are in the weekend.
    """

    time_zone: str = "UTC"
    weekend: frozenset[int] = frozenset({5, 6})
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()
    opens: time = time(9)
    closes: time = time(18)

    def is_business_day(self, day: date) -> bool:
        """Whether people work that day."""
        return day in self.workdays or (day.weekday() not in self.weekend and day not in self.holidays)

    def length(self, wait: BusinessTime) -> timedelta:
        """How much work `wait` is on days without a clock change: what business times are compared by."""
        hours = datetime.combine(date.min, self.closes) - datetime.combine(date.min, self.opens)
        return wait.amount * (hours if wait.unit is Unit.DAYS else timedelta(hours=1))

    def after(self, start: datetime, wait: BusinessTime) -> datetime:
        """The instant (aware UTC) at which `wait` of business time has passed since `start`, which must be aware.

        A wait that ends with a day's work ends at closing time, not the next morning. Hours are as long as the clock on the
        wall says they are: on the day a time zone changes its clocks, a business day is an hour longer or shorter.
        """
        match wait.unit:
            case Unit.DAYS:
                return self._days_later(start.astimezone(UTC), wait.amount)
            case Unit.HOURS:
                return self._hours_later(start.astimezone(UTC), timedelta(hours=wait.amount))
            case _:
                assert_never(wait.unit)

    def _days_later(self, start: datetime, days: int) -> datetime:
        """The same time of day, so many business days later; what is not begun counts from the next opening."""
        day = self._today(start)
        while self._span(day)[1] <= start or not self.is_business_day(day):
            day += timedelta(days=1)
        if start <= self._span(day)[0]:  # whole days, the first of them this one
            return self._span(self._business_days_on(day, days - 1))[1]
        clock = start.astimezone(ZoneInfo(self.time_zone)).time()
        later = datetime.combine(self._business_days_on(day, days), clock, ZoneInfo(self.time_zone))
        return later.astimezone(UTC)

    def _hours_later(self, start: datetime, left: timedelta) -> datetime:
        day = self._today(start)
        while True:
            opens, closes = self._span(day)
            begins = max(start, opens)
            if closes > begins:  # never on a day off, which has no span
                if left <= closes - begins:
                    return begins + left
                left -= closes - begins
            day += timedelta(days=1)

    def _today(self, instant: datetime) -> date:
        return instant.astimezone(ZoneInfo(self.time_zone)).date()

    def _business_days_on(self, day: date, days: int) -> date:
        while days:
            day += timedelta(days=1)
            days -= self.is_business_day(day)
        return day

    def _span(self, day: date) -> tuple[datetime, datetime]:
        """A day's work as aware UTC; on a day off it ends as it begins."""
        zone = ZoneInfo(self.time_zone)
        opens = datetime.combine(day, self.opens, zone).astimezone(UTC)
        if not self.is_business_day(day):
            return opens, opens
        return opens, datetime.combine(day, self.closes, zone).astimezone(UTC)
