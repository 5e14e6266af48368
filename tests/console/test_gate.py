"""What the platform's processes are told: from their own verification, in another process, within a second."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.console import vendor
from tests.console.acting import activated
from workflow.console import publishing
from workflow.console.identity import Console
from workflow.license_file import Licensee, Module, OnExpiry
from workflow.license_gate import LicenseGate, State
from workflow.times import utc_now

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


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> float:
        return self.now.timestamp()


def published(console: Console, raw: bytes) -> None:
    activated(console, raw)
    publishing.publish(console)


def soon(check: Callable[[], bool], seconds: float = 1.0) -> bool:
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_without_a_license_nothing_is_allowed(console: Console) -> None:
    with LicenseGate(console.published) as gate:
        assert (gate.state, gate.generation, gate.limit("agents")) == (State.NONE, 0, 0)
        assert not gate.allows("agent-studio")
        assert not gate.allows_model("chat")
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


def test_another_process_answers_by_the_new_license_within_a_second_without_a_restart(console: Console) -> None:
    published(console, vendor.lic(1))
    process = subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, str(console.published)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().split() == ["1", "active", "False"]
        began = time.monotonic()
        published(console, vendor.fewer(2))
        assert process.stdout.readline().split() == ["2", "active", "True"]
        assert time.monotonic() - began < 1.0
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.mark.parametrize(
    ("on_expiry", "works", "takes_new"),
    [(OnExpiry.WARN, True, True), (OnExpiry.BLOCK_NEW, True, False), (OnExpiry.READ_ONLY, False, False)],
)
def test_after_grace_the_license_itself_says_what_goes_on(
    console: Console, on_expiry: OnExpiry, works: bool, takes_new: bool
) -> None:
    published(console, vendor.lic(on_expiry=on_expiry))
    clock = Clock()
    with LicenseGate(console.published, clock=clock, poll_seconds=0.02) as gate:
        for days, state in ((310, State.EXPIRING), (336, State.GRACE)):
            clock.now = utc_now() + days * DAY
            assert soon(lambda wanted=state: gate.state is wanted)
            assert gate.allows("agent-studio")
            assert gate.allows_new()
        clock.now = utc_now() + 350 * DAY
        assert soon(lambda: gate.state is State.EXPIRED)
        assert gate.allows("agent-studio") is works
        assert gate.allows_new() is takes_new


def test_the_next_license_takes_over_at_its_instant_also_when_the_console_is_away(console: Console) -> None:
    published(console, vendor.lic(1))
    published(console, vendor.fewer(2, starts=DAY))
    clock = Clock()
    with LicenseGate(console.published, clock=clock, poll_seconds=0.02) as gate:
        assert not gate.allows("api-access")
        clock.now += DAY
        assert soon(lambda: gate.allows("api-access"))


def test_a_module_can_end_before_the_license(console: Console) -> None:
    published(console, vendor.lic(modules=(Module("agent-studio", vendor.whole(utc_now() + DAY)),)))
    clock = Clock()
    with LicenseGate(console.published, clock=clock) as gate:
        assert gate.allows("agent-studio")
        clock.now += DAY
        assert not gate.allows("agent-studio")


@pytest.mark.parametrize(
    "planted",
    [
        b"not a license",
        vendor.lic(9, key="a stranger"),
        vendor.lic(9, key="issuer-uat"),
        vendor.lic(9, licensee=Licensee("T-1", "Someone Else")),
    ],
)
def test_whoever_writes_the_directory_gains_nothing(console: Console, planted: bytes) -> None:
    published(console, vendor.lic())
    (console.published / "current.lic").write_bytes(planted)
    (console.published / "generation").write_text("2\n")
    with LicenseGate(console.published) as gate:
        assert gate.state is State.INVALID
        assert not gate.allows("agent-studio")


def test_a_planted_trust_root_gains_nothing(console: Console) -> None:
    published(console, vendor.lic())
    other = vendor.root_payload(without=["issuer-dev"])
    (console.published / "trust" / "root-1.json").write_bytes(vendor.root(other))
    with LicenseGate(console.published) as gate:
        assert gate.state is State.INVALID


def test_the_pin_may_come_from_elsewhere(console: Console, tmp_path: Path) -> None:
    published(console, vendor.lic())
    facts = json.loads((console.directory / "identity.json").read_text())
    elsewhere = tmp_path / "identity.json"
    elsewhere.write_text(json.dumps(facts | {"pin": "00" * 32}))
    with LicenseGate(console.published, platform=elsewhere) as gate:
        assert gate.state is State.INVALID


def test_a_directory_that_disappears_leaves_the_last_answers(console: Console) -> None:
    published(console, vendor.lic())
    with LicenseGate(console.published, poll_seconds=0.02) as gate:
        console.published.rename(console.directory / "gone")
        time.sleep(0.1)
        assert gate.allows("agent-studio")


def test_a_crash_between_commit_and_publishing_is_made_good(console: Console) -> None:
    activated(console, vendor.lic())
    assert publishing.published_generation(console.published) == -1
    assert publishing.publish(console)
    assert publishing.published_generation(console.published) == 1
