"""The broker restarts under load, again and again: no worker ends, and none is left that lives and takes nothing."""

import random
import time

import pytest

from tests.crashes.fleet import Fleet
from tests.crashes.steps import Step
from tests.servers import alive, wait_until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]

WORKERS = ("general", "signing")


def test_workers_go_on_after_many_restarts_of_the_broker_under_load(fleet: Fleet, pytestconfig: pytest.Config) -> None:
    restarts = int(pytestconfig.getoption("--broker-restarts"))
    chance = random.Random(30)
    numbers = fleet.applied("T-8", 4 * restarts)
    running = {name: fleet.pids[name] for name in WORKERS}
    for restart in range(restarts):
        for number in numbers[4 * restart : 4 * (restart + 1)]:
            fleet.approve(number)
        time.sleep(chance.uniform(0.05, 0.4))  # in the middle of whatever they do
        fleet.restart("broker")
    fleet.wait_until_quiet(240)
    assert {name: fleet.pids[name] for name in running if alive(running[name])} == running
    fleet.everything_once(numbers)


@pytest.mark.parametrize("step", [Step.SIGNING_CLAIMED, Step.GENERAL_CLAIMED])
def test_a_worker_that_was_busy_while_the_broker_restarted_takes_the_next_job(fleet: Fleet, step: Step) -> None:
    """It acknowledges a message to a server that is gone. With kombu's own transport that message counts as in hand forever."""
    hands = 2 if step.process == "general" else 1  # as many as it may have at a time
    numbers = fleet.applied(f"T-{step.name[:7]}", hands + 1)
    before = fleet.pids[step.process]
    for number in numbers[:hands]:
        fleet.steps.ask(step)
        fleet.approve(number)
        wait_until(lambda: bool(fleet.steps.reached()), 60, f"a worker comes to: {step}")
    fleet.kill("broker")
    fleet.steps.go_on()
    done = "issued" if step.process == "signing" else "delivered"
    wait_until(lambda: fleet.status_of(numbers[:hands])[done] == hands, 60, "both are done, and cannot be acknowledged")
    fleet.start("broker")
    fleet.approve(numbers[-1])
    fleet.wait_until_quiet()
    assert fleet.pids[step.process] == before
    assert alive(before)
    fleet.everything_once(numbers)
