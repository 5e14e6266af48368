"""A gate on a published directory: what it takes over, what it does not, and what happens when things are away."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.console import vendor
from tests.license_gate.published import DAY, HERE, Clock, Directory, follows
from tests.servers import wait_until
from workflow.license_file import Licensee, Module
from workflow.license_gate import GateMisconfigured, LicenseGate, Platform, State
from workflow.license_gate.feeds import DirectoryFeed

PLANTED = {
    "damaged": b"not a license",
    "cut off": vendor.lic(9)[:-50],
    "of a stranger": vendor.lic(9, key="a stranger"),
    "for another environment": vendor.lic(9, key="issuer-uat"),
    "for another customer": vendor.lic(9, licensee=Licensee("T-1", "Someone Else")),
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_whoever_writes_the_directory_gains_nothing(directory: Directory, planted: bytes) -> None:
    directory.publish(vendor.lic())
    with directory.gate() as gate:
        assert gate.allows("agent-studio")
        directory.publish(planted)
        follows(gate, directory)
        assert gate.state is State.INVALID
        assert not gate.allows("agent-studio")
        assert gate.problem is not None
    with directory.gate() as fresh:
        assert fresh.state is State.INVALID


def test_a_planted_trust_root_gains_nothing(directory: Directory) -> None:
    directory.put("trust/root-1.json", vendor.root(vendor.root_payload(without=["issuer-dev"])))
    directory.publish(vendor.lic())
    with directory.gate() as gate:
        assert gate.state is State.INVALID


def test_another_pin_believes_nothing(directory: Directory) -> None:
    directory.publish(vendor.lic())
    with LicenseGate(directory.path, platform=Platform("0" * 64, vendor.TENANT, "PROD")) as gate:
        assert gate.state is State.INVALID


def test_an_earlier_file_brought_back_does_not_replace_a_newer_one(directory: Directory) -> None:
    first = vendor.lic(1)
    directory.publish(first)
    with directory.gate() as gate:
        directory.publish(vendor.fewer(2))
        follows(gate, directory)
        directory.publish(first)
        follows(gate, directory)
        assert not gate.allows_model("speech")
        assert gate.allows("api-access")
        assert gate.problem is not None
        assert "version 1" in gate.problem


def test_an_earlier_file_does_not_come_back_by_way_of_an_empty_or_broken_directory(directory: Directory) -> None:
    directory.publish(vendor.fewer(2))
    with directory.gate() as gate:
        for between in (None, b"broken"):
            directory.publish(between)
            follows(gate, directory)
            assert not gate.allows("api-access")
            directory.publish(vendor.lic(1))
            follows(gate, directory)
            assert not gate.allows_model("speech")


def test_what_was_called_back_is_not_followed_by_what_it_replaced(directory: Directory) -> None:
    directory.publish(vendor.fewer(2))
    with directory.gate() as gate:
        directory.publish(vendor.fewer(2), revocations=vendor.lrl(1, 2))
        follows(gate, directory)
        assert gate.state is State.REVOKED
        directory.publish(vendor.lic(1), revocations=vendor.lrl(1, 2))
        follows(gate, directory)
        assert gate.state is State.REVOKED


def test_leaving_the_revocations_out_does_not_bring_a_license_back(directory: Directory) -> None:
    directory.publish(vendor.lic(1), revocations=vendor.lrl(3, 1))
    with directory.gate() as gate:
        assert gate.state is State.REVOKED
        for older in (None, vendor.lrl(2), b"broken"):
            directory.publish(vendor.lic(1), revocations=older)
            follows(gate, directory)
            assert gate.state is State.REVOKED


def test_a_genuine_license_of_another_platform_is_not_taken_over(directory: Directory) -> None:
    directory.publish(vendor.lic(1))
    with directory.gate() as gate:
        directory.publish(vendor.fewer(5, license_id="PROD-00000-00000-00000"))
        follows(gate, directory)
        assert not gate.allows("api-access")
        assert gate.allows("agent-studio")


def test_a_floor_revokes_every_version_below(directory: Directory) -> None:
    directory.publish(vendor.lic(3), revocations=vendor.lrl(1, below=4))
    with directory.gate() as gate:
        assert gate.state is State.REVOKED
        directory.publish(vendor.lic(4), revocations=vendor.lrl(1, below=4))
        follows(gate, directory)
        assert gate.state is State.ACTIVE


def test_a_root_that_drops_the_issuer_refuses_its_license_without_a_restart(directory: Directory) -> None:
    directory.publish(vendor.lic(1))
    with directory.gate() as gate:
        directory.put("trust/root-2.json", vendor.root(vendor.root_payload(version=2, without=["issuer-prod"])))
        directory.publish(vendor.lic(1))
        follows(gate, directory)
        assert gate.state is State.INVALID
        directory.publish(vendor.lic(1, key="issuer-prod-spare"))
        follows(gate, directory)
        assert gate.state is State.ACTIVE


def test_a_root_that_was_seen_is_not_forgotten(directory: Directory) -> None:
    directory.put("trust/root-2.json", vendor.root(vendor.root_payload(version=2, without=["issuer-prod"])))
    directory.publish(vendor.lic(1, key="issuer-prod-spare"))
    with directory.gate() as gate:
        directory.put("trust/root-2.json", None)
        directory.publish(vendor.lic(2))
        follows(gate, directory)
        assert gate.state is State.INVALID


def test_a_stolen_key_that_signed_2099_is_recovered_from_by_the_next_root_without_a_restart(directory: Directory) -> None:
    far = datetime(2099, 1, 1, tzinfo=UTC)
    directory.publish(vendor.lic(900, issued_at=far))
    with directory.gate() as gate:
        assert gate.state is State.EXPIRED
        directory.put("trust/root-2.json", vendor.root(vendor.root_payload(version=2, without=["issuer-prod"])))
        directory.publish(vendor.lic(2, key="issuer-prod-spare"))
        follows(gate, directory)
        assert (gate.state, gate.claims.version if gate.claims else 0) == (State.ACTIVE, 2)


def test_a_module_can_end_before_the_license(directory: Directory) -> None:
    ends = vendor.whole(datetime.now(UTC) + DAY)
    directory.publish(vendor.lic(modules=(Module("agent-studio", ends), Module("workflow"))))
    clock = Clock()
    with directory.gate(clock) as gate:
        assert gate.allows("agent-studio")
        clock.now = ends
        assert not gate.allows("agent-studio")
        assert not gate.allows_reading("agent-studio")
        assert gate.allows("workflow")


def test_a_scheduled_license_follows_a_called_back_one_at_its_instant(directory: Directory) -> None:
    directory.publish(vendor.lic(1), vendor.fewer(2, starts=DAY), vendor.lrl(1, 1))
    clock = Clock()
    with directory.gate(clock) as gate:
        assert gate.state is State.REVOKED
        clock.now += DAY
        assert gate.state is State.ACTIVE


def test_a_directory_that_goes_away_leaves_the_last_answers_which_end_by_their_dates(directory: Directory) -> None:
    directory.publish(vendor.lic())
    clock = Clock()
    with directory.gate(clock) as gate:
        away = directory.path.rename(directory.path.with_name("away"))
        wait_until(lambda: gate.problem is not None, 30, "the gate to notice")
        assert gate.allows("agent-studio")
        clock.now += 360 * DAY
        assert (gate.state, gate.allows_new()) == (State.EXPIRED, False)
        away.rename(directory.path)
        directory.publish(vendor.fewer(2, starts=300 * DAY))
        wait_until(lambda: gate.allows("api-access"), 30, "the gate to follow again")
        assert gate.problem is None


def test_files_that_cannot_be_read_are_away(directory: Directory) -> None:
    directory.publish(vendor.lic())
    with directory.gate() as gate:
        (directory.path / "generation").write_text("soon\n")
        wait_until(lambda: gate.problem is not None, 30, "the gate to notice")
        assert gate.allows("agent-studio")
        (directory.path / "generation").unlink()
        (directory.path / "generation").mkdir()
        wait_until(lambda: "regular" in str(gate.problem) or "directory" in str(gate.problem), 30, "the gate to notice")
        assert gate.allows("agent-studio")


def test_a_planted_pipe_holds_nobody_up(directory: Directory) -> None:
    directory.publish(vendor.lic())
    (directory.path / "current.lic").unlink()
    os.mkfifo(directory.path / "current.lic")
    with directory.gate() as gate:
        assert gate.state is State.NONE
        assert "regular" in str(gate.problem)


def test_a_generation_that_is_being_written_is_not_taken_for_the_one_before(directory: Directory) -> None:
    directory.publish(vendor.lic(1))
    feed = DirectoryFeed(directory.path)
    first = feed.news()
    assert first is not None
    assert feed.news() is None
    directory.put("current.lic", vendor.fewer(2))
    assert feed.news() is None, "the number is still to come"
    directory.publish(vendor.fewer(2))
    second = feed.news()
    assert second is not None
    assert (first.generation, second.generation) == (1, 2)


def test_files_under_an_unchanged_number_are_read_when_they_have_settled(directory: Directory) -> None:
    directory.publish(b"broken")
    with directory.gate() as gate:
        assert gate.state is State.INVALID
        directory.put("current.lic", vendor.lic())
        wait_until(lambda: gate.allows("agent-studio"), 30, "the mended file to be read")


def test_a_single_file_is_enough_for_a_platform_without_a_console(directory: Directory, tmp_path: Path) -> None:
    path = tmp_path / "license.lic"
    with LicenseGate(path, platform=HERE, trust=directory.path / "trust", poll_seconds=0.01) as gate:
        assert gate.state is State.NONE
        path.write_bytes(vendor.lic(1)[:-100])
        wait_until(lambda: gate.state is State.INVALID, 30, "a damaged file to be shown")
        path.write_bytes(vendor.lic(1))
        wait_until(lambda: gate.allows("agent-studio"), 30, "the file to be read")
        path.write_bytes(vendor.fewer(2)[:-100])
        wait_until(lambda: gate.problem is not None, 30, "the half file to be noticed")
        assert gate.state is State.ACTIVE, "a file that is being copied switches nothing off"
        second = vendor.root(vendor.root_payload(version=2, without=["issuer-prod"]))
        path.write_bytes(vendor.fewer(2, key="issuer-prod-spare", roots=(second,), revocations=vendor.lrl(1, 1)))
        wait_until(lambda: gate.allows("api-access"), 30, "the new file to be read")
        path.unlink()
        wait_until(lambda: gate.problem is not None, 30, "the gate to notice")
        assert gate.allows("api-access")


def test_arguments_that_cannot_be_right_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text("[]")
    for wrong in (
        lambda: LicenseGate("https://console.example", platform=HERE),
        lambda: LicenseGate("https://console.example", token="t"),
        lambda: LicenseGate("https:///nowhere", platform=HERE, token="t"),
        lambda: LicenseGate(tmp_path / "license.lic"),
        lambda: LicenseGate(tmp_path, platform=tmp_path / "nothing.json"),
        lambda: LicenseGate(tmp_path, platform=tmp_path / "identity.json"),
        lambda: Platform("abc", "T-1", "PROD"),
        lambda: Platform("0" * 64, "T-1", "STAGING"),
        lambda: Platform("0" * 64, "", "PROD"),
    ):
        with pytest.raises(GateMisconfigured):
            wrong()


def test_a_limit_that_no_license_has_is_a_mistake_of_the_caller(directory: Directory) -> None:
    with directory.gate() as gate:
        with pytest.raises(ValueError, match="agents and users"):
            gate.limit("seats")
        with pytest.raises(ValueError, match="agents and users"):
            gate.allows_another("seats", 1)
