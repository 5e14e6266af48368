"""Which reminder is due: days are counted in the license's own time zone; of missed steps the most urgent is sent."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class ReminderState(StrEnum):
    """What became of a reminder. One that failed can still get through, when an operator retries its job."""

    QUEUED = "queued"
    SENT = "sent"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Due:
    """What one license owes at an instant: the step to send, and the steps that were missed."""

    send: int | None
    missed: tuple[int, ...]


def due_at(last_day: date, days_ahead: int, time_zone: str, hour: int) -> datetime:
    """The instant of step `days_ahead`: `hour`:00 in `time_zone` on (last usable day - days_ahead), as aware UTC."""
    return datetime.combine(last_day - timedelta(days=days_ahead), time(hour), ZoneInfo(time_zone)).astimezone(UTC)


def due(
    *,
    last_day: date,
    time_zone: str,
    valid_until: datetime,
    steps: Iterable[int],
    done: Iterable[int],
    issued_at: datetime,
    hour: int,
    now: datetime,
) -> Due:
    """Which of `steps` (days ahead) to send now, given those that are `done` (sent, queued or skipped).

    A step that fell due while nothing ran is sent late; of several, only the most urgent, the others are `missed`. A step
    whose hour had passed before the license was issued is missed as well: whoever just got a license of a few days knows
    its end. So is one that comes after a more urgent one, because it was added to the settings later. After the end nothing
    is sent: the notice of the end takes over.
    """
    settled = set(done)
    open_steps = [step for step in sorted(set(steps) - settled) if due_at(last_day, step, time_zone, hour) <= now]
    if now >= valid_until:
        return Due(None, tuple(open_steps))
    if not open_steps:
        return Due(None, ())
    urgent, *missed = open_steps
    if urgent > min(settled, default=urgent) or due_at(last_day, urgent, time_zone, hour) < issued_at:
        return Due(None, tuple(open_steps))
    return Due(urgent, tuple(missed))


def next_look_at(
    *,
    last_day: date,
    time_zone: str,
    valid_until: datetime,
    grace_until: datetime,
    steps: Iterable[int],
    hour: int,
    now: datetime,
) -> datetime:
    """When a license has to be looked at next: at its next step, then at its end, then at the end of its grace."""
    step = next_step_at(last_day=last_day, time_zone=time_zone, steps=steps, hour=hour, now=now)
    return step or (valid_until if now < valid_until else grace_until)


def next_step_at(*, last_day: date, time_zone: str, steps: Iterable[int], hour: int, now: datetime) -> datetime | None:
    """When the next step after `now` falls due; None when the last one has passed."""
    ahead = sorted(each for each in (due_at(last_day, step, time_zone, hour) for step in steps) if each > now)
    return ahead[0] if ahead else None
