"""Which reminder is due: days are counted where the customer is, and a missed step is not made up for."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow.domain.reminders import Due, due, due_at, next_step_at
from workflow.domain.terms import start_of_day

STEPS = (30, 14, 7, 1, 0)
LAST_DAY = date(2027, 3, 31)
SHANGHAI = "Asia/Shanghai"
LONG_AGO = datetime(2026, 4, 1, tzinfo=UTC)


def at(text: str, time_zone: str = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def due_now(
    now: datetime,
    *,
    done: Sequence[int] = (),
    issued_at: datetime = LONG_AGO,
    last_day: date = LAST_DAY,
    time_zone: str = SHANGHAI,
    steps: Sequence[int] = STEPS,
) -> Due:
    return due(
        last_day=last_day,
        time_zone=time_zone,
        valid_until=start_of_day(last_day + timedelta(days=1), time_zone),
        steps=steps,
        done=done,
        issued_at=issued_at,
        hour=9,
        now=now,
    )


def test_seven_days_ahead_means_nine_in_the_morning_seven_days_before_the_last_usable_day() -> None:
    assert due_at(LAST_DAY, 7, SHANGHAI, 9) == datetime(2027, 3, 24, 1, 0, tzinfo=UTC)
    assert due_now(at("2027-03-24T08:59"), done=(30, 14)) == Due(None, ())
    assert due_now(at("2027-03-24T09:00"), done=(30, 14)) == Due(7, ())


def test_the_last_step_falls_on_the_last_usable_day_itself() -> None:
    assert due_now(at("2027-03-31T08:59"), done=(30, 14, 7, 1)) == Due(None, ())
    assert due_now(at("2027-03-31T09:00"), done=(30, 14, 7, 1)) == Due(0, ())


@pytest.mark.parametrize(
    ("time_zone", "last_day", "expected"),
    [
        ("Europe/Berlin", date(2027, 4, 2), datetime(2027, 3, 26, 8, 0, tzinfo=UTC)),  # winter time
        ("Europe/Berlin", date(2027, 4, 4), datetime(2027, 3, 28, 7, 0, tzinfo=UTC)),  # the clocks changed that night
        ("Europe/Berlin", date(2027, 11, 7), datetime(2027, 10, 31, 8, 0, tzinfo=UTC)),  # and back
        ("Africa/Cairo", date(2027, 5, 7), datetime(2027, 4, 30, 6, 0, tzinfo=UTC)),  # its midnight does not exist
        ("America/Los_Angeles", date(2027, 3, 21), datetime(2027, 3, 14, 16, 0, tzinfo=UTC)),
        ("Pacific/Kiritimati", date(2027, 1, 8), datetime(2026, 12, 31, 19, 0, tzinfo=UTC)),
        ("Asia/Kathmandu", date(2027, 1, 8), datetime(2027, 1, 1, 3, 15, tzinfo=UTC)),
        ("Pacific/Pago_Pago", date(2027, 1, 8), datetime(2027, 1, 1, 20, 0, tzinfo=UTC)),
    ],
)
def test_nine_in_the_morning_is_the_customers(time_zone: str, last_day: date, expected: datetime) -> None:
    assert due_at(last_day, 7, time_zone, 9) == expected


def test_after_an_outage_only_the_most_urgent_step_is_sent_and_the_others_were_missed() -> None:
    assert due_now(at("2027-03-25T12:00")) == Due(7, (14, 30))
    assert due_now(at("2027-03-31T12:00"), done=(30,)) == Due(0, (1, 7, 14))


def test_a_step_is_sent_once() -> None:
    now = at("2027-03-24T09:00")
    assert due_now(now, done=(30, 14, 7)) == Due(None, ())


def test_after_the_end_nothing_is_sent_and_what_was_not_is_missed() -> None:
    assert due_now(at("2027-04-01T00:00"), done=(30, 14)) == Due(None, (0, 1, 7))
    assert due_now(at("2027-03-31T23:59"), done=(30, 14)) == Due(0, (1, 7))


def test_who_got_a_license_of_five_days_is_not_told_the_same_day_that_it_ends() -> None:
    issued = at("2027-03-26T15:00")
    assert due_now(at("2027-03-26T15:01"), issued_at=issued) == Due(None, (7, 14, 30))
    assert due_now(at("2027-03-30T09:00"), issued_at=issued, done=(7, 14, 30)) == Due(1, ())


def test_a_step_added_later_does_not_go_out_after_a_more_urgent_one() -> None:
    """An operator adds 21 days to the steps while the reminder of 7 days has been sent already."""
    assert due_now(at("2027-03-25T12:00"), steps=(21, *STEPS), done=(30, 14, 7)) == Due(None, (21,))


def test_the_next_step_is_the_first_one_ahead() -> None:
    def next_after(text: str) -> datetime | None:
        return next_step_at(last_day=LAST_DAY, time_zone=SHANGHAI, steps=STEPS, hour=9, now=at(text))

    assert next_after("2026-05-01T00:00") == at("2027-03-01T09:00")
    assert next_after("2027-03-01T09:00") == at("2027-03-17T09:00")
    assert next_after("2027-03-30T10:00") == at("2027-03-31T09:00")
    assert next_after("2027-03-31T09:00") is None


@settings(deadline=None)
@given(
    st.dates(date(2026, 6, 1), date(2040, 1, 1)),
    st.sampled_from([SHANGHAI, "Europe/Berlin", "Africa/Cairo", "America/Havana", "Pacific/Kiritimati", "Pacific/Pago_Pago"]),
    st.sets(st.integers(0, 60), min_size=1, max_size=5),
    st.lists(st.integers(1, 24 * 20), min_size=1, max_size=25),
    st.integers(0, 90),
)
def test_whenever_the_desk_wakes_up_each_step_is_settled_once_and_the_urgent_ones_come_last(
    last_day: date, time_zone: str, steps: set[int], naps: list[int], issued_days_ahead: int
) -> None:
    issued_at = due_at(last_day, issued_days_ahead, time_zone, 12)
    now, sent, settled = issued_at, list[int](), list[int]()
    for hours in naps:
        now += timedelta(hours=hours)
        found = due_now(now, done=settled, issued_at=issued_at, last_day=last_day, time_zone=time_zone, steps=tuple(steps))
        settled += [*found.missed, *([found.send] if found.send is not None else [])]
        sent += [found.send] if found.send is not None else []
    assert len(settled) == len(set(settled))
    assert set(settled) == {step for step in steps if due_at(last_day, step, time_zone, 9) <= now}
    assert sent == sorted(sent, reverse=True)
