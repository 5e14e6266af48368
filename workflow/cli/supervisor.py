"""Runs programs: starts them stage by stage, waits until each answers, restarts what dies, stops them in reverse order.

Knows nothing of License Desk. Each program is a process group of its own, and none outlives the supervisor.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

POLL: Final = 0.05
SETTLED: Final = 0.5
"""seconds after which a program without a probe counts as ready"""
START_WITHIN: Final = 60.0
FIRST_DELAY, LONGEST_DELAY = 0.2, 15.0
HEALTHY_AFTER: Final = 10.0
"""seconds after which a program's crash is a new one, not the next of a row"""
REMEMBERED: Final = 16_384
"""bytes of a program's latest output that probes and error messages see"""
LOG_LIMIT: Final = 10_000_000
_PR_SET_PDEATHSIG: Final = 1

Probe = Callable[[bytes], Awaitable[bool]]
"""Whether a program is ready; gets its latest output."""


class DidNotStart(Exception):
    """A program ended, or stayed silent, before it was ready for the first time."""

    def __init__(self, name: str, why: str, output: str) -> None:
        super().__init__(f"{name} {why}")
        self.name = name
        self.output = output


class _Stop(Exception):  # no error: the way out of a task group
    pass


@dataclass(frozen=True)
class Program:
    """What to run. Without a probe it counts as ready once it has run for half a second."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    ready: Probe | None = None
    stop_within: float = 10.0
    """seconds between SIGTERM and SIGKILL"""


class State(StrEnum):
    """Where a program is."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting to restart"
    STOPPED = "stopped"


@dataclass
class Running:
    """A program's present state."""

    program: Program
    state: State = State.STOPPED
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    output: bytearray = field(default_factory=bytearray)
    was_ready: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Runs `stages` of programs. `changed` is called with all of them after each change; `say` with each line they print."""

    def __init__(
        self,
        stages: Sequence[Sequence[Program]],
        logs: Path,
        *,
        changed: Callable[[Sequence[Running]], None] = lambda _: None,
        say: Callable[[str, str], None] | None = None,
    ) -> None:
        self._stages = [[Running(program) for program in stage] for stage in stages]
        self._logs = logs
        self._changed = changed
        self._say = say
        self._readers: set[asyncio.Task[None]] = set()
        self._guardian: asyncio.subprocess.Process | None = None

    @property
    def programs(self) -> list[Running]:
        """Every program, in starting order."""
        return [each for stage in self._stages for each in stage]

    async def run(self, until: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Runs everything until the event is set; calls `ready` once all programs are. Raises DidNotStart.

        However it ends, every program has been stopped when it returns.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        self._guardian = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py"))),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        failed: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as keepers:
                everything = keepers.create_task(self._start_all(keepers, ready))
                await until.wait()
                everything.cancel()
                raise _Stop
        except* _Stop:
            pass
        except* DidNotStart as group:
            failed += group.exceptions
        finally:  # nothing restarts anything any more: the task group has ended every keeper
            for stage in reversed(self._stages):
                await asyncio.gather(*(self._stop(each) for each in stage))
            if self._readers:
                await asyncio.wait(self._readers, timeout=1)
            self._guardian.stdin.close()  # type: ignore[union-attr]  # made with a pipe
            await self._guardian.wait()
        if failed:
            raise failed[0]

    async def _start_all(self, keepers: asyncio.TaskGroup, ready: Callable[[], None]) -> None:
        for stage in self._stages:
            for each in stage:
                keepers.create_task(self._keep(each))
            for each in stage:
                await each.was_ready.wait()
        ready()

    async def _keep(self, each: Running) -> None:
        """Keeps one program running until it is cancelled."""
        delay = FIRST_DELAY
        while True:
            began = time.monotonic()
            process = await self._spawn(each)
            if await self._becomes_ready(each, process):
                self._set(each, State.RUNNING)
                each.was_ready.set()
            status = await process.wait()
            self._end_group(process)
            if not each.was_ready.is_set():
                await asyncio.wait(self._readers, timeout=POLL)  # its last words
                raise DidNotStart(each.program.name, f"ended with status {status}", self._tail(each))
            if time.monotonic() - began > HEALTHY_AFTER:
                delay = FIRST_DELAY
            each.restarts += 1
            self._set(each, State.WAITING)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _spawn(self, each: Running) -> asyncio.subprocess.Process:
        each.output.clear()
        # A pipe of our own: with asyncio's, wait() returns only when the program's orphans have closed it, too.
        reading, writing = os.pipe()
        try:
            each.process = await asyncio.create_subprocess_exec(
                *each.program.command,
                env=dict(each.program.environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,  # Ctrl-C in the terminal is ours: we stop the programs in order
                preexec_fn=partial(end_with, os.getpid()),
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._tell_guardian("+", each.process.pid)
        self._set(each, State.STARTING)
        reader = asyncio.create_task(self._read_output(each, reading))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        return each.process

    async def _becomes_ready(self, each: Running, process: asyncio.subprocess.Process) -> bool:
        """Polls the probe; False when the program ends first. Raises DidNotStart when the first start takes too long."""
        began = time.monotonic()
        while process.returncode is None:
            if each.program.ready is None:
                if time.monotonic() - began > SETTLED:
                    return True
            elif await each.program.ready(bytes(each.output)):
                return process.returncode is None  # or another server answered on that port
            if time.monotonic() - began > START_WITHIN and not each.was_ready.is_set():
                raise DidNotStart(each.program.name, f"was not ready after {START_WITHIN:.0f} s", self._tail(each))
            await asyncio.sleep(POLL)
        return False

    async def _read_output(self, each: Running, descriptor: int) -> None:
        source = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(source), os.fdopen(descriptor, "rb", buffering=0)
        )
        unfinished = b""
        with contextlib.closing(transport), _opened_log(self._logs / f"{each.program.name}.log") as log:
            while chunk := await source.read(REMEMBERED):
                log.write(chunk)
                each.output += chunk
                del each.output[:-REMEMBERED]
                if self._say:
                    *lines, unfinished = (unfinished + chunk).split(b"\n")
                    for line in lines:
                        self._say(each.program.name, line.decode(errors="replace"))

    async def _stop(self, each: Running) -> None:
        process = each.process
        if process and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), each.program.stop_within)
            except TimeoutError:
                self._end_group(process)
                await process.wait()
        if process:
            self._end_group(process)
        self._set(each, State.STOPPED)

    def _end_group(self, process: asyncio.subprocess.Process) -> None:
        """Kills what is left of a program: workers whose parent was killed go on working otherwise."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        self._tell_guardian("-", process.pid)

    def _tell_guardian(self, sign: str, pid: int) -> None:
        if self._guardian and self._guardian.stdin:
            self._guardian.stdin.write(f"{sign}{pid}\n".encode())

    def _set(self, each: Running, state: State) -> None:
        each.state = state
        self._changed(self.programs)

    def _tail(self, each: Running) -> str:
        return "\n".join(each.output.decode(errors="replace").splitlines()[-25:])


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork: a child must not


def end_with(parent: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Asks the kernel for a signal to this process when the thread that started it ends, even by kill -9.

    Called between fork and exec, it survives the exec. Linux only; elsewhere the guardian does it, a moment later, as it
    does everywhere for grandchildren.
    """
    if _libc:
        _libc.prctl(_PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def _opened_log(path: Path) -> BinaryIO:
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab", buffering=0)


def answers_ping(port: int, password: str) -> Probe:
    """A Valkey or Redis server on loopback that answers PING."""
    return _talks(port, f"AUTH {password}\r\nPING\r\n".encode(), b"+PONG")


def greets(port: int) -> Probe:
    """A mail server on loopback that greets with 220."""
    return _talks(port, b"", b"220 ")


def answers_http(port: int, path: str = "/health") -> Probe:
    """A web server on loopback that answers 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    return _talks(port, request.encode(), b"HTTP/1.1 200")


def says(words: str) -> Probe:
    """A program that prints these words."""

    async def probe(output: bytes) -> bool:
        return words.encode() in output

    return probe


def both(first: Probe, second: Probe) -> Probe:
    """Two probes that must hold at once."""

    async def probe(output: bytes) -> bool:
        return await first(output) and await second(output)

    return probe


def _talks(port: int, request: bytes, expected: bytes) -> Probe:
    async def probe(_output: bytes) -> bool:
        writer = None
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                answer = b""
                while expected not in answer and (chunk := await reader.read(1024)):
                    answer += chunk
                return expected in answer
        except (OSError, TimeoutError):
            return False
        finally:
            if writer:
                writer.close()

    return probe
