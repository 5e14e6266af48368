"""Several signatures in one message and one transaction, and what happens when one of them cannot be made."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import text
from sqlmodel import select

from tests.servers import SmtpCatcher
from tests.workers.company import Company
from workers import signing
from workers.claims import perform, perform_in_turn, perform_together
from workers.delivery import deliver_license, read_parcels
from workers.relay import TOGETHER, messages
from workers.signing import SIGNER, sign, sign_together
from workflow.database import transaction
from workflow.db import jobs, outbox
from workflow.db.jobs import ClaimedJob, DueJob, LeaseLost
from workflow.db.queries import applications, moves
from workflow.db.tables import EventRow, IssuedLicense, JobRow
from workflow.domain.application import Action
from workflow.domain.events import ApplicationWithdrawn, Job
from workflow.errors import Conflict
from workflow.services import applications as applying
from workflow.services import decisions, issuing
from workflow.times import wall_now

ON_POSTGRES = pytest.mark.parametrize("database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
"""For what SQLite, with one writer at a time, cannot do."""


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
    perform_together(Job.SIGN, [*ids, *more], together, lambda job: sign(company.room, job), company.room.claimant)  # type: ignore[arg-type]
    return went


def deliver_all(company: Company, kind: Job, *, times: int = 1) -> None:
    """Does what a message to the mail worker with the ids of all jobs of a kind does, each so many times."""
    perform_in_turn(
        Job.DELIVER,
        [str(job.id) for job in company.jobs(kind)] * times,
        lambda claimed: read_parcels(company.here, claimed),
        lambda job, read: deliver_license(company.here, job, read),
        company.here.claimant,
    )


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
    perform_together(Job.SIGN, ids, together, lambda job: sign(company.room, job), company.room.claimant)  # type: ignore[arg-type]
    assert statuses(company, approved) == ["approved", "issued", "issued"]


def test_what_is_not_an_id_is_left_out(company: Company, approved: list[str]) -> None:
    assert sign_all(company, "not an id", str(uuid4())) == [3]
    assert statuses(company, approved) == ["issued"] * 3


def test_a_signature_owed_twice_is_made_once_and_nobody_is_alarmed(company: Company) -> None:
    number = company.apply(environment="DEV")
    company.approve(number)
    with transaction(company.web) as session:
        application = applications.get_application(session, number)
        decisions.rescind(session, company.operator, application, application.version, "One moment.", wall_now())
    company.revise(number, note="Order PO-88214.")
    company.approve(number)
    assert sign_all(company) == [2]
    assert (company.application(number).status, company.application(number).attention) == ("issued", None)
    assert [(job.state, job.last_error) for job in company.jobs(Job.SIGN)] == [
        ("done", None),
        ("done", "not signed: the application is issued"),
    ]


@ON_POSTGRES
@pytest.mark.parametrize("when", ["before its votes and history are read", "before it is moved"])
def test_whoever_withdraws_while_it_is_signed_comes_too_late_and_nobody_is_alarmed(
    company: Company, approved: list[str], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    place, name = (signing, "evidence_of") if when.startswith("before its") else (issuing, "record_issued")
    real = getattr(place, name)

    def withdraw() -> None:
        with transaction(company.web) as session:
            application = applications.get_application(session, approved[0])
            applying.withdraw(session, company.liaison, application, application.version, "Not needed.", wall_now())

    with ThreadPoolExecutor(1) as pool:
        beside: list[Future[None]] = []

        def late(*given: Any) -> Any:
            if not beside:
                beside.append(pool.submit(withdraw))
                wait_until_one_waits(company, beside[0])
            return real(*given)

        monkeypatch.setattr(place, name, late)
        assert sign_all(company) == [3]
        with pytest.raises(Conflict):
            beside[0].result(60)
    assert statuses(company, approved) == ["issued"] * 3
    assert {(job.state, job.last_error) for job in company.jobs(Job.SIGN)} == {("done", None)}
    assert company.application(approved[0]).attention is None


def test_a_worker_takes_no_job_of_another_kind_whatever_the_message_says(company: Company, approved: list[str]) -> None:
    foreign = [str(job.id) for kind in (Job.LETTER, Job.DELIVER) for job in company.jobs(kind)]
    perform_together(Job.SIGN, foreign, lambda claimed: sign_together(company.room, claimed), nothing, company.room.claimant)
    deliver_all(company, Job.SIGN)
    perform(Job.PORTAL_CODE, str(company.jobs(Job.SIGN)[0].id), nothing, company.here.claimant)
    assert {(job.state, job.attempts) for job in company.jobs()} == {("pending", 0)}
    assert statuses(company, approved) == ["approved"] * 3


def nothing(_job: ClaimedJob) -> None:
    """Work that would be noticed: a claimed job stays claimed."""


def test_a_job_named_many_times_is_done_once(company: Company, approved: list[str], smtp: SmtpCatcher) -> None:
    assert sign_all(company, *(str(job.id) for job in company.jobs(Job.SIGN) * 300)) == [3]
    assert statuses(company, approved) == ["issued"] * 3
    deliver_all(company, Job.DELIVER, times=3)
    assert len(smtp.messages) == 3


def test_when_they_took_too_long_together_the_first_is_done_and_the_others_are_given_back(
    company: Company, approved: list[str]
) -> None:
    def together(_claimed: Sequence[ClaimedJob]) -> None:
        time.sleep(0.2)
        raise SoftTimeLimitExceeded

    claimant = replace(company.room.claimant, lease=timedelta(seconds=3))  # a tenth of a second until they are given back
    ids = [str(job.id) for job in company.jobs(Job.SIGN)]
    perform_together(Job.SIGN, ids, together, lambda job: sign(company.room, job), claimant)
    assert statuses(company, approved) == ["issued", "approved", "approved"]
    rows = company.jobs(Job.SIGN)[1:]
    assert {(job.state, job.next_at <= wall_now(), job.attempts - job.deferred) for job in rows} == {("pending", True, 0)}


@ON_POSTGRES
def test_who_says_why_nothing_was_signed_waits_for_no_one_who_waits_for_them(company: Company, approved: list[str]) -> None:
    """A withdrawal takes the application, then its history; whoever took them the other way round would wait in a circle."""
    refused = threading.Event()

    def refuse() -> None:
        with transaction(company.room.engine) as session:
            application = applications.get_application(session, approved[0])
            refused.set()
            issuing.record_signing_failed(session, SIGNER, application, "No key.", wall_now())

    with ThreadPoolExecutor(1) as pool:
        with transaction(company.web) as session:
            application = applications.get_application(session, approved[0])
            moves.move(session, application, Action.WITHDRAW, wall_now())
            beside = pool.submit(refuse)
            assert refused.wait(30)
            wait_until_one_waits(company, beside)
            outbox.record(session, ApplicationWithdrawn("Not needed."), company.liaison, wall_now(), application=application)
        beside.result(60)
    assert company.application(approved[0]).status == "withdrawn"


def wait_until_one_waits(company: Company, beside: "Future[None]") -> None:
    """Returns when a connection of this database waits for a lock, or what is done beside has ended."""
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with transaction(company.engine) as session:
            if session.connection().execute(waiting).scalar_one() or beside.done():
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


def test_jobs_travel_together_the_first_time_and_alone_after_that() -> None:
    def due(kind: Job, tried: bool = False) -> DueJob:
        return DueJob(uuid4(), kind.value, tried)

    most = TOGETHER[Job.SIGN.value]
    fresh = [due(Job.SIGN) for _ in range(most + 2)]
    letters = [due(Job.LETTER), due(Job.LETTER)]
    again, reminder, mail = due(Job.SIGN, tried=True), due(Job.REMINDER), due(Job.DELIVER)
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
    perform_in_turn(Job.LETTER, [str(job.id) for job in company.jobs(Job.LETTER)], read, work, claimant)
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
