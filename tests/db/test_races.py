"""Many at once: threads with connections of their own, all starting at the same instant, on both databases."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from tests import people
from tests.builders import DESK, NOW, Office, answers
from workflow.database import create_engine, transaction
from workflow.db import jobs, outbox
from workflow.db.ids import new_id
from workflow.db.queries import applications, events, throttle
from workflow.db.tables import JobRow, Person, RoleGrant
from workflow.domain.approvals import Choice
from workflow.domain.events import SYSTEM_STREAM, Job, SystemFact
from workflow.domain.roles import Actor, Role
from workflow.errors import Conflict
from workflow.services import applications as applying
from workflow.services import decisions
from workflow.times import wall_now

THREADS = 8


@contextmanager
def own_engines(engine: Engine, count: int) -> Iterator[list[Engine]]:
    """Engines with connections of their own, as so many processes would have."""
    url = engine.url.render_as_string(hide_password=False)
    made = [create_engine(url, pool_size=1) for _ in range(count)]
    yield made
    for each in made:
        each.dispose()


def at_once(engine: Engine, *work: Callable[[Engine], Any]) -> list[Any]:
    """Runs each work in a thread with an engine of its own, all from one instant on. Returns results, or the exceptions."""
    barrier = threading.Barrier(len(work))

    def run(task: Callable[[Engine], Any], own: Engine) -> Any:
        with own.connect():
            pass  # connecting takes longest, and is not what races
        barrier.wait(20)
        try:
            return task(own)
        except Exception as error:
            return error

    with own_engines(engine, len(work)) as engines, ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(run, work, engines))


def eight_approvers(office: Office) -> list[Actor]:
    made = []
    with office.work() as session:
        for number in range(THREADS):
            person = Person(
                id=new_id(), email=f"approver{number}@serviceme.example", name=f"Approver {number}", created_at=people.HIRED
            )
            session.add(person)
            session.flush()
            session.add(RoleGrant(person=person.id, role=Role.APPROVER.value, granted_at=people.HIRED))
            made.append(Actor(person.name, person.id, frozenset({Role.APPROVER})))
    return made


def cast_vote(number: str, actor: Actor, choice: Choice = Choice.APPROVE) -> Callable[[Engine], object]:
    """Opens the page, then decides: reading and voting are two transactions, as for people."""

    def vote(engine: Engine) -> object:
        with transaction(engine) as session:
            seen = applications.get_application(session, number)
        with transaction(engine) as session:
            return decisions.vote(
                session,
                actor,
                DESK,
                applications.get_application(session, number),
                choice,
                comment="Because.",
                seen_revision=seen.revision,
                seen_version=seen.version,
                now=NOW,
            )

    return vote


def test_eight_approvers_at_once_approve_one_application_once(office: Office) -> None:
    number, approvers = office.submitted(), eight_approvers(office)
    results = at_once(office.engine, *(cast_vote(number, each) for each in approvers))
    refused = [each for each in results if isinstance(each, Exception)]
    assert all(isinstance(each, Conflict) for each in refused), refused
    assert len(results) - len(refused) == 1
    assert office.status(number) == "approved"
    said = Counter(office.said(number))  # also checks the chain
    assert (said["application.approved"], said["application.approval_recorded"]) == (1, 1)
    assert len(office.jobs(number, Job.SIGN)) == 1


def test_whoever_was_slower_is_told_who_was_quicker(office: Office) -> None:
    number, approvers = office.submitted(), eight_approvers(office)
    results = at_once(office.engine, *(cast_vote(number, each) for each in approvers))
    winner = office.history(number)[-1].actor_name
    for each in results:
        if isinstance(each, Exception):
            assert winner in str(each) or "so it cannot be approved" in str(each)


def test_a_double_click_is_one_vote(office: Office) -> None:
    number = office.submitted()
    results = at_once(office.engine, *[cast_vote(number, people.APPROVER)] * 2)
    refused = [each for each in results if isinstance(each, Exception)]
    assert len(refused) == 1
    assert isinstance(refused[0], Conflict)
    assert office.said(number).count("application.approval_recorded") == 1


@pytest.mark.parametrize("choice", [Choice.REJECT, Choice.REQUEST_CHANGES])
def test_a_yes_and_a_no_at_once_end_in_one_of_the_two_and_never_in_both(office: Office, choice: Choice) -> None:
    number = office.submitted()
    at_once(office.engine, cast_vote(number, people.APPROVER), cast_vote(number, people.SECURITY, choice))
    said = office.said(number)
    no = "application.rejected" if choice is Choice.REJECT else "application.changes_requested"
    assert ("application.approved" in said) != (no in said)
    assert office.status(number) == ("approved" if "application.approved" in said else no.removeprefix("application."))
    assert len(office.jobs(number, Job.SIGN)) == (1 if office.status(number) == "approved" else 0)


def test_an_approval_and_a_withdrawal_at_once_leave_one_of_them(office: Office) -> None:
    number = office.submitted()
    version = office.application(number).version

    def withdraw(engine: Engine) -> None:
        with transaction(engine) as session:
            applying.withdraw(session, people.LIAISON, applications.get_application(session, number), version, "", NOW)

    results = at_once(office.engine, cast_vote(number, people.APPROVER), withdraw)
    if isinstance(results[1], Exception):
        assert office.status(number) == "approved"
    else:
        # Nobody approves what was withdrawn; an approval that came first would have made the withdrawer's page old.
        assert office.status(number) == "withdrawn"
        assert "application.approved" not in office.said(number)


def test_events_of_many_writers_make_one_unbroken_chain(engine: Engine) -> None:
    def write(own: Engine) -> None:
        for number in range(6):
            with transaction(own) as session:
                outbox.record(session, SystemFact("tried", str(number)), people.OPERATOR, NOW)

    assert at_once(engine, *[write] * THREADS) == [None] * THREADS
    with transaction(engine) as session:
        assert len(events.of_stream(session, SYSTEM_STREAM)) == 6 * THREADS
        assert events.first_broken(session, SYSTEM_STREAM) is None


def test_one_job_is_claimed_by_one_of_eight_workers(engine: Engine) -> None:
    with transaction(engine) as session:
        owed = [outbox.owe(session, Job.SIGN, f"sign:{number}") for number in range(5)]

    def claim_all(own: Engine) -> list[object]:
        mine: list[object] = []
        for job in owed:
            assert job is not None
            with transaction(own) as session:
                claimed = jobs.claim(session, Job.SIGN, job, f"worker {id(own)}", wall_now(), timedelta(minutes=5), 3)
            mine += [claimed.id] if claimed else []
        return mine

    claimed = [job for mine in at_once(engine, *[claim_all] * THREADS) for job in mine]
    assert sorted(claimed, key=str) == sorted(owed, key=str)
    with transaction(engine) as session:
        assert set(session.exec(select(JobRow.attempts))) == {1}


def test_two_relays_publish_each_job_once(engine: Engine) -> None:
    with transaction(engine) as session:
        outbox.add_jobs(session, [outbox.job_values(Job.SIGN, f"sign:{number}", ref=None) for number in range(60)])
    now = wall_now() + timedelta(seconds=1)

    def publish(own: Engine) -> list[object]:
        taken: list[object] = []
        for _ in range(4):
            with transaction(own) as session:
                taken += [due.id for due in jobs.take_due(session, now, timedelta(minutes=5), limit=10)]
        return taken

    first, second = at_once(engine, publish, publish)
    assert len(first) + len(second) == 60
    assert set(first).isdisjoint(second)


def test_the_same_work_owed_by_many_at_once_is_one_job(engine: Engine) -> None:
    def owe(own: Engine) -> object:
        with transaction(own) as session:
            return outbox.owe(session, Job.SIGN, "sign:1")

    results = at_once(engine, *[owe] * THREADS)
    assert len([each for each in results if each is not None]) == 1
    with transaction(engine) as session:
        assert len(session.exec(select(JobRow)).all()) == 1


def test_application_numbers_are_given_once_each(office: Office) -> None:
    def apply(own: Engine) -> str:
        with transaction(own) as session:
            return applying.apply(session, people.LIAISON, DESK, answers(), NOW).number

    numbers = at_once(office.engine, *[apply] * THREADS)
    assert sorted(numbers) == [f"APP-2026-{number:04d}" for number in range(1, THREADS + 1)]
    with office.work() as session:
        owed = session.exec(select(JobRow.ref).where(JobRow.detail == "approval_requested")).all()
    assert list(Counter(owed).values()) == [len(people.APPROVERS)] * THREADS, "each with all its letters"


def test_wrong_passwords_tried_at_once_are_all_counted(engine: Engine) -> None:
    def fail(own: Engine) -> int:
        with transaction(own) as session:
            return throttle.count(session, "sign-in:x", timedelta(minutes=15), NOW)

    assert sorted(at_once(engine, *[fail] * THREADS)) == list(range(1, THREADS + 1))
