"""A worker that is told to stop gives back what it has not begun, and finishes what it is in the middle of."""

import signal
from datetime import timedelta

import pytest

from tests.servers import SmtpCatcher, ValkeyServer, wait_until
from tests.workers.company import WITH_CERTIFICATE, WITHOUT_CERTIFICATE, Company
from tests.workers.conftest import Start
from workflow.db.tables import JobRow
from workflow.domain.events import Job
from workflow.times import wall_now

BOTH = [WITH_CERTIFICATE, WITHOUT_CERTIFICATE]


@pytest.fixture
def five_deliveries(company: Company, valkey: ValkeyServer, start: Start, smtp: SmtpCatcher) -> list[str]:
    """A relay has published them, in one message; the mail server will answer to none."""
    for environment, recipients in (("DEV", BOTH), ("UAT", BOTH), ("PROD", BOTH[:1])):
        company.approve(company.apply(environment=environment, recipients=recipients))
    company.run(Job.SIGN)
    company.run(Job.LETTER)
    smtp.slow = True
    smtp.envelopes.clear()
    smtp.handed = 0
    return [str(job.id) for job in company.jobs(Job.DELIVER)]


def deliveries(company: Company) -> list[JobRow]:
    return company.jobs(Job.DELIVER)


def test_it_ends_once_the_message_in_hand_is_answered_and_another_worker_has_the_rest_at_once(
    company: Company, smtp: SmtpCatcher, start: Start, five_deliveries: list[str]
) -> None:
    worker = start("general")
    start("relay")
    wait_until(lambda: smtp.handed == 1, 60, "the first message is handed over")
    wait_until(lambda: len([each for each in deliveries(company) if each.owner]) == 5, 10, "all five are claimed")
    worker.send_signal(signal.SIGTERM)
    smtp.slow = False
    assert worker.wait(60) == 0
    assert len(smtp.envelopes) == 1
    given_back = [each for each in deliveries(company) if each.state == "pending"]
    assert len(given_back) == 4
    assert all(each.lease_until is None and each.attempts == each.deferred for each in given_back)
    start("general")
    wait_until(lambda: len(smtp.envelopes) >= 5, 60, "the next worker sends the rest")
    wait_until(lambda: {each.state for each in deliveries(company)} == {"done"}, 60, "all are recorded")
    assert len(smtp.envelopes) == 5


def test_a_second_signal_ends_it_in_the_middle_and_the_lease_brings_the_work_back(
    company: Company, smtp: SmtpCatcher, start: Start, five_deliveries: list[str]
) -> None:
    worker = start("general")
    start("relay")
    wait_until(lambda: smtp.handed == 1, 60, "the first message is handed over")
    worker.send_signal(signal.SIGTERM)
    with pytest.raises(TimeoutError):
        wait_until(lambda: worker.poll() is not None, 2, "it ends")
    worker.send_signal(signal.SIGTERM)
    worker.wait(60)
    assert not [each for each in deliveries(company) if each.state == "done"]
    row = next(each for each in deliveries(company) if each.attempts)
    assert row.next_at <= wall_now() + timedelta(seconds=10)
