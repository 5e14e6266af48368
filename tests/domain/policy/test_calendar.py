"""Business time: weekends, holidays and make-up days, in the policy's own time zone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.domain.policy.calendar import BusinessTime, Calendar, Unit

SHANGHAI = ZoneInfo("Asia/Shanghai")
CALENDAR = Calendar(
    time_zone="Asia/Shanghai",
    holidays=frozenset({date(2027, 1, 1)}),  # a Friday
    workdays=frozenset({date(2027, 1, 9)}),  # a Saturday
)


def at(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("start", "wait", "end"),
    [
        ("2026-12-28 10:00", "2bd", "2026-12-30 10:00"),  # Monday to Wednesday
        ("2026-12-31 16:00", "1bd", "2027-01-04 16:00"),  # over a holiday and a weekend
        ("2027-01-08 17:00", "1bd", "2027-01-09 17:00"),  # into a make-up day
        ("2027-01-08 17:00", "2bd", "2027-01-11 17:00"),
        ("2026-12-28 09:00", "1bd", "2026-12-28 18:00"),  # a whole day ends with the day
        ("2026-12-28 07:00", "1bd", "2026-12-28 18:00"),  # before opening counts from the opening
        ("2026-12-28 19:00", "1bd", "2026-12-29 18:00"),  # after closing, from the next one
        ("2027-01-02 12:00", "2bd", "2027-01-05 18:00"),  # from a Saturday: Monday and Tuesday
        ("2026-12-28 10:00", "4bh", "2026-12-28 14:00"),
        ("2026-12-28 16:00", "4bh", "2026-12-29 11:00"),
        ("2026-12-31 17:00", "1bh", "2026-12-31 18:00"),
        ("2026-12-31 17:00", "2bh", "2027-01-04 10:00"),
        ("2026-12-28 10:00", "18bh", "2026-12-30 10:00"),
    ],
)
def test_business_time_passes_only_while_people_work(start: str, wait: str, end: str) -> None:
    assert CALENDAR.after(at(start), BusinessTime.read(wait)) == at(end)


def test_what_is_due_is_said_in_utc_and_counted_in_the_zone_of_the_policy() -> None:
    """Friday 23:00 in London is Saturday in Shanghai."""
    friday = datetime(2026, 12, 18, 23, tzinfo=UTC)
    due = CALENDAR.after(friday, BusinessTime.read("1bd"))
    assert (due, due.tzinfo) == (at("2026-12-21 18:00"), UTC)


def test_a_clock_change_in_the_middle_of_the_day_makes_the_day_longer() -> None:
    night_shift = Calendar(time_zone="Europe/Berlin", weekend=frozenset(), opens=time(0), closes=time(6))
    midnight = datetime(2026, 10, 25, tzinfo=ZoneInfo("Europe/Berlin"))
    assert night_shift.after(midnight, BusinessTime(7, Unit.HOURS)) == midnight.astimezone(UTC) + timedelta(hours=7)


@pytest.mark.parametrize("written", ["", "2", "2d", "0bd", "-1bd", "2 bd", "1.5bd", "2BD", "1000bd", "9999bh", "２bd"])
def test_what_is_no_business_time_is_refused(written: str) -> None:
    with pytest.raises(ValueError):
        BusinessTime.read(written)


WAITS = st.builds(BusinessTime, st.integers(1, 40), st.sampled_from(Unit))
STARTS = st.integers(0, 62 * 24 * 60).map(lambda minutes: datetime(2026, 12, 1, tzinfo=UTC) + timedelta(minutes=minutes))


@given(STARTS, WAITS)
def test_what_is_due_is_due_while_people_work(start: datetime, wait: BusinessTime) -> None:
    due = CALENDAR.after(start, wait)
    local = due.astimezone(SHANGHAI)
    assert due > start
    assert CALENDAR.is_business_day(local.date())
    assert CALENDAR.opens < local.time() <= CALENDAR.closes


@given(STARTS, STARTS, WAITS)
def test_who_is_asked_later_never_has_to_answer_earlier(one: datetime, other: datetime, wait: BusinessTime) -> None:
    first, second = sorted((one, other))
    assert CALENDAR.after(first, wait) <= CALENDAR.after(second, wait)


@given(STARTS, st.integers(1, 40))
def test_days_and_their_hours_are_the_same_time(start: datetime, days: int) -> None:
    assert CALENDAR.after(start, BusinessTime(days, Unit.DAYS)) == CALENDAR.after(start, BusinessTime(days * 9, Unit.HOURS))
