"""`licdesk demo` really goes the whole way, goes it again on top, and says so when something does not happen."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import RunningDesk, licdesk
from workflow.cli import cast, story
from workflow.cli.demo_tokens import token_file
from workflow.cli.desk_client import DeskClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "applications"


def demo(desk: RunningDesk, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workflow.cli.main", "demo", "--data", str(desk.stack.files.data), *options],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def clock(desk: RunningDesk) -> str:
    return desk.stack.files.clock.read_text().strip()


def test_the_whole_path_happens_and_happens_again_on_top_of_it(running_desk: RunningDesk) -> None:
    first = demo(running_desk)
    assert first.returncode == 0, first.stdout + first.stderr
    for words in (
        "submitted → approved → issued → delivered → activated",
        "ends in 7 days to wei.zhang@harbourline.example",
        "Version 2 is in force on the platform",
        "version 1 is superseded, both are in the history",
        "nobody was reminded of version 1",
        "All of it happened",
    ):
        assert words in first.stdout
    assert first.stdout.index("● delivered") < first.stdout.index("● activated")
    assert clock(running_desk) == "0"

    with DeskClient(
        running_desk.stack.urls["desk"], token_file(running_desk.stack.files.data, cast.LIAISON).read_text().strip()
    ) as desk:
        [license_id] = {each["license_id"] for each in desk.pages("/licenses", environment="PROD")}
        versions = desk.get(f"/licenses/{license_id}")["versions"]
    assert [(each["version"], each["standing"]) for each in versions] == [(2, "activated"), (1, "superseded")]

    again = demo(running_desk)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "version 3 is superseded, both are in the history" in again.stdout


def test_the_first_thing_that_does_not_happen_ends_it_with_a_sentence(running_desk: RunningDesk) -> None:
    ended = demo(running_desk, "--example", str(EXAMPLES / "first-dev.toml"))
    assert ended.returncode == 1
    assert "The demo ends here." in ended.stdout
    assert "This file can't be used" in ended.stdout.split("The demo ends here.")[1], "it is for DEV, the platform is PROD"
    assert "All of it happened" not in ended.stdout
    assert clock(running_desk) == "0", "the clock is back also when the demo fails"


def test_what_is_waited_for_in_vain_is_named() -> None:
    with pytest.raises(story.DidNotHappen, match="still not so that APP-1 is delivered"):
        story.until(lambda: None, "APP-1 is delivered", 0, "http://desk")


def test_the_clock_is_shown_moved_and_reset(running_desk: RunningDesk) -> None:
    data = ("--data", str(running_desk.stack.files.data))
    try:
        moved = running_desk.here("clock", "--at", "2099-01-01T09:00+08:00", *data)
        assert moved.exit_code == 0, moved.output
        assert "ahead of this machine's time" in moved.stdout
        with DeskClient(running_desk.stack.urls["desk"], None) as desk:
            assert desk.now().year in (2098, 2099), "every process follows at once"
    finally:
        assert "this machine's time" in running_desk.here("clock", "--reset", *data).stdout
    assert "has no zone" in running_desk.here("clock", "--at", "2099-01-01T09:00", *data).stderr
    assert "is no time" in running_desk.here("clock", "--at", "tomorrow", *data).stderr
    for far in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        assert "Choose a year from 2000 to 2100" in running_desk.here("clock", "--at", far, *data).stderr


def test_a_desk_that_is_no_demo_has_no_clock_to_move(tmp_path: Path) -> None:
    for environ in ({}, {"LICDESK_MODE": "production"}):
        refused = licdesk("clock", "--at", "2099-01-01T09:00Z", "--data", str(tmp_path), environ=environ)
        assert (refused.exit_code, refused.stderr.startswith("clock.no_demo")) == (1, True)
