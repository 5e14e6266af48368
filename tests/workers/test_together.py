"""Several signatures in one message and one transaction, and what happens when one of them cannot be made."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlmodel import select

from tests.workers.company import Company
from workers.claims import perform_in_turn, perform_together
from workers.relay import TOGETHER, messages
from workers.signing import sign, sign_together
from workflow.database import transaction
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob, DueJob, LeaseLost
from workflow.db.tables import EventRow, IssuedLicense, JobRow
from workflow.domain.events import Job
from workflow.times import wall_now


@pytest.fixture
def approved(company: Company) -> list[str]:
    """Three applications that wait for their signature."""
    numbers = [company.apply(environment=name) for name in ("DEV", "UAT", "PROD")]
    for number in numbers:
        company.approve(number)
    return numbers


def sign_all(company: Company, *more: str) -> list[int]:
    """Does what a message with every signing job's id does; returns how many went together, each time."""
    went: list[int] = []

    def together(claimed: list[ClaimedJob]) -> None:
        went.append(len(claimed))
        sign_together(company.room, claimed)

    ids = [str(job.id) for job in company.jobs(Job.SIGN)]
    perform_together([*ids, *more], together, lambda job: sign(company.room, job), company.room.claimant)  # type: ignore[arg-type]
    return went


def statuses(company: Company, numbers: list[str]) -> list[str]:
    return [company.application(number).status for number in numbers]


def test_a_message_of_several_signs_all_of_them_once(company: Company, approved: list[str]) -> None:
    assert sign_all(company) == [3]
    assert statuses(company, approved) == ["issued"] * 3
    assert sign_all(company) == []  # the same message again
    with transaction(company.engine) as session:
        assert len(session.exec(select(IssuedLicense)).all()) == 3
        issued = session.exec(select(EventRow).where(EventRow.type == "license.issued")).all()
    assert len(issued) == 3
    assert {job.state for job in company.jobs(Job.SIGN)} == {"done"}
    assert len(company.jobs(Job.DELIVER)) == 3


def test_one_that_cannot_be_signed_holds_no_other_up(company: Company, approved: list[str]) -> None:
    with transaction(company.engine) as session:
        session.connection().execute(
            text("DELETE FROM vote WHERE application = (SELECT id FROM application WHERE number = :n)"), {"n": approved[1]}
        )
    assert sign_all(company) == [3]
    assert statuses(company, approved) == ["issued", "approved", "issued"]
    attention = company.application(approved[1]).attention
    assert attention is not None
    assert "was not signed" in attention
    assert [job.state for job in company.jobs(Job.SIGN)] == ["done", "dead", "done"]
    with transaction(company.engine) as session:
        assert len(session.exec(select(EventRow).where(EventRow.type == "license.signing_failed")).all()) == 1


def test_whoever_lost_a_lease_in_the_middle_signs_the_others(company: Company, approved: list[str]) -> None:
    def together(claimed: list[ClaimedJob]) -> None:
        with transaction(company.engine) as session:
            row = session.get(JobRow, claimed[0].id)
            assert row is not None
            row.owner = "another worker"
        with pytest.raises(LeaseLost):
            sign_together(company.room, claimed)
        raise LeaseLost("as it was raised")

    ids = [str(job.id) for job in company.jobs(Job.SIGN)]
    perform_together(ids, together, lambda job: sign(company.room, job), company.room.claimant)  # type: ignore[arg-type]
    assert statuses(company, approved) == ["approved", "issued", "issued"]


def test_what_is_not_an_id_is_left_out(company: Company, approved: list[str]) -> None:
    assert sign_all(company, "not an id", str(uuid4())) == [3]
    assert statuses(company, approved) == ["issued"] * 3


def test_jobs_travel_together_the_first_time_and_alone_after_that() -> None:
    def due(kind: Job, attempts: int = 0) -> DueJob:
        return DueJob(uuid4(), kind.value, attempts)

    most = TOGETHER[Job.SIGN.value]
    fresh = [due(Job.SIGN) for _ in range(most + 2)]
    letters = [due(Job.LETTER), due(Job.LETTER)]
    again, reminder, mail = due(Job.SIGN, 1), due(Job.REMINDER), due(Job.DELIVER)
    sent = list(messages([mail, letters[0], *fresh, again, reminder, letters[1]]))
    ids = [str(job.id) for job in fresh]
    assert sent == [
        ("license.sign", ids[:most]),
        ("license.sign", ids[most:]),
        ("license.deliver", [str(mail.id)]),
        ("letter.send", [str(job.id) for job in letters]),
        ("license.sign", [str(again.id)]),
        ("letter.expiry_reminder", [str(reminder.id)]),
    ]


# One after the other: messages to a mail server


def letters_in_turn(
    company: Company, work: Callable[[ClaimedJob, str], None], *, read_fails_for: int = 0, lease: float = 60
) -> list[int]:
    """Does what a message with every letter's id does; returns for how many was read, each time."""
    read_for: list[int] = []

    def read(claimed: Sequence[ClaimedJob]) -> dict[UUID, str]:
        read_for.append(len(claimed))
        if len(claimed) == read_fails_for:
            raise RuntimeError("one of them cannot be read")
        return {job.id: job.detail for job in claimed}

    claimant = replace(company.room.claimant, lease=timedelta(seconds=lease))
    perform_in_turn([str(job.id) for job in company.jobs(Job.LETTER)], read, work, claimant)
    return read_for


def finish(company: Company, job: ClaimedJob, note: str) -> None:
    with transaction(company.engine) as session:
        jobs.finish(session, job, wall_now(), note)


def test_letters_of_a_message_are_read_at_once_and_done_one_after_the_other(company: Company, approved: list[str]) -> None:
    assert letters_in_turn(company, lambda job, read: finish(company, job, read)) == [6]
    assert [(job.state, job.last_error) for job in company.jobs(Job.LETTER)] == [
        ("done", kind) for kind in ["approval_requested"] * 3 + ["approved"] * 3
    ]


def test_when_they_cannot_be_read_at_once_each_is_read_alone(company: Company, approved: list[str]) -> None:
    assert letters_in_turn(company, lambda job, read: finish(company, job, read), read_fails_for=6) == [6, *[1] * 6]
    assert {job.state for job in company.jobs(Job.LETTER)} == {"done"}


def test_one_that_fails_is_put_off_and_holds_no_other_up(company: Company, approved: list[str]) -> None:
    first = company.jobs(Job.LETTER)[0].id

    def work(job: ClaimedJob, read: str) -> None:
        if job.id == first:
            raise RuntimeError("this one")
        finish(company, job, read)

    letters_in_turn(company, work)
    assert [job.state for job in company.jobs(Job.LETTER)] == ["pending", *["done"] * 5]


def test_what_waits_too_long_for_a_slow_one_is_given_back_at_once(company: Company, approved: list[str]) -> None:
    def slow(job: ClaimedJob, read: str) -> None:
        finish(company, job, read)
        time.sleep(0.2)

    letters_in_turn(company, slow, lease=3)  # a tenth of a second for those behind the first
    rows = company.jobs(Job.LETTER)
    assert [job.state for job in rows] == ["done", *["pending"] * 5]
    assert {(job.next_at <= wall_now(), job.lease_until, job.attempts - job.deferred) for job in rows[1:]} == {(True, None, 0)}
