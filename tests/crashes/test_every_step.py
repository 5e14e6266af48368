"""Each process killed while one stands at each step of the path: every license is issued once and every mail arrives once."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col, select

from tests.crashes.fleet import Fleet
from tests.crashes.steps import Step
from tests.servers import wait_until
from workflow.database import reading, transaction
from workflow.db.queries import applications
from workflow.db.tables import IssuedLicense, JobRow
from workflow.domain.events import Job
from workflow.times import wall_now

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

THE_CHILD = "the child that does the work"
CALLED_UPON = {
    "web": ("database",),
    "relay": ("broker", "database"),
    "signing": ("broker", "database"),
    "general": ("broker", "database", "mail"),
    "beat": ("broker",),
}
"""Whom a process works with at its steps."""
ON_THE_PATH = [step for step in Step if step.process in ("relay", "signing") or step.name.startswith("GENERAL")]
BY_THE_CLOCK = (Step.BEAT_WAKING, Step.BEAT_WOKE, Step.SCAN_OWED, Step.SCAN_COMMITTED)
ON_THE_WEB = (Step.WEB_VOTED, Step.WEB_COMMITTED)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Where approvers wait for an answer while the test kills what should give it."""
    with ThreadPoolExecutor(4) as made:
        yield made


def cases(fleet: Fleet, steps: Sequence[Step]) -> list[tuple[Step, tuple[str, ...]]]:
    """Each step with those that are killed there: who stands there; each that it works with; all others at once."""
    found: list[tuple[Step, tuple[str, ...]]] = []
    for step in steps:
        alone = [step.process, *(each for each in CALLED_UPON[step.process] if each in fleet.names)]
        alone += [THE_CHILD] if step.process in ("signing", "general") else []
        found += [(step, (each,)) for each in alone]
        found.append((step, tuple(each for each in fleet.names if each != step.process)))
    return found


def stand_at(fleet: Fleet, step: Step) -> int:
    """Waits until a process stands at the step; returns its id."""
    wait_until(lambda: bool(fleet.steps.reached()), 60, f"a process comes to: {step} (logs in {fleet.nursery.logs})")
    return fleet.steps.reached() or 0


def kill_at(fleet: Fleet, step: Step, victims: Sequence[str]) -> None:
    """Kills them while a process stands at the step, lets that go on if it lives, and starts them again."""
    standing = stand_at(fleet, step)
    if victims == (THE_CHILD,):
        os.kill(standing, signal.SIGKILL)  # what the kernel does to the largest when memory is short
        return
    for victim in victims:
        fleet.kill(victim)
    fleet.steps.go_on()
    fleet.start(*victims)


def test_each_process_is_killed_at_each_step_of_the_path(fleet: Fleet, pool: ThreadPoolExecutor) -> None:
    matrix = cases(fleet, ON_THE_PATH)
    numbers = fleet.applied("T-1", len(matrix))
    for number, (step, victims) in zip(numbers, matrix, strict=True):
        fleet.steps.ask(step)
        yes = pool.submit(fleet.approve, number)
        kill_at(fleet, step, victims)
        yes.result(120)
    fleet.wait_until_quiet()
    count = fleet.everything_once(numbers)
    assert count.settled["archive"], "somebody died after the mail server had answered"


def test_a_vote_whose_answer_got_lost_counts_once(fleet: Fleet, pool: ThreadPoolExecutor) -> None:
    matrix = cases(fleet, ON_THE_WEB)
    numbers = fleet.applied("T-2", len(matrix))
    with fleet.api_client() as approver:
        for number, (step, victims) in zip(numbers, matrix, strict=True):
            fleet.steps.ask(step)
            yes = pool.submit(vote_until_answered, approver, number)
            kill_at(fleet, step, victims)
            assert yes.result(120).json()["application"]["status"] == "approved"
    fleet.wait_until_quiet()
    fleet.everything_once(numbers)
    with reading(fleet.company.engine) as session:
        for number in numbers:
            assert len(applications.votes_on(session, applications.get_application(session, number).id)) == 1


def vote_until_answered(approver: httpx.Client, number: str) -> httpx.Response:
    """What a careful program does: the same request under the same key, until there is an answer."""
    answers: list[httpx.Response] = []

    def answered() -> bool:
        try:
            body = {"choice": "approve", "revision": 1, "comment": ""}
            answer = approver.post(f"/applications/{number}/votes", json=body, headers={"Idempotency-Key": number})
        except httpx.TransportError:
            return False
        answers.append(answer)
        return answer.status_code == 201

    try:
        wait_until(answered, 60, "an answer")
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {[each.text for each in answers[-1:]]}") from error
    return answers[-1]


def test_what_the_clock_asks_for_comes_once_whoever_is_killed_meanwhile(fleet: Fleet) -> None:
    matrix = cases(fleet, BY_THE_CLOCK)
    numbers = fleet.applied("T-3", len(matrix))
    for number in numbers:
        fleet.approve(number)
    fleet.wait_until_quiet()
    for number, (step, victims) in zip(numbers, matrix, strict=True):
        fleet.steps.ask(step)
        delivered_days_ago(fleet, number)
        kill_at(fleet, step, victims)
    wait_until(lambda: all(len(questions(fleet, number)) == 1 for number in numbers), 90, "every question is owed")
    fleet.wait_until_quiet()
    fleet.everything_once(numbers)
    assert [questions(fleet, number) for number in numbers] == [["done"]] * len(numbers)


def delivered_days_ago(fleet: Fleet, number: str) -> None:
    """Somebody should ask the liaison by now why the license is not in force."""

    def written() -> bool:
        with transaction(fleet.company.engine) as session:
            long_ago = wall_now() - timedelta(days=4)
            application = applications.get_application(session, number).id
            session.execute(
                update(IssuedLicense).where(col(IssuedLicense.application) == application).values(delivered_at=long_ago)
            )
        return True

    fleet.when_it_answers(written)


def questions(fleet: Fleet, number: str) -> list[str]:
    """The letters to the liaison that ask why the license is not in force."""

    def found() -> list[str]:
        with reading(fleet.company.engine) as session:
            application = applications.get_application(session, number)
            asked = select(JobRow.state).where(
                JobRow.ref == application.id, JobRow.kind == Job.LETTER, JobRow.recipient == application.owner
            )
            return list(session.exec(asked.where(JobRow.detail == "not_activated")).all())

    return fleet.when_it_answers(found)
