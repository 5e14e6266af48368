"""A running one-machine installation, seen from outside: its state file, and `Stack`, which starts, stops and crashes it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workflow.cli.data_files import Files
from workflow.cli.installation import Process, environ_for
from workflow.errors import Misconfigured
from workflow.settings import PREFIX, variable

STATE_FILE = "stack.json"


class StackFailed(Misconfigured):
    """The installation did not start; the message is what it said."""

    code = "up.failed"


class NotRunning(Misconfigured):
    """Nothing runs from this data directory."""

    code = "up.not_running"


@dataclass(frozen=True)
class ProcessState:
    """One process. `pid` is its own while it runs, and its last one while it waits to be started again."""

    pid: int
    state: str
    restarts: int


@dataclass(frozen=True)
class StackState:
    """What `licdesk up` says about itself in `run/stack.json` (mode 0600: it holds the broker's password)."""

    pid: int
    ready: bool
    urls: Mapping[str, str]
    ports: Mapping[str, int]
    settings: Mapping[str, str]
    own: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, ProcessState] = field(default_factory=dict)

    def write(self, run: Path) -> None:
        """Replaces the file at once: readers see the old state or the new one."""
        waiting = run / f"{STATE_FILE}.new"
        waiting.touch(mode=0o600)
        waiting.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        waiting.replace(run / STATE_FILE)

    @classmethod
    def read(cls, run: Path) -> Self | None:
        """The last state that was written, None when there never was one."""
        try:
            stored: dict[str, Any] = json.loads((run / STATE_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        stored["processes"] = {name: ProcessState(**each) for name, each in stored["processes"].items()}
        return cls(**stored)


class Stack:
    """One installation below `data`, run as `licdesk up` in a process of its own.

    `settings` are further LICDESK_ settings by name, such as `lease_seconds="5"` or `database_url`. Without `port`
    every server gets a free port. It stops when the process that started it ends, however that ends.
    """

    def __init__(self, data: Path, *, port: int = 0, settings: Mapping[str, str] | None = None) -> None:
        self.files = Files(data.resolve())
        self._port = port
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def running(cls, data: Path) -> Self | None:
        """The stack that runs from this data directory, started by whomever; None when there is none."""
        found = cls(data)
        state = StackState.read(found.files.run)
        return found if state and state.ready and _is_alive(state.pid) else None

    def __enter__(self) -> Self:
        """Starts it."""
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stops it."""
        self.stop()

    def start(self, within: float = 120) -> Self:
        """Returns once every process is ready. Raises StackFailed."""
        self.files.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.files.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self.files.logs / "up.log"
        machine = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        command = [sys.executable, "-m", "workflow.cli.main", "up", "--data", str(self.files.data)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and words)
                [*command, "--port", str(self._port), "--follow", str(os.getpid())],
                env=machine | {variable(name): value for name, value in self._settings.items()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + within
        while not ((state := StackState.read(self.files.run)) and state.ready and state.pid == self._process.pid):
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise StackFailed(f"The desk did not start. It said:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)
        return self

    def stop(self, within: float = 30) -> None:
        """Stops everything in order; returns when nothing of it runs any more."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def crash(self) -> None:
        """kill -9 of the supervisor, which takes everything with it."""
        os.kill(self.state.pid, signal.SIGKILL)
        if self._process:
            self._process.wait()
            self._process = None

    def kill(self, name: str) -> None:
        """kill -9 of one process; the supervisor starts it again."""
        os.kill(self.processes[name].pid, signal.SIGKILL)

    def wait_for_restart(self, name: str, after: ProcessState, within: float = 60) -> ProcessState:
        """Waits until a process runs again that was in state `after` when it was killed. Raises TimeoutError."""
        until = time.monotonic() + within
        while True:
            now = self.processes[name]
            if now.restarts > after.restarts and now.state == "running":
                return now
            if time.monotonic() > until:
                raise TimeoutError(f"{name} was not started again within {within:.0f} s: {now}")
            time.sleep(0.05)

    @property
    def state(self) -> StackState:
        """What the supervisor says now. Raises NotRunning."""
        state = StackState.read(self.files.run)
        if state is None or not _is_alive(state.pid):
            raise NotRunning(f"Nothing runs from {self.files.data}. Start it with: python3 dev.py up")
        return state

    @property
    def urls(self) -> Mapping[str, str]:
        """The addresses of `desk`, `console` and `inbox`."""
        return self.state.urls

    @property
    def processes(self) -> Mapping[str, ProcessState]:
        """Every process by its name (`installation.Process`, and `broker`)."""
        return self.state.processes

    def environ_for(self, process: Process) -> dict[str, str]:
        """The environment of one of its processes, for a command that is to act like it."""
        state = self.state
        return environ_for(process, state.settings, state.own)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
