"""The one-command run with everything real: what each process is told, and what a second one is."""

import subprocess
import sys
import urllib.request
from dataclasses import fields
from pathlib import Path

import pytest

from tests.cli.conftest import RunningDesk
from workflow.cli.first_start import demo_password
from workflow.cli.installation import SETTINGS_OF, Process
from workflow.cli.stack import Stack
from workflow.settings import load, variable
from workflow.times import CLOCK_FILE_VARIABLE

pytestmark = [pytest.mark.crash, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


@pytest.fixture
def stack(running_desk: RunningDesk) -> Stack:
    """A whole installation, which is only looked at here: tests/e2e/test_crashes.py kills each of its processes."""
    return running_desk.stack


def environ_of(pid: int) -> dict[str, str]:
    """What the kernel says a process was started with."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def status_of(url: str) -> int:
    with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
        return int(answer.status)


def test_every_page_answers(stack: Stack) -> None:
    assert {name: status_of(url) for name, url in stack.urls.items()} == {"desk": 200, "console": 200, "inbox": 200}


def test_every_process_runs_with_the_settings_of_its_role_only(stack: Stack) -> None:
    for process in Process:
        environ = environ_of(stack.processes[process].pid)
        given = {name for name in environ if name.startswith("LICDESK_")}
        known = {variable(each.name) for each in fields(SETTINGS_OF[process])} | {CLOCK_FILE_VARIABLE}
        assert {name.removesuffix("_FILE") for name in given - {CLOCK_FILE_VARIABLE}} <= known, process
        load(SETTINGS_OF[process], environ)
        assert environ.get("LICDESK_SCAN_SECONDS", "2") == "2"


def test_only_the_signing_worker_is_told_of_the_issuer_keys_and_only_the_inbox_of_the_recipients(stack: Stack) -> None:
    for process in [*Process]:
        said = " ".join(f"{name}={value}" for name, value in environ_of(stack.processes[process].pid).items())
        told_keys = str(stack.files.keys) in said or str(stack.files.key_secret) in said
        assert told_keys == (process is Process.SIGNING), process
        assert (str(stack.files.inbox_keys) in said) == (process is Process.INBOX), process
        assert (str(stack.files.auditor_keys) in said) == (process is Process.WITNESS), process


def test_secrets_are_for_their_owner_only(stack: Stack) -> None:
    secret = [stack.files.key_secret, stack.files.demo_password, stack.files.broker / "broker.conf"]
    secret += [stack.files.run / "stack.json", *stack.files.keys.glob("*.pem"), *stack.files.inbox_keys.glob("*.pem")]
    assert [path for path in secret if path.stat().st_mode & 0o077] == []
    assert demo_password(stack.files) not in (stack.files.run / "stack.json").read_text()


def test_a_second_supervisor_refuses_the_same_data(stack: Stack) -> None:
    command = [sys.executable, "-m", "workflow.cli.main", "up", "--data", str(stack.files.data), "--port", "0"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert "runs from" in run.stderr
    assert status_of(stack.urls["desk"]) == 200


def test_a_running_stack_is_found_by_its_data(stack: Stack) -> None:
    found = Stack.running(stack.files.data)
    assert found
    assert found.urls == stack.urls
