"""The next ninety days of licenses: rows, groups, weeks and tiles, with the places of everything drawn on the line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from workflow.domain.application import Standing
from workflow.domain.reminders import ReminderState
from workflow.templating import day
from workflow.web.desk.shown.checks import days_left
from workflow.web.desk.shown.states import Badge, status_badge

WINDOW = 90
WEEKS = 13
SOON = 14
URGENT, NEAR = 7, 30
BAR_HEIGHT, BAR_TOP = 18, 92


class Reminded(Protocol):
    """What is read of a reminder."""

    days_ahead: int
    state: str
    sent_at: datetime | None


@dataclass(frozen=True)
class Ending:
    """A license that ends, with what is known of its reminders and its renewal."""

    license_id: str
    version: int
    company: str
    environment: str
    last_day: date
    ended: bool
    successor_version: int | None
    successor_standing: str
    renewal_number: str
    renewal_status: str
    reminders: Sequence[Reminded]

    @property
    def renewed(self) -> bool:
        """Whether nobody has to act: a successor was issued."""
        return self.successor_version is not None


@dataclass(frozen=True)
class Row:
    """One line of the timeline; positions are percent of its width."""

    ending: Ending
    x: float
    level: str
    reminder_x: float | None
    reminder_kind: str
    ends: str
    left: str
    pressing: bool
    reminder: Badge
    renewal: Badge | None


@dataclass(frozen=True)
class Group:
    """Rows under one heading."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Tick:
    """A date on the axis."""

    x: float
    label: str
    anchor: str


@dataclass(frozen=True)
class Bar:
    """One license in the picture of a week."""

    environment: str
    y: int
    height: int


@dataclass(frozen=True)
class Week:
    """The licenses that end in one week."""

    x: float
    width: float
    middle: float
    bars: Sequence[Bar]
    label: str
    top: int
    odd: bool


def groups_of(endings: Iterable[Ending], today: date, steps: Sequence[int]) -> list[Group]:
    """The rows by how near their end is: ended, the next fourteen days, then by month."""
    found: dict[str, list[Row]] = {}
    for each in endings:
        found.setdefault(_heading(each, today), []).append(_row(each, today, steps))
    return [Group(title, rows) for title, rows in found.items()]


def axis_of(today: date) -> list[Tick]:
    """Today, then the first of each month that leaves room for the word before it."""
    ticks = [Tick(0.6, "Today", "start")]
    for offset in range(16, WINDOW - 6):
        at = today + timedelta(days=offset)
        if at.day == 1:
            ticks.append(Tick(_x(offset), f"{at.day} {at:%b}", "middle"))
    return ticks


def weeks_of(endings: Sequence[Ending], today: date) -> list[Week]:
    """How many licenses end in each of the next thirteen weeks, as stacked bars."""
    width = 100 / WEEKS
    weeks = []
    for number in range(WEEKS):
        start = today + timedelta(days=7 * number)
        inside = [each for each in endings if start <= each.last_day < start + timedelta(days=7)]
        inside.sort(key=lambda each: ("PROD", "UAT", "DEV").index(each.environment))
        height = min(BAR_HEIGHT, 70 // max(1, len(inside)))
        bars = [Bar(each.environment, BAR_TOP - height * (i + 1), height - 2) for i, each in enumerate(inside)]
        weeks.append(
            Week(
                x=round(number * width + width * 0.15, 2),
                width=round(width * 0.7, 2),
                middle=round(number * width + width / 2, 2),
                bars=bars,
                label=f"{start.day} {start:%b}",
                top=BAR_TOP - height * len(inside) - 6,
                odd=number % 2 == 1,
            )
        )
    return weeks


def weeks_in_words(weeks: Sequence[Week]) -> str:
    """The picture for people who do not see it."""
    told = [f"week of {each.label}: {len(each.bars)}" for each in weeks if each.bars]
    return "Licenses that end by week. " + ("; ".join(told) if told else "None")


def within(endings: Sequence[Ending], today: date, days: int) -> list[Ending]:
    """Those with at most so many days left."""
    return [each for each in endings if not each.ended and 0 <= (each.last_day - today).days <= days]


def _row(each: Ending, today: date, steps: Sequence[int]) -> Row:
    left = (each.last_day - today).days
    level = "ok" if each.renewed else ("bad" if left <= URGENT else ("warn" if left <= NEAR else ""))
    badge, at, kind = _reminder(each, today, steps)
    return Row(
        ending=each,
        x=_x(left),
        level=level,
        reminder_x=_x((at - today).days) if at is not None and today <= at <= today + timedelta(days=WINDOW) else None,
        reminder_kind=kind,
        ends=day(each.last_day),
        left=days_left(each.last_day, today),
        pressing=left <= URGENT and not each.renewed,
        reminder=badge,
        renewal=_renewal(each),
    )


def _reminder(each: Ending, today: date, steps: Sequence[int]) -> tuple[Badge, date | None, str]:
    told = sorted((row for row in each.reminders if row.days_ahead >= 0), key=lambda row: row.days_ahead)
    failed = next((row for row in told if row.state == ReminderState.FAILED), None)
    if failed is not None:
        return Badge("Failed", "bad", "mail-x"), each.last_day - timedelta(days=failed.days_ahead), "fail"
    sent = next((row for row in told if row.state == ReminderState.SENT), None)
    ahead = [each.last_day - timedelta(days=step) for step in steps]
    planned = min((at for at in ahead if at > today), default=None)
    if sent is not None and sent.sent_at is not None:
        at = each.last_day - timedelta(days=sent.days_ahead)
        return Badge(f"Sent {sent.sent_at.day} {sent.sent_at:%b}", "ok", "mail-check"), planned or at, ""
    if each.successor_standing in (Standing.ACTIVATED, Standing.SCHEDULED):
        return Badge("Not needed", "", "ban"), None, ""
    if planned is None:
        return Badge("None planned", "", "ban"), None, ""
    return Badge(f"Planned {planned.day} {planned:%b}", "", "clock"), planned, ""


def _renewal(each: Ending) -> Badge | None:
    if each.successor_version is not None:
        told = {Standing.ACTIVATED: "active", Standing.SCHEDULED: "scheduled"}
        words = told.get(Standing(each.successor_standing), "issued")
        return Badge(f"Version {each.successor_version} {words}", "ok", "file-check")
    return status_badge(each.renewal_status) if each.renewal_number else None


def _heading(each: Ending, today: date) -> str:
    left = (each.last_day - today).days
    if left < 0:
        return "Ended"
    return f"Next {SOON} days" if left <= SOON else f"{each.last_day:%B %Y}"


def _x(days: int) -> float:
    return round(min(99.4, max(0.6, days * 100 / WINDOW)), 2)
