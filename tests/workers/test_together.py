"""Several signatures in one message and one transaction, and what happens when one of them cannot be made."""

from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlmodel import select

from tests.workers.company import Company
from workers.claims import perform_together
from workers.relay import TOGETHER, messages
from workers.signing import sign, sign_together
from workflow.database import transaction
from workflow.db.jobs import ClaimedJob, DueJob, LeaseLost
from workflow.db.tables import EventRow, IssuedLicense, JobRow
from workflow.domain.events import Job


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


def test_signatures_travel_together_the_first_time_and_alone_after_that() -> None:
    fresh = [DueJob(uuid4(), Job.SIGN.value, 0) for _ in range(TOGETHER + 2)]
    again = DueJob(uuid4(), Job.SIGN.value, 1)
    mail = DueJob(uuid4(), Job.DELIVER.value, 0)
    sent = list(messages([mail, *fresh, again]))
    ids = [str(job.id) for job in fresh]
    assert sent == [
        ("license.sign", ids[:TOGETHER]),
        ("license.sign", ids[TOGETHER:]),
        ("license.deliver", [str(mail.id)]),
        ("license.sign", [str(again.id)]),
    ]
