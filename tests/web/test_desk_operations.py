"""The page of operations: what waits for a decision, what moves, what ends; and who may only look."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col

from tests.servers import SmtpCatcher
from tests.web.desk import Browser
from tests.workers.company import WITH_CERTIFICATE, Company
from workers import housekeeping as scan
from workflow.database import transaction
from workflow.db.queries import deliveries, housekeeping
from workflow.db.tables import Delivery, JobRow, Recipient
from workflow.domain.events import Job
from workflow.domain.processes import ProcessKind
from workflow.times import wall_now

Open = Callable[[str], Browser]


@pytest.fixture
def refused(company: Company, smtp: SmtpCatcher) -> str:
    """An application whose approvers' letters the mail server refused; its number."""
    number = company.apply()
    smtp.refuse["RCPT"] = "550 5.1.1 no such user here"
    company.run(Job.LETTER)
    return number


def address_of(browser: Browser, what: str) -> str:
    found = re.search(rf'action="(/operations/jobs/[^"]+/{what})"', browser.page.text)
    assert found
    return found.group(1)


def test_a_job_is_given_up_with_a_reason_that_stays(browser: Open, company: Company, refused: str) -> None:
    operator = browser("operator")
    operator.open("/operations")
    cancel = address_of(operator, "cancel")
    assert operator.send(cancel, reason="  ").status_code == 422
    assert "Say why this job is given up" in operator.words
    operator.send(cancel, reason="The colleague was told on the phone.")
    assert "The job is given up." in operator.words
    operator.open("/operations?state=cancelled")
    assert "Given up by Omar Reyes: The colleague was told on the phone. Before that: " in operator.words
    operator.open("/audit")
    assert "letter.send: The colleague was told on the phone." in operator.words


def test_an_auditor_sees_everything_and_can_change_nothing(browser: Open, company: Company, refused: str) -> None:
    operator, auditor = browser("operator"), browser("auditor")
    operator.open("/operations")
    retry, cancel = address_of(operator, "retry"), address_of(operator, "cancel")
    assert auditor.open("/operations").status_code == 200
    assert "no such user here" in auditor.words
    assert "/operations/jobs/" not in auditor.page.text
    auditor.page = operator.page
    token = dict(_own_form(auditor))["csrf"]
    for path in (retry, cancel):
        answer = auditor.client.post(
            path, data={"csrf": token, "reason": "No."}, headers={"Origin": str(auditor.client.base_url)}
        )
        assert answer.status_code == 403
    with transaction(company.engine) as session:
        assert {each.state for each in deliveries.list_jobs(session)} == {"dead"}
    for who in ("liaison", "approver", "administrator", "stranger"):
        assert browser(who).open("/operations").status_code == 403


def _own_form(browser: Browser) -> list[tuple[str, str]]:
    browser.open("/profile")
    return browser.form("/sign-out")


def test_processes_that_are_missing_or_silent_are_named(browser: Open, company: Company) -> None:
    operator = browser("operator")
    operator.open("/operations")
    assert "Relay: none is running" in operator.words
    assert "Signing worker: none is running Approved applications stay unsigned." in operator.words
    with transaction(company.engine) as session:
        for kind in (ProcessKind.RELAY, ProcessKind.GENERAL, ProcessKind.WITNESS):
            housekeeping.beat(session, f"{kind}@one", "works", wall_now())
        housekeeping.beat(session, "signing@two", "works", wall_now() - timedelta(minutes=10))
    scan.look_around(company.here)
    operator.open("/operations")
    assert "Relay: none is running" not in operator.words
    assert "Scheduler: none is running" not in operator.words, "the scan it wakes has run"
    assert "Signing worker: none is running" in operator.words
    assert re.search(r"Signing worker two works last heard of [^.]+ Silent", operator.words)


def test_work_that_nobody_takes_is_said(browser: Open, company: Company) -> None:
    company.apply()
    operator = browser("operator")
    operator.open("/operations")
    assert "Work waits longer" not in operator.words
    with transaction(company.engine) as session:
        session.execute(update(JobRow).values(created_at=wall_now() - timedelta(hours=3)))
    operator.open("/operations")
    assert "The oldest job has waited for 3 h." in operator.words
    assert re.search(r"Send a letter \d 0 0 0 3 h", operator.words)
    operator.open("/")
    assert "The oldest job has waited for 3 h." in operator.words


def test_mail_in_doubt_and_refused_is_listed_with_the_answer(browser: Open, company: Company, refused: str) -> None:
    with transaction(company.engine) as session:
        session.execute(
            update(Delivery)
            .where(col(Delivery.address) == "approver@serviceme.example")
            .values(state="in_doubt", smtp_reply="The worker stopped.", created_at=wall_now() - timedelta(days=90))
        )
    operator = browser("operator")
    operator.open("/operations")
    assert "Not known whether it arrived" in operator.words
    assert "Refused 550 5.1.1 no such user here" in operator.words


def test_what_ends_is_told_before_it_ends(browser: Open, company: Company) -> None:
    wall = wall_now()
    with transaction(company.engine) as session:
        housekeeping.beat(session, "general@one", "", wall, {"Mail signer's certificate": wall + timedelta(days=9, hours=1)})
        housekeeping.beat(session, "general@two", "", wall, {"Mail signer's certificate": wall + timedelta(days=900)})
        housekeeping.beat(session, "signing@one", "", wall, {"Trust root, version 3": wall + timedelta(days=400, hours=1)})
        session.execute(
            update(Recipient)
            .where(col(Recipient.address) == WITH_CERTIFICATE)
            .values(key_ends_at=wall + timedelta(days=30, hours=1))
        )
    operator = browser("operator")
    operator.open("/operations")
    assert re.search(r"Mail signer's certificate This desk .*?, 9 days left Ends soon", operator.words)
    assert re.search(r"Certificate of Zhang Wei Harbourline Logistics Co., Ltd. .*?, 30 days left Renew it now", operator.words)
    assert re.search(r"Trust root, version 3 This desk .*?, 400 days left Good", operator.words)
    with transaction(company.engine) as session:
        session.execute(update(Recipient).values(key_ends_at=wall - timedelta(days=1)))
    operator.open("/operations")
    assert re.search(r"Certificate of Zhang Wei [^/]*?, ended Ended", operator.words)


def test_an_auditor_reads_the_queue_as_approvers_see_it_and_decides_nothing(browser: Open, company: Company) -> None:
    number = company.apply()
    auditor = browser("auditor")
    auditor.open("/approvals?tab=decided")
    assert number in auditor.words
    assert "For you" not in auditor.words
    auditor.open(f"/approvals/{number}")
    assert "What will be signed" in auditor.words
    assert "Approvers decide. You see what they see." in auditor.words
    assert "You did not submit" not in auditor.words
    token = dict(auditor.form("/sign-out"))["csrf"]
    vote = {"csrf": token, "decision": "approve", "revision": "1", "version": "2"}
    answer = auditor.client.post(f"/approvals/{number}", data=vote, headers={"Origin": str(auditor.client.base_url)})
    assert answer.status_code == 403
    for who in ("liaison", "administrator", "stranger"):
        assert browser(who).open("/approvals").status_code == 403
