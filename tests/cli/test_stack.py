"""The one-command run with everything real: what each process is told, that it survives crashes, and leaves nothing."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from tests.servers import wait_until
from workflow.cli.first_start import demo_password
from workflow.cli.installation import SETTINGS_OF, Process
from workflow.cli.stack import NotRunning, Stack
from workflow.settings import load, variable
from workflow.times import CLOCK_FILE_VARIABLE

pytestmark = [pytest.mark.crash, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole installation of this module's own."""
    with Stack(tmp_path_factory.mktemp("stack") / "var", settings={"lease_seconds": "5"}) as running:
        yield running


def environ_of(pid: int) -> dict[str, str]:
    """What the kernel says a process was started with."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def status_of(url: str) -> int:
    with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
        return int(answer.status)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_every_page_answers(stack: Stack) -> None:
    assert {name: status_of(url) for name, url in stack.urls.items()} == {"desk": 200, "console": 200, "inbox": 200}


def test_every_process_runs_with_the_settings_of_its_role_only(stack: Stack) -> None:
    for process in Process:
        environ = environ_of(stack.processes[process].pid)
        given = {name for name in environ if name.startswith("LICDESK_")}
        known = {variable(each.name) for each in fields(SETTINGS_OF[process])} | {CLOCK_FILE_VARIABLE}
        assert {name.removesuffix("_FILE") for name in given - {CLOCK_FILE_VARIABLE}} <= known, process
        load(SETTINGS_OF[process], environ)
        assert environ.get("LICDESK_LEASE_SECONDS", "5") == "5"


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


@pytest.mark.parametrize("name", ["broker", *Process])
def test_a_killed_process_is_started_again(stack: Stack, name: str) -> None:
    before = stack.processes[name]
    stack.kill(name)
    after = stack.wait_for_restart(name, before)
    assert after.pid != before.pid
    assert not is_alive(before.pid)


def test_kill_of_the_supervisor_leaves_nothing_and_the_next_start_finds_its_data(tmp_path: Path) -> None:
    first = Stack(tmp_path / "var").start()
    password, ports = demo_password(first.files), first.state.ports
    processes = [each.pid for each in first.processes.values()]
    first.crash()
    wait_until(lambda: not any(map(is_alive, processes)), 10, "every process is gone")
    with pytest.raises(NotRunning):
        _ = first.urls

    again = Stack(tmp_path / "var").start()
    assert demo_password(again.files) == password
    assert set(again.state.ports) == set(ports)
    processes = [each.pid for each in again.processes.values()]
    again.stop()
    assert not any(map(is_alive, processes))
    data = str(tmp_path).encode()
    assert [pid for pid in os.listdir("/proc") if pid.isdigit() and data in _command_line(pid)] == []


def _command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
