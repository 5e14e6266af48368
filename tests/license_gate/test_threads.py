"""Callbacks, threads and forks: the gate of one process goes on whatever the platform does with it."""

import os
import threading
import time

from tests.console import vendor
from tests.license_gate.published import DAY, Clock, Directory, follows
from tests.servers import wait_until
from workflow.license_gate import Answers, State


def test_callbacks_hear_of_every_change_and_of_nothing_else(directory: Directory) -> None:
    directory.publish(vendor.lic(1))
    clock = Clock()
    heard: list[tuple[int, State]] = []
    with directory.gate(clock) as gate:
        end = gate.on_change(lambda answers: heard.append((answers.generation, answers.state)))
        directory.publish(vendor.fewer(2))
        # On a busy machine the file may be told of before its number.
        wait_until(lambda: heard[-1:] == [(2, State.ACTIVE)], 30, "the new license to be told")
        clock.now += 340 * DAY
        wait_until(lambda: heard[-1:] == [(2, State.GRACE)], 30, "the new state to be told")
        told = len(heard)
        assert told == len(set(heard))
        end()
        directory.publish(vendor.fewer(3))
        follows(gate, directory)
    assert len(heard) == told


def test_a_callback_that_fails_harms_nobody(directory: Directory) -> None:
    heard: list[Answers] = []

    def fails(_: Answers) -> None:
        raise RuntimeError("of the platform")

    with directory.gate() as gate:
        gate.on_change(fails)
        gate.on_change(heard.append)
        directory.publish(vendor.lic())
        wait_until(lambda: len(heard) == 1, 30, "the second callback")
        directory.publish(vendor.fewer(2))
        wait_until(lambda: heard[-1].generation == 2, 30, "the second callback again")
        assert heard[-1].claims is not None
        assert gate.answers.claims == heard[-1].claims


def test_a_callback_may_ask_and_close_the_gate(directory: Directory) -> None:
    done = threading.Event()
    gate = directory.gate()

    def ask(_: Answers) -> None:
        if gate.allows("agent-studio"):
            gate.close()
            done.set()

    gate.on_change(ask)
    directory.publish(vendor.lic())
    assert done.wait(30)


def test_many_threads_see_whole_answers(directory: Directory) -> None:
    directory.publish(vendor.lic(1))
    wrong: list[Answers] = []
    stop = threading.Event()
    with directory.gate() as gate:

        def look() -> None:
            while not stop.is_set():
                answers = gate.answers
                # Version 1 has speech and no API access, version 2 the other way round.
                if ("speech" in answers.models) is ("api-access" in answers.modules):
                    wrong.append(answers)
                time.sleep(0)

        lookers = [threading.Thread(target=look) for _ in range(4)]
        for each in lookers:
            each.start()
        directory.publish(vendor.fewer(2))
        follows(gate, directory)
        stop.set()
        for each in lookers:
            each.join()
    assert not wrong


def test_a_forked_child_goes_on_looking(directory: Directory) -> None:
    directory.publish(vendor.lic(1))
    asks, tells = os.pipe()
    with directory.gate() as gate:
        gate._lock.acquire()  # as if another thread were in the middle of it
        child = os.fork()
        if child == 0:
            try:
                os.write(tells, b"1" if gate.allows("agent-studio") else b"0")
                end = time.monotonic() + 60
                while not gate.allows("api-access") and time.monotonic() < end:
                    time.sleep(0.01)
                os.write(tells, b"1" if gate.allows("api-access") else b"0")
            finally:
                os._exit(0)
        gate._lock.release()
        assert os.read(asks, 1) == b"1"
        directory.publish(vendor.fewer(2))
        assert os.read(asks, 1) == b"1"
        os.waitpid(child, 0)
        follows(gate, directory)
    os.close(asks)
    os.close(tells)


def test_a_closed_gate_keeps_its_answers_until_they_end(directory: Directory) -> None:
    directory.publish(vendor.lic())
    clock = Clock()
    gate = directory.gate(clock)
    gate.close()
    gate.close()
    assert gate.allows("agent-studio")
    clock.now += 360 * DAY
    assert gate.state is State.EXPIRED
