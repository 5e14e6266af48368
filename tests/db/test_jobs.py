"""The life of a job: published, claimed under a lease, fenced, put off, buried, and tried again by an operator."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, update
from sqlmodel import col

from workflow.database import transaction
from workflow.db import jobs, outbox
from workflow.db.ids import new_id
from workflow.db.jobs import ClaimedJob, LeaseLost
from workflow.db.tables import JobRow
from workflow.domain.events import Job
from workflow.times import wall_now

LEASE = timedelta(minutes=5)
ATTEMPTS = 3


class Queue:
    """The job table, each touch in a transaction of its own. Times are counted from the first one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.start = wall_now()

    def at(self, seconds: float) -> datetime:
        return self.start + timedelta(seconds=seconds)

    def owed(self, key: str = "sign:1", kind: Job = Job.SIGN, due: float = 0) -> UUID:
        values = {**outbox.job_values(kind, key, ref=new_id()), "next_at": self.at(due), "created_at": self.start}
        with transaction(self.engine) as session:
            return outbox.add_jobs(session, [values])[0]

    def take(self, seconds: float, limit: int = 500) -> list[UUID]:
        with transaction(self.engine) as session:
            return [due.id for due in jobs.take_due(session, self.at(seconds), LEASE, limit)]

    def claim(self, job: UUID, seconds: float, owner: str = "worker 1") -> ClaimedJob | None:
        with transaction(self.engine) as session:
            return jobs.claim(session, Job.SIGN, job, owner, self.at(seconds), LEASE, ATTEMPTS)

    def claimed(self, job: UUID, seconds: float, owner: str = "worker 1") -> ClaimedJob:
        found = self.claim(job, seconds, owner)
        assert found is not None
        return found

    def finish(self, job: ClaimedJob, seconds: float) -> None:
        with transaction(self.engine) as session:
            jobs.finish(session, job, self.at(seconds))

    def put_off(self, job: ClaimedJob, seconds: float) -> bool:
        with transaction(self.engine) as session:
            return jobs.put_off(session, job, self.at(seconds), "451 try later")

    def bury(self, job: ClaimedJob, seconds: float) -> None:
        with transaction(self.engine) as session:
            jobs.bury(session, job, self.at(seconds), "550 no such mailbox")

    def row(self, job: UUID) -> JobRow:
        with transaction(self.engine) as session:
            found = session.get(JobRow, job)
            assert found is not None
            return found


@pytest.fixture
def queue(engine: Engine) -> Queue:
    return Queue(engine)


def test_a_due_job_is_published_once_and_again_after_a_minute_without_a_claim(queue: Queue) -> None:
    job = queue.owed()
    assert queue.take(-1) == []
    assert queue.take(0) == [job]
    assert queue.take(59) == []
    assert queue.take(60) == [job]
    assert queue.row(job).published == 2


def test_the_relay_takes_the_longest_due_first_and_no_more_than_it_asked_for(queue: Queue) -> None:
    late, early, middle = (queue.owed(f"sign:{number}") for number in range(3))
    with transaction(queue.engine) as session:
        for job, seconds in ((late, 0), (early, -60), (middle, -30)):
            session.execute(update(JobRow).where(col(JobRow.id) == job).values(next_at=queue.at(seconds)))
    assert set(queue.take(1, limit=2)) == {early, middle}
    assert queue.take(1, limit=2) == [late]


def test_letters_wait_while_a_license_is_due_but_not_forever(queue: Queue) -> None:
    letter = queue.owed("letter:1", Job.LETTER)
    first, second = queue.owed("sign:1"), queue.owed("sign:2", due=20)
    assert queue.take(19) == [first]
    assert queue.take(20) == [second]
    assert queue.take(21) == [letter]
    late, third = queue.owed("letter:2", Job.LETTER), queue.owed("sign:3", due=29)
    assert queue.take(29) == [third]
    fourth = queue.owed("sign:4", due=30)
    assert set(queue.take(30)) == {late, fourth}


def test_a_claimed_job_belongs_to_its_worker_until_the_lease_ends(queue: Queue) -> None:
    job = queue.owed()
    assert queue.claimed(job, 0).attempts == 1
    assert queue.claim(job, 299, "worker 2") is None
    assert queue.take(299) == []
    assert queue.take(300) == [job], "the relay publishes it again"
    assert queue.claimed(job, 300, "worker 2").attempts == 2


def test_a_done_job_is_nobodys_any_more(queue: Queue) -> None:
    job = queue.owed()
    queue.finish(queue.claimed(job, 0), 1)
    row = queue.row(job)
    assert (row.state, row.done_at, row.lease_until) == ("done", queue.at(1), None)
    assert queue.claim(job, 9_999) is None
    assert queue.take(9_999) == []


def test_a_job_that_does_not_exist_is_let_go(queue: Queue) -> None:
    assert queue.claim(new_id(), 0) is None


def test_whoever_lost_the_lease_can_record_nothing(queue: Queue) -> None:
    job = queue.owed()
    slow = queue.claimed(job, 0, "slow worker")
    queue.claimed(job, 301, "quick worker")
    with pytest.raises(LeaseLost):
        queue.finish(slow, 302)
    with pytest.raises(LeaseLost):
        queue.put_off(slow, 302)
    with pytest.raises(LeaseLost):
        queue.bury(slow, 302)
    with transaction(queue.engine) as session, pytest.raises(LeaseLost):
        jobs.extend(session, slow, queue.at(900))
    row = queue.row(job)
    assert (row.state, row.owner) == ("running", "quick worker")


def test_the_same_worker_that_took_the_job_again_cannot_record_its_first_try(queue: Queue) -> None:
    """A worker's name outlives its tasks: one that hung past its lease must not speak for the one that runs now."""
    job = queue.owed()
    first = queue.claimed(job, 0)
    second = queue.claimed(job, 301)
    with pytest.raises(LeaseLost):
        queue.finish(first, 302)
    queue.finish(second, 303)


def test_a_job_that_was_finished_cannot_be_finished_again(queue: Queue) -> None:
    claimed = queue.claimed(queue.owed(), 0)
    queue.finish(claimed, 1)
    with pytest.raises(LeaseLost):
        queue.finish(claimed, 2)


def test_a_worker_can_keep_a_job_for_longer(queue: Queue) -> None:
    job = queue.owed()
    claimed = queue.claimed(job, 0)
    with transaction(queue.engine) as session:
        jobs.extend(session, claimed, queue.at(900))
    assert queue.claim(job, 899, "worker 2") is None
    assert queue.take(899) == []
    assert queue.claim(job, 900, "worker 2") is not None


def test_a_job_that_kills_its_workers_is_dead_after_its_attempts_and_says_so(queue: Queue) -> None:
    job = queue.owed()
    for attempt in range(ATTEMPTS):
        assert queue.claim(job, attempt * 301) is not None
    assert queue.claim(job, ATTEMPTS * 301) is None
    row = queue.row(job)
    assert row.state == "dead"
    assert row.last_error is not None
    assert "died 3 times" in row.last_error
    assert queue.take(99_999) == []


def test_a_job_still_leased_is_not_declared_dead_by_a_second_message(queue: Queue) -> None:
    job = queue.owed()
    for attempt in range(ATTEMPTS):
        queue.claimed(job, attempt * 301)
    assert queue.claim(job, (ATTEMPTS - 1) * 301 + 1, "worker 2") is None
    assert queue.row(job).state == "running"


def test_waiting_for_a_mail_server_uses_up_no_attempts(queue: Queue) -> None:
    job, seconds = queue.owed(), 0.0
    for _ in range(ATTEMPTS * 4):
        assert queue.put_off(queue.claimed(job, seconds), seconds)
        seconds += 1_200
    row = queue.row(job)
    assert (row.state, row.attempts, row.deferred) == ("pending", 12, 12)
    assert row.last_error == "451 try later"


def test_a_job_that_was_put_off_is_due_after_its_wait_and_not_before(queue: Queue) -> None:
    job = queue.owed()
    assert queue.put_off(queue.claimed(job, 0), 0)
    assert queue.take(1.5) == []
    assert queue.take(2.5) == [job]


def test_after_three_days_of_waiting_a_job_is_dead(queue: Queue) -> None:
    job, three_days = queue.owed(), 3 * 86_400.0
    assert queue.put_off(queue.claimed(job, three_days), three_days)
    assert not queue.put_off(queue.claimed(job, three_days + 1_000), three_days + 1_000)
    row = queue.row(job)
    assert (row.state, row.last_error) == ("dead", "451 try later")


def test_waits_double_up_to_a_quarter_of_an_hour_and_are_spread(queue: Queue) -> None:
    for attempts in range(1, 40):
        longest = min(2.0**attempts, 900)
        waits = [jobs.backoff(attempts).total_seconds() for _ in range(50)]
        assert all(0.8 * longest <= wait <= 1.2 * longest for wait in waits)
        assert len(set(waits)) > 1


def test_an_operator_gives_a_dead_job_all_its_attempts_and_days_again(queue: Queue) -> None:
    job = queue.owed()
    queue.bury(queue.claimed(job, 0), 1)
    later = 10 * 86_400.0
    with transaction(queue.engine) as session:
        assert jobs.retry(session, job, queue.at(later))
        assert not jobs.retry(session, job, queue.at(later)), "it is not dead any more"
    assert queue.take(later) == [job]
    again = queue.claimed(job, later)
    assert (again.attempts, again.deferred) == (1, 0)
    assert queue.put_off(again, later + 86_400)


@pytest.mark.parametrize("state", ["pending", "running", "done"])
def test_only_a_dead_job_can_be_retried_or_given_up(queue: Queue, state: str) -> None:
    job = queue.owed()
    if state != "pending":
        claimed = queue.claimed(job, 0)
        if state == "done":
            queue.finish(claimed, 1)
    with transaction(queue.engine) as session:
        assert not jobs.retry(session, job, queue.at(2))
        assert not jobs.cancel(session, job, queue.at(2), "not needed")
    assert queue.row(job).state == state


def test_a_job_that_was_given_up_is_never_done(queue: Queue) -> None:
    job = queue.owed()
    queue.bury(queue.claimed(job, 0), 1)
    with transaction(queue.engine) as session:
        assert jobs.cancel(session, job, queue.at(2), "the customer has left")
    assert (queue.row(job).state, queue.row(job).last_error) == ("cancelled", "the customer has left")
    assert queue.take(99_999) == []
    assert queue.claim(job, 99_999) is None


def test_a_job_that_was_tried_is_published_as_such_also_after_an_operators_retry(queue: Queue) -> None:
    """It travels alone then: it may be what killed its worker."""

    def tried(seconds: float) -> bool:
        with transaction(queue.engine) as session:
            (due,) = jobs.take_due(session, queue.at(seconds), LEASE)
        return due.tried

    job = queue.owed()
    assert not tried(0)
    queue.bury(queue.claimed(job, 1), 1)
    with transaction(queue.engine) as session:
        assert jobs.retry(session, job, queue.at(2))
    assert tried(2)


def test_a_waiting_job_can_be_brought_forward_but_not_one_that_runs(queue: Queue) -> None:
    job = queue.owed()
    queue.put_off(queue.claimed(job, 0), 0)
    with transaction(queue.engine) as session:
        assert jobs.hurry(session, job, queue.at(1))
    assert queue.take(1) == [job]
    queue.claimed(job, 1)
    with transaction(queue.engine) as session:
        assert not jobs.hurry(session, job, queue.at(2))
    assert queue.take(2) == []


def test_a_short_lease_is_published_again_as_soon_as_it_ran_out(queue: Queue) -> None:
    job, short = queue.owed(), timedelta(seconds=5)
    with transaction(queue.engine) as session:
        jobs.take_due(session, queue.at(0), short)
    with transaction(queue.engine) as session:
        assert [due.id for due in jobs.take_due(session, queue.at(5), short)] == [job]
