"""What an operator does about jobs that gave up."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from tests import people
from tests.builders import NOW, Office
from workflow.db import jobs
from workflow.db.ids import new_id
from workflow.db.queries import deliveries, overview, queues
from workflow.db.queries.queues import Queue
from workflow.db.tables import EventRow, JobRow
from workflow.domain.events import Job, SystemFact
from workflow.domain.roles import Actor, MissingRole
from workflow.errors import NotFound
from workflow.services import operations
from workflow.services.operations import NotDead, ReasonMissing
from workflow.times import wall_now


def a_dead_job(office: Office) -> JobRow:
    number = office.approved()
    (owed,) = office.jobs(number, Job.SIGN)
    claimed = office.claim(owed.id)
    with office.work() as session:
        jobs.bury(session, claimed, wall_now(), "The key is missing.")
    return owed


def row(office: Office, job: JobRow) -> JobRow:
    with office.work() as session:
        return deliveries.get_job(session, job.id)


def test_a_job_that_gave_up_waits_for_an_operator_and_is_counted(office: Office) -> None:
    a_dead_job(office)
    with office.work() as session:
        assert overview.count_attention(session) == 1


def test_a_retry_starts_it_anew_and_is_in_the_history(office: Office) -> None:
    job = a_dead_job(office)
    with office.work() as session:
        operations.retry_job(session, people.OPERATOR, job.id, NOW)
    again = row(office, job)
    assert (again.state, again.attempts) == ("pending", 0)
    assert again.next_at <= wall_now(), "due at once by the clock of leases"
    assert office.claim(job.id).attempts == 1


def test_giving_up_is_for_good(office: Office) -> None:
    job = a_dead_job(office)
    with office.work() as session:
        operations.cancel_job(session, people.SECOND_OPERATOR, job.id, " The order\nwas  recalled. ", NOW)
    assert row(office, job).state == "cancelled"
    said = "Given up by %s: The order was recalled. Before that: The key is missing."
    assert row(office, job).last_error == said % people.SECOND_OPERATOR.name
    with office.work() as session:
        (told,) = session.exec(select(EventRow).where(EventRow.type == SystemFact.type, col(EventRow.payload).contains("job.")))
    assert json.loads(told.payload)["detail"] == "license.sign: The order was recalled."
    with office.work() as session, pytest.raises(NotDead):
        operations.retry_job(session, people.OPERATOR, job.id, NOW)
    with office.work() as session:
        assert overview.count_attention(session) == 0


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 501])
def test_whoever_gives_a_job_up_says_why(office: Office, reason: str) -> None:
    job = a_dead_job(office)
    with office.work() as session, pytest.raises(ReasonMissing):
        operations.cancel_job(session, people.OPERATOR, job.id, reason, NOW)
    assert row(office, job).state == "dead"


def test_queues_count_what_waits_runs_and_gave_up_and_how_long_the_oldest_has_waited(office: Office) -> None:
    dead = a_dead_job(office)
    office.submitted(environment="UAT")
    wall = wall_now()
    with office.work() as session:
        letters = [each.id for each in deliveries.list_jobs(session) if each.kind == Job.LETTER]
        taken, failed, *untouched = letters
        session.execute(update(JobRow).where(col(JobRow.id).in_(untouched)).values(created_at=wall - timedelta(minutes=4)))
    office.claim(taken)
    claimed = office.claim(failed)
    with office.work() as session:
        jobs.put_off(session, claimed, wall, "421 busy")
        # The relay has published the rest, and no worker took it: that is no reason to call it younger.
        jobs.take_due(session, wall, timedelta(minutes=5))
    with office.work() as session:
        found = {each.kind: each for each in queues.all_queues(session)}
    letter = found[Job.LETTER.value]
    assert (letter.waiting, letter.again, letter.running, letter.dead) == (len(untouched), 1, 1, 0)
    assert letter.lag(wall) == timedelta(minutes=4)
    assert found[dead.kind] == Queue(dead.kind, dead=1)
    total = queues.totals(list(found.values()))
    assert (total.dead, total.running, total.lag(wall)) == (1, 1, timedelta(minutes=4))


def test_work_that_is_due_later_has_not_waited(office: Office) -> None:
    assert Queue("a", again=1, since=NOW + timedelta(minutes=5)).lag(NOW) == timedelta()


def test_of_two_operators_the_second_is_told_that_it_is_done(office: Office) -> None:
    job = a_dead_job(office)
    with office.work() as session:
        operations.retry_job(session, people.OPERATOR, job.id, NOW)
    with office.work() as session, pytest.raises(NotDead, match="not waiting for an operator any more"):
        operations.retry_job(session, people.SECOND_OPERATOR, job.id, NOW)
    with office.work() as session, pytest.raises(NotFound):
        operations.retry_job(session, people.OPERATOR, new_id(), NOW)


@pytest.mark.parametrize(
    "actor",
    [people.LIAISON, people.APPROVER, people.ADMINISTRATOR, people.AUDITOR, people.STRANGER],
    ids=lambda each: each.name,
)
def test_only_operators_touch_jobs(office: Office, actor: Actor) -> None:
    job = a_dead_job(office)
    with office.work() as session:
        with pytest.raises(MissingRole, match="operator"):
            operations.retry_job(session, actor, job.id, NOW)
        with pytest.raises(MissingRole, match="operator"):
            operations.cancel_job(session, actor, job.id, "No.", NOW)
    assert row(office, job).state == "dead"
