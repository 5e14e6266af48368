"""kill -9 at every step of the path: the work is done all the same, and done once."""

import os
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress

import pytest

from tests.e2e.conftest import House
from tests.e2e.people import (
    apply_for,
    approve,
    deliveries_of,
    eventually,
    jobs,
    licenses_of,
    mail,
    status,
    upload_and_activate,
)
from tests.servers import alive
from workflow.cli import cast
from workflow.cli.stack import NotRunning, ProcessState
from workflow.domain.application import Status
from workflow.domain.delivery import Channel
from workflow.domain.events import Job
from workflow.domain.terms import EnvironmentName

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]


SIGNING = "SELECT 1 FROM job WHERE kind = 'license.sign' AND state = 'running'"
SENDING = "SELECT message_id FROM delivery WHERE license IS NOT NULL AND state = 'sending'"


class Killer:
    """Kills processes and remembers which ones, so that a test can wait for all of them to be back."""

    def __init__(self, house: House) -> None:
        self._stack = house.stack
        self._before: dict[str, ProcessState] = {}

    def kill(self, name: str) -> None:
        """kill -9, now."""
        self._before[name] = self._stack.processes[name]
        os.kill(self._before[name].pid, signal.SIGKILL)

    def hold(self, name: str) -> None:
        """Stops a process, as a busy machine might, until `kill_at_work` lets it go on: its work waits for us to look."""
        os.killpg(self._stack.processes[name].pid, signal.SIGSTOP)

    def kill_at_work(self, name: str, sight: str) -> None:
        """kill -9 of a process and its children in the middle of what it does: as soon as the query finds something."""
        pid = self._victim(name)
        with closing(self._look()) as database:
            os.killpg(pid, signal.SIGCONT)
            until_seen(database, sight, name)
            os.killpg(pid, signal.SIGKILL)

    def kill_once_sent(self, name: str, house: House) -> None:
        """kill -9 of a worker between the server's answer to its mail and the moment it can write that down, since the
        database's one write lock is held from before to after."""
        pid = self._victim(name)
        with closing(self._look()) as database:
            until_seen(database, SENDING, name, lock=True)
            (sent,) = database.execute(SENDING).fetchone()
            eventually(lambda: sent in {each["message_id"] for each in mail(house)}, "the mail server has the message")
            os.killpg(pid, signal.SIGKILL)
            eventually(lambda: not alive(pid), f"{name} has ended", 10)
            database.execute("ROLLBACK")

    def _victim(self, name: str) -> int:
        self._before[name] = self._stack.processes[name]
        pid = self._before[name].pid
        os.setpriority(os.PRIO_PGRP, pid, 19)  # we are to be quicker than it is
        return pid

    def _look(self) -> sqlite3.Connection:
        return sqlite3.connect(self._stack.files.database, timeout=0, isolation_level=None)

    def wait(self, *names: str) -> None:
        """Until the supervisor has started these again."""
        for name in names:
            assert self._stack.wait_for_restart(name, self._before[name]).pid != self._before[name].pid

    @property
    def killed(self) -> set[str]:
        """The names of all that were killed."""
        return set(self._before)


def until_seen(database: sqlite3.Connection, sight: str, name: str, *, lock: bool = False) -> None:
    """Returns when the query finds something; with `lock`, when it finds something while nobody else can write."""
    until = time.monotonic() + 60
    while True:
        assert time.monotonic() < until, f"{name} was never seen at work"
        if database.execute(sight).fetchone() is None:
            continue
        if not lock:
            return
        with suppress(sqlite3.OperationalError):  # somebody writes right now
            database.execute("BEGIN IMMEDIATE")
            if database.execute(sight).fetchone():
                return
            database.execute("ROLLBACK")


def everything_sent_once(house: House, number: str) -> None:
    """One license row, and in the inbox one message for each recipient, by Message-ID."""
    (issued,) = licenses_of(house, number)
    owed = deliveries_of(house, number)
    assert sorted(each.address for each in owed) == sorted(each.email for each in cast.RECIPIENTS)
    caught = mail(house)
    seen = Counter(each["message_id"] for each in caught)
    assert [seen[each.message_id] for each in owed] == [1] * len(owed)
    name = f"{issued.license_id}-v{issued.version}.lic"
    to = sorted(each["to"].split("<")[-1].strip("> ") for each in caught if name in each["file_names"])
    assert to == sorted(each.email for each in cast.RECIPIENTS if each.channel is not Channel.PORTAL)


def test_each_process_is_killed_once_on_the_path_and_the_license_is_activated(fragile_house: House) -> None:
    house, killer = fragile_house, Killer(fragile_house)
    stopped = house.stack.processes["beat"]
    killer.kill("beat")
    number = apply_for(house, EnvironmentName.PROD)
    killer.kill("desk")
    killer.kill("witness")
    killer.wait("desk", "beat", "witness")
    assert stopped.pid != house.stack.processes["beat"].pid
    assert status(house, number) == Status.SUBMITTED

    killer.hold("signing")
    killer.kill("broker")
    approve(house, number)
    killer.kill("relay")
    killer.kill_at_work("signing", SIGNING)
    killer.kill_once_sent("worker", house)
    marked = ", ".join(f"'{each.message_id}'" for each in deliveries_of(house, number) if each.state == "sending")
    killer.kill_at_work("inbox", f"{SENDING} AND message_id NOT IN ({marked})")
    killer.wait("broker", "relay", "signing", "worker", "inbox")
    eventually(lambda: status(house, number) == Status.DELIVERED, "delivered", 90)
    eventually(lambda: len(jobs(house, Job.DELIVER, "done")) == len(cast.RECIPIENTS), "every recipient is served", 90)
    assert "archive" in {each.resolved_by for each in deliveries_of(house, number)}

    (issued,) = licenses_of(house, number)
    upload_and_activate(house, issued.envelope)
    killer.kill("console")
    killer.wait("console")
    eventually(lambda: status(house, number) == Status.ACTIVATED, "activated", 90)
    assert killer.killed == set(house.stack.processes)

    time.sleep(6)  # longer than a lease: whoever still thought that it owes something has had its turn
    everything_sent_once(house, number)
    assert status(house, number) == Status.ACTIVATED
    assert jobs(house, Job.SIGN, "dead") + jobs(house, Job.DELIVER, "dead") == []


def test_a_killed_supervisor_leaves_nothing_running_and_the_next_start_goes_on(fragile_house: House) -> None:
    house = fragile_house
    number = apply_for(house, EnvironmentName.UAT)
    ports = set(house.stack.state.ports)
    running = {name: each.pid for name, each in house.stack.processes.items()}
    approve(house, number)
    house.stack.crash()
    eventually(lambda: not [name for name, pid in running.items() if alive(pid)], "every process has ended", 15)
    with pytest.raises(NotRunning):
        _ = house.stack.urls

    password = house.password
    house.stack.start()
    assert (house.password, set(house.stack.state.ports)) == (password, ports)
    eventually(lambda: status(house, number) == Status.DELIVERED, "delivered", 90)
    eventually(lambda: len(deliveries_of(house, number)) == len(cast.RECIPIENTS), "every recipient is served", 90)
    eventually(lambda: all(each.state == "accepted" for each in deliveries_of(house, number)), "all accepted", 90)
    time.sleep(6)  # longer than a lease
    everything_sent_once(house, number)

    running = {name: each.pid for name, each in house.stack.processes.items()}
    house.stack.stop()
    assert [name for name, pid in running.items() if alive(pid)] == []
    data = str(house.stack.files.data).encode()
    assert [pid for pid in os.listdir("/proc") if pid.isdigit() and data in command_line(pid)] == []


def command_line(pid: str) -> bytes:
    """What a process was started with; nothing when it has ended meanwhile."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as said:
            return said.read()
    except OSError:
        return b""
