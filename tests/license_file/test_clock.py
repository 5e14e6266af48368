"""The floor under the clock: a step back never extends a license, a step ahead must last to be believed."""

from datetime import datetime, timedelta

import pytest

from workflow.license_file import SeenTime, effective_now, is_behind

from .example import NOW

DAY = timedelta(days=1)


def seen_after(*walls: datetime, start: SeenTime | None = None) -> SeenTime:
    seen = start or SeenTime(NOW)
    for wall in walls:
        seen = seen.observed(wall)
    return seen


def test_time_goes_on_at_once_for_steps_up_to_31_days() -> None:
    assert seen_after(NOW + 31 * DAY) == SeenTime(NOW + 31 * DAY)


def test_a_longer_step_is_believed_after_72_hours() -> None:
    jump = NOW + 32 * DAY
    assert seen_after(jump).highest == NOW
    assert seen_after(jump, jump + timedelta(hours=71, minutes=59)).highest == NOW
    assert seen_after(jump, jump + timedelta(hours=72)) == SeenTime(jump + timedelta(hours=72))


def test_a_step_ahead_that_was_taken_back_leaves_nothing_behind() -> None:
    jump = NOW + 400 * DAY
    assert seen_after(jump, NOW + DAY) == SeenTime(NOW + DAY)
    assert seen_after(jump, NOW + DAY, jump, jump + timedelta(hours=71)).highest == NOW + DAY


def test_a_clock_that_keeps_jumping_starts_the_confirmation_again() -> None:
    far, nearer = NOW + 400 * DAY, NOW + 100 * DAY
    assert seen_after(far, nearer, nearer + timedelta(hours=71)).highest == NOW
    assert seen_after(far, nearer, nearer + timedelta(hours=72)) == SeenTime(nearer + timedelta(hours=72))


def test_a_step_back_changes_nothing() -> None:
    assert seen_after(NOW - 400 * DAY) == SeenTime(NOW)


@pytest.mark.parametrize(
    ("wall", "seen", "issued", "effective"),
    [
        (NOW, None, None, NOW),
        (NOW, SeenTime(NOW - DAY), None, NOW),
        (NOW - DAY, SeenTime(NOW), None, NOW),
        (NOW - DAY, SeenTime(NOW - 2 * DAY), NOW, NOW),
        (NOW, None, NOW - DAY, NOW),
    ],
)
def test_the_latest_known_instant_counts(
    wall: datetime, seen: SeenTime | None, issued: datetime | None, effective: datetime
) -> None:
    assert effective_now(wall, seen, issued) == effective


def test_more_than_a_day_behind_is_reported() -> None:
    assert not is_behind(NOW - DAY, NOW)
    assert is_behind(NOW - DAY - timedelta(seconds=1), NOW)
    assert not is_behind(NOW, NOW)
