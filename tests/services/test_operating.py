"""What an operator does about jobs that gave up."""

import pytest

from tests import people
from tests.builders import NOW, Office
from workflow.db import jobs
from workflow.db.ids import new_id
from workflow.db.queries import deliveries, overview
from workflow.db.tables import JobRow
from workflow.domain.events import Job
from workflow.domain.roles import Actor, MissingRole
from workflow.errors import NotFound
from workflow.services import operations
from workflow.services.operations import NotDead
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
        operations.cancel_job(session, people.SECOND_OPERATOR, job.id, NOW)
    assert row(office, job).state == "cancelled"
    with office.work() as session, pytest.raises(NotDead):
        operations.retry_job(session, people.OPERATOR, job.id, NOW)
    with office.work() as session:
        assert overview.count_attention(session) == 0


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
            operations.cancel_job(session, actor, job.id, NOW)
    assert row(office, job).state == "dead"
