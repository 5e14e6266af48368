"""From the console to the platform's processes: what is activated here is answered there, without a restart."""

import subprocess
import sys
from datetime import timedelta

from tests.console import vendor
from tests.console.acting import activated, listed, look, staged
from tests.license_gate.published import Clock
from tests.servers import wait_until
from workflow.console import publishing
from workflow.console.identity import Console
from workflow.console.rounds import Rounds
from workflow.console.store import RefusedUpload, StagedUpload
from workflow.database import reading
from workflow.license_file import Licensee
from workflow.license_gate import LicenseGate, State

DAY = timedelta(days=1)
OTHER_PROCESS = """
import sys, time
from workflow.license_gate import LicenseGate
with LicenseGate(sys.argv[1]) as gate:
    last = None
    while True:
        now = (gate.generation, gate.state.value, gate.allows("api-access"))
        if now != last:
            print(*now, flush=True)
            last = now
        time.sleep(0.005)
"""


def published(console: Console, raw: bytes) -> None:
    activated(console, raw)
    assert publishing.publish(console)


def test_without_a_license_nothing_is_allowed(console: Console) -> None:
    publishing.publish(console)
    with LicenseGate(console.published) as gate:
        assert (gate.state, gate.generation, gate.limit("agents"), gate.problem) == (State.NONE, 0, 0, None)
        assert not gate.allows("agent-studio")
        assert not gate.allows_new()


def test_an_active_license_allows_what_it_lists(console: Console) -> None:
    published(console, vendor.lic())
    with LicenseGate(console.published) as gate:
        assert (gate.state, gate.generation) == (State.ACTIVE, 1)
        assert gate.allows("agent-studio")
        assert not gate.allows("api-access")
        assert gate.allows_model("speech")
        assert not gate.allows_model("video")
        assert (gate.limit("agents"), gate.limit("users")) == (80, 500)
        assert gate.allows_new()


def test_another_process_answers_by_the_new_license_without_a_restart(console: Console) -> None:
    published(console, vendor.lic(1))
    process = subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, str(console.published)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().split() == ["1", "active", "False"]
        published(console, vendor.fewer(2))
        # On a busy machine the file may be read before its number.
        said = next(line.split() for line in process.stdout if not line.startswith("1 "))
        assert said == ["2", "active", "True"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_gate_that_was_there_before_the_console_finds_it(console: Console) -> None:
    away = console.directory.rename(console.directory.with_name("not yet"))
    with LicenseGate(console.published, poll_seconds=0.01) as gate:
        assert gate.state is State.NONE
        assert gate.problem is not None
        away.rename(console.directory)
        published(console, vendor.lic())
        wait_until(lambda: gate.allows("agent-studio"), 30, "the gate to find the console")
        assert gate.problem is None


def test_the_next_license_takes_over_at_its_instant_also_when_the_console_is_away(console: Console) -> None:
    published(console, vendor.lic(1))
    published(console, vendor.fewer(2, starts=DAY))
    clock = Clock()
    with LicenseGate(console.published, clock=clock) as gate:
        assert not gate.allows("api-access")
        clock.now += DAY
        assert gate.allows("api-access")


def test_console_and_gate_agree_on_what_is_allowed(console: Console) -> None:
    published(console, vendor.lic(licensee=Licensee(vendor.TENANT, "Harbourline")))
    clock = Clock()
    with LicenseGate(console.published, clock=clock) as gate:
        for days in (0, 310, 340, 360):
            clock.now += days * DAY
            told = look(console, clock.now)
            assert told.state is gate.state


def test_a_list_that_came_with_a_license_is_kept_published_and_named_in_the_receipt(console: Console) -> None:
    published(console, vendor.lic(1))
    with LicenseGate(console.published, poll_seconds=0.01) as gate:
        published(console, vendor.lic(2, revocations=vendor.lrl(7, 1)))
        wait_until(lambda: gate.generation == 2, 30, "the gate to follow")
        assert gate.state is State.ACTIVE
    situation = look(console)
    assert situation.revocations is not None
    assert situation.revocations.sequence == 7
    assert (console.published / "revocations.lrl").exists()


def test_a_list_calls_back_the_license_in_force_here_and_at_the_gate(console: Console) -> None:
    published(console, vendor.lic(1))
    with LicenseGate(console.published, poll_seconds=0.01) as gate:
        assert listed(console, vendor.lrl(1, 1))
        publishing.publish(console)
        wait_until(lambda: gate.state is State.REVOKED, 30, "the gate to follow")
        assert not gate.allows("agent-studio")
        assert look(console).state is State.REVOKED
        published(console, vendor.lic(2))
        wait_until(lambda: gate.allows("agent-studio"), 30, "the gate to follow")


def test_a_list_is_taken_once_and_never_an_older_one(console: Console) -> None:
    newest = vendor.lrl(2, 9)
    assert listed(console, newest) is True
    assert listed(console, newest) is False
    for raw in (vendor.lrl(1, 9), vendor.lrl(2, 8), vendor.lrl(3, 9, key="issuer-prod"), b"{}"):
        refused = listed(console, raw)
        assert isinstance(refused, RefusedUpload)
        assert refused.code == "UNTRUSTED_REVOCATIONS"
    assert look(console).generation == 1


def test_a_root_with_another_revoker_drops_the_list_and_its_sequence(console: Console) -> None:
    published(console, vendor.lic(1))
    assert listed(console, vendor.lrl(2**53 - 1, 1, below=900))
    assert look(console).state is State.REVOKED
    second = vendor.root(vendor.root_payload(version=2, revoker="revoker-spare"))
    published(console, vendor.lic(2, roots=(second,), revocations=vendor.lrl(1, 1, key="revoker-spare")))
    with LicenseGate(console.published) as gate:
        assert gate.state is State.ACTIVE
    situation = look(console)
    assert situation.revocations is not None
    assert (situation.state, situation.revocations.sequence) == (State.ACTIVE, 1)
    assert isinstance(staged(console, vendor.lic(3)), StagedUpload)


def test_the_time_that_was_seen_outlives_a_restart_of_the_platform(console: Console) -> None:
    published(console, vendor.lic(lasts=31 * DAY))  # ends tomorrow
    Rounds(console, None).look_after()
    clock = Clock()
    clock.now -= 20 * DAY
    with LicenseGate(console.published, clock=clock) as gate:
        assert gate.state is State.EXPIRING
    with reading(console.engine) as session:
        assert publishing.feed(session)["seen"] is not None


def test_a_crash_between_commit_and_publishing_is_made_good(console: Console) -> None:
    activated(console, vendor.lic())
    assert publishing.published_generation(console.published) == -1
    Rounds(console, None).look_after()
    assert publishing.published_generation(console.published) == 1
