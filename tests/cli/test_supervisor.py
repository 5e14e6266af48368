"""The supervisor with real processes: order, restarts, and that nothing outlives it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.servers import alive, wait_until
from workflow.cli import broker
from workflow.cli.supervisor import DidNotStart, Program, Running, State, Supervisor, answers_ping, greets, says

ENVIRON = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}


def python(name: str, code: str, **options: object) -> Program:
    return Program(name, (sys.executable, "-c", textwrap.dedent(code)), ENVIRON, **options)  # type: ignore[arg-type]


def sleeper(name: str, journal: Path) -> Program:
    """A program that writes into the journal when it starts and when it is asked to stop."""
    code = f"""
        import signal, sys, time
        def note(word):
            with open({str(journal)!r}, "a") as file:
                file.write("{name} " + word + "\\n")
        def stop(*_):
            note("stops")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        note("starts")
        print("ready now")
        time.sleep(60)
    """
    return python(name, code, ready=says("ready now"))


async def run_briefly(supervisor: Supervisor) -> None:
    """Until everything is ready."""
    until = asyncio.Event()
    await asyncio.wait_for(supervisor.run(until, ready=until.set), 30)


def test_stages_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    stages = [[sleeper(name, journal)] for name in ("broker", "web", "beat")]
    asyncio.run(run_briefly(Supervisor(stages, tmp_path)))
    assert journal.read_text().split("\n")[:-1] == [
        *("broker starts", "web starts", "beat starts"),
        *("beat stops", "web stops", "broker stops"),
    ]


def test_output_goes_to_a_log_and_to_the_listener(tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    program = python("speaker", "print('one\\ntwo'); import time; time.sleep(60)", ready=says("two"))
    asyncio.run(run_briefly(Supervisor([[program]], tmp_path, say=lambda *line: heard.append(line))))
    assert (tmp_path / "speaker.log").read_text() == "one\ntwo\n"
    assert heard == [("speaker", "one"), ("speaker", "two")]


def test_a_program_that_cannot_start_stops_everything_and_says_why(tmp_path: Path) -> None:
    other = sleeper("other", tmp_path / "journal")
    broken = python("broken", "raise SystemExit('no such database')")
    with pytest.raises(DidNotStart, match="broken ended with status 1") as failure:
        asyncio.run(run_briefly(Supervisor([[other], [broken]], tmp_path)))
    assert failure.value.output == "no such database"
    assert (tmp_path / "journal").read_text().endswith("other stops\n")


def test_a_killed_program_comes_back_without_its_orphans(tmp_path: Path) -> None:
    family = python(
        "family",
        """
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print(f"child {child.pid} born")
        time.sleep(60)
        """,
        ready=says("born"),
    )

    async def scenario() -> tuple[list[int], int]:
        until = asyncio.Event()
        seen: list[tuple[int, int]] = []

        def changed(programs: Sequence[Running]) -> None:
            each = programs[0]
            if each.state is State.RUNNING and each.process:
                seen.append((each.process.pid, int(each.output.split()[1])))
                if len(seen) == 1:
                    os.kill(each.process.pid, signal.SIGKILL)
                else:
                    until.set()

        supervisor = Supervisor([[family]], tmp_path, changed=changed)
        await asyncio.wait_for(supervisor.run(until), 30)
        return [pid for pair in seen for pid in pair], supervisor.programs[0].restarts

    processes, restarts = asyncio.run(scenario())
    assert restarts == 1
    assert len(set(processes)) == 4
    assert not any(map(alive, processes))


def test_a_program_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)"
    began = time.monotonic()
    asyncio.run(run_briefly(Supervisor([[python("deaf", code, ready=says("deaf"), stop_within=0.3)]], tmp_path)))
    assert time.monotonic() - began < 5


def test_the_embedded_broker_is_ready_when_it_answers_ping(tmp_path: Path) -> None:
    made = broker.prepare(tmp_path / "broker")
    program = Program("broker", made.command, ENVIRON, answers_ping(made.port, made.password))
    asyncio.run(run_briefly(Supervisor([[program]], tmp_path)))
    assert (tmp_path / "broker" / "broker.conf").stat().st_mode & 0o077 == 0
    assert made.password not in " ".join(made.command)


def test_a_mail_server_is_ready_when_it_greets(tmp_path: Path) -> None:
    port = broker.free_port()
    code = f"""
        import socket, time
        server = socket.create_server(("127.0.0.1", {port}))
        while True:
            server.accept()[0].sendall(b"220 hello\\r\\n")
    """
    asyncio.run(run_briefly(Supervisor([[python("mail", code, ready=greets(port))]], tmp_path)))


@pytest.mark.crash
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_supervisor_leaves_nothing_running(tmp_path: Path) -> None:
    """Neither the program, nor its child, nor a child that the kernel's parent-death signal does not reach."""
    code = f"""
        import asyncio, sys
        from pathlib import Path
        from workflow.cli.supervisor import Program, Supervisor, says
        inner = '''
        import json, os, subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print(json.dumps([os.getpid(), child.pid]), flush=True)
        time.sleep(60)
        '''
        import textwrap
        program = Program("family", (sys.executable, "-c", textwrap.dedent(inner)), {ENVIRON!r}, says("]"))
        asyncio.run(Supervisor([[program]], Path({str(tmp_path)!r})).run(asyncio.Event(), lambda: print("ready", flush=True)))
    """
    supervisor = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout
    assert supervisor.stdout.readline() == "ready\n"
    processes = json.loads((tmp_path / "family.log").read_text())
    guardians = subprocess.run(["pgrep", "-P", str(supervisor.pid)], capture_output=True, text=True, check=False).stdout.split()
    assert all(map(alive, processes))
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not any(map(alive, processes)), 5, "program and child are gone")
    wait_until(lambda: not any(alive(int(each)) for each in guardians), 5, "the guardian is gone")
