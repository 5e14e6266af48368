"""The clock floor of a gate: setting the clock back revives nothing, not even over a restart; nothing begins early."""

from datetime import timedelta

from tests.console import vendor
from tests.license_gate.published import DAY, Clock, Directory, follows
from workflow.license_gate import State
from workflow.times import utc_now


def test_a_clock_set_back_does_not_revive_an_ended_license(directory: Directory) -> None:
    directory.publish(vendor.lic(lasts=31 * DAY))  # ends tomorrow, its grace in 15 days
    clock = Clock()
    with directory.gate(clock) as gate:
        for days, state in ((2, State.GRACE), (20, State.EXPIRED), (-30, State.EXPIRED)):
            clock.now += days * DAY
            assert gate.state is state
        assert not gate.allows_new()


def test_a_clock_that_jumps_far_ahead_and_back_ends_nothing_for_good(directory: Directory) -> None:
    directory.publish(vendor.lic())
    clock = Clock()
    with directory.gate(clock) as gate:
        clock.now += 5000 * DAY
        assert gate.state is State.EXPIRED
        clock.now -= 5000 * DAY
        directory.publish(vendor.lic())
        follows(gate, directory)
        assert gate.state is State.ACTIVE


def test_the_issue_time_of_the_license_is_a_floor(directory: Directory) -> None:
    claims = vendor.claims()
    directory.publish(vendor.lic(issued_at=claims.valid_until + timedelta(seconds=1)))
    with directory.gate() as gate:
        assert gate.state is State.GRACE


def test_a_restart_with_the_clock_set_back_revives_nothing_by_what_the_console_has_seen(directory: Directory) -> None:
    issued = vendor.whole(utc_now() - 70 * DAY)
    ended = vendor.lic(starts=-70 * DAY, lasts=10 * DAY, issued_at=issued)
    clock = Clock()
    clock.now -= 65 * DAY
    for seen, state in ((None, State.EXPIRING), (utc_now(), State.EXPIRED)):
        directory.publish(ended, seen=seen)
        with directory.gate(clock) as gate:
            assert gate.state is state


def test_what_the_console_is_said_to_have_seen_begins_nothing_early(directory: Directory) -> None:
    directory.publish(vendor.lic(1), vendor.fewer(2, starts=30 * DAY), seen=utc_now() + 40 * DAY)
    with directory.gate() as gate:
        assert not gate.allows("api-access")
        assert gate.allows("agent-studio")


def test_a_mark_of_time_that_makes_no_sense_is_no_mark(directory: Directory) -> None:
    directory.publish(vendor.lic())
    for wrong in (b"", b"soon", b"2099-01-01", b"\xff", b"2099-01-01T00:00:00"):
        directory.put("seen", wrong)
        with directory.gate() as gate:
            assert gate.state is State.ACTIVE
