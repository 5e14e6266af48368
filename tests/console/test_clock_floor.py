"""The clock floor as it is stored: steps back never extend a license, wild steps ahead are not believed at once."""

from datetime import datetime, timedelta

import pytest

from tests.console import vendor
from tests.console.acting import activated, taken_in
from workflow.console import clock, current
from workflow.console.identity import Console
from workflow.console.store import ClockFloor, RefusedUpload
from workflow.database import reading, transaction
from workflow.license_gate import State
from workflow.times import utc_now

DAY = timedelta(days=1)
NOW = utc_now()


def observe(console: Console, wall: datetime) -> clock.ClockReading:
    with transaction(console.engine) as session:
        found = clock.read(session, console.trust(session), "PROD", wall)
        clock.observe(session, found, wall)
        return found


def seen(console: Console) -> datetime:
    with reading(console.engine) as session:
        return session.get_one(ClockFloor, 1).seen


def test_a_clock_set_back_keeps_the_time_that_was_seen_and_is_told(console: Console) -> None:
    observe(console, NOW)
    back = observe(console, NOW - 3 * DAY)
    assert back.now == NOW
    assert back.behind_since == NOW
    later = observe(console, NOW - 3 * DAY + timedelta(hours=1))
    assert later.behind_since == NOW
    assert observe(console, NOW + timedelta(minutes=5)).behind_since is None


def test_a_few_hours_back_are_no_alarm(console: Console) -> None:
    observe(console, NOW)
    assert not observe(console, NOW - timedelta(hours=23)).is_suspect


@pytest.mark.parametrize(("ahead", "believed"), [(31 * DAY, True), (31 * DAY + timedelta(seconds=1), False)])
def test_a_step_ahead_is_believed_at_once_up_to_31_days(console: Console, ahead: timedelta, believed: bool) -> None:
    observe(console, NOW)
    observe(console, NOW + ahead)
    assert (seen(console) == NOW + ahead) is believed


def test_a_longer_step_is_believed_after_72_hours_and_forgotten_when_taken_back(console: Console) -> None:
    observe(console, NOW)
    far = NOW + 400 * DAY
    observe(console, far)
    observe(console, far + timedelta(hours=71))
    assert seen(console) == NOW
    observe(console, NOW + timedelta(hours=1))  # somebody noticed
    observe(console, far)
    observe(console, far + timedelta(hours=71))
    assert seen(console) == NOW + timedelta(hours=1)
    observe(console, far + timedelta(hours=72))
    assert seen(console) == far + timedelta(hours=72)


def test_setting_the_clock_back_does_not_revive_an_expired_license(console: Console) -> None:
    activated(console, vendor.lic())
    ended = NOW + 360 * DAY
    for month in range(13):
        observe(console, NOW + month * 30 * DAY)
    with reading(console.engine) as session:
        situation = current.look(session, console, NOW)
    assert situation.now >= ended
    assert situation.state is State.EXPIRED
    assert situation.clock.is_suspect


def test_the_newest_issue_time_of_a_trusted_license_is_a_floor(console: Console) -> None:
    issued = vendor.whole(NOW + 5 * DAY)
    activated(console, vendor.lic(issued_at=issued))
    with reading(console.engine) as session:
        assert clock.read(session, console.trust(session), "PROD", NOW).now == issued


def test_a_refused_file_raises_no_floor(console: Console) -> None:
    outcome = taken_in(console, vendor.lic(key="issuer-uat", issued_at=vendor.whole(NOW + 500 * DAY)))
    assert isinstance(outcome, RefusedUpload)
    with reading(console.engine) as session:
        assert clock.read(session, console.trust(session), "PROD", NOW).now == NOW


def test_a_root_that_drops_a_key_drops_the_floors_its_files_set(console: Console) -> None:
    activated(console, vendor.lic(version=900, issued_at=vendor.whole(NOW + 5000 * DAY)))
    dropped = vendor.root(vendor.root_payload(version=2, without=["issuer-prod"]))
    row = activated(console, vendor.lic(version=2, key="issuer-prod-spare", roots=(dropped,)), now=NOW)
    assert row.version == 2
    with reading(console.engine) as session:
        situation = current.look(session, console, NOW)
    assert situation.trust.version == 2
    assert situation.now < NOW + DAY
    assert situation.state is State.ACTIVE


def test_the_floor_is_written_at_most_once_a_minute(console: Console) -> None:
    observe(console, NOW)
    observe(console, NOW + timedelta(seconds=59))
    assert seen(console) == NOW
    observe(console, NOW + timedelta(seconds=60))
    assert seen(console) == NOW + timedelta(seconds=60)
