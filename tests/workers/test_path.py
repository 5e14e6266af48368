"""From the approval to the mail, task by task, on both databases."""

import json
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.servers import SmtpCatcher, plain_text
from tests.workers.company import WITH_CERTIFICATE, WITHOUT_CERTIFICATE, Company
from workflow.database import transaction
from workflow.db import jobs
from workflow.db.queries import applications, licenses
from workflow.db.tables import JobRow, Reminder
from workflow.domain.approvals import Choice
from workflow.domain.events import Job
from workflow.services import applications as applying
from workflow.services import decisions, operations, reminders
from workflow.times import wall_now


def test_an_approved_application_is_signed_and_delivered(company: Company, smtp: SmtpCatcher) -> None:
    number = company.apply()
    company.approve(number)
    company.run(Job.SIGN)
    assert company.application(number).status == "issued"
    company.run(Job.DELIVER)
    assert company.application(number).status == "delivered"
    (message,) = smtp.messages
    assert message["To"].addresses[0].addr_spec == WITH_CERTIFICATE
    assert message.get_content_type() == "application/pkcs7-mime"


def test_a_recipient_without_a_certificate_gets_a_link_and_no_file(company: Company, smtp: SmtpCatcher) -> None:
    number = company.apply(recipients=[WITHOUT_CERTIFICATE])
    company.approve(number)
    company.run(Job.SIGN)
    company.run(Job.DELIVER)
    (message,) = smtp.messages
    body = message.as_string()
    assert "/d/" in body
    assert ".lic" not in body
    assert company.application(number).status == "issued"  # the link is not the file


def test_every_letter_of_the_path_goes_out(company: Company, smtp: SmtpCatcher) -> None:
    number = company.apply()
    company.approve(number)
    company.run(Job.SIGN)
    company.run(Job.DELIVER)
    company.run(Job.LETTER)
    assert [job.last_error for job in company.jobs() if job.state != "done"] == []
    subjects = " | ".join(str(each["Subject"]) for each in smtp.messages)
    assert "approv" in subjects.lower()
    assert "deliver" in subjects.lower()


@pytest.mark.parametrize("sent_back", [False, True])
def test_approvers_are_told_what_changed_since_they_were_told_before(
    company: Company, smtp: SmtpCatcher, sent_back: bool
) -> None:
    number = company.apply()
    company.run(Job.LETTER)
    with transaction(company.engine) as session:
        application = applications.get_application(session, number)
        if sent_back:
            decisions.vote(
                session,
                company.approver,
                company.here.desk,
                application,
                Choice.REQUEST_CHANGES,
                comment="Fewer.",
                now=wall_now(),
                seen_revision=1,
                seen_version=application.version,
            )
        raw = json.loads(application.draft) | {"recipients": [WITH_CERTIFICATE, WITHOUT_CERTIFICATE], "note": "As agreed."}
        raw["limits"]["users"] = 600
        applying.save_draft(session, company.liaison, raw, wall_now(), application=application)
        applying.submit(session, company.liaison, company.here.desk, application, application.version, wall_now())
    company.run(Job.LETTER)
    letter = next(each for each in reversed(smtp.messages) if each["To"].addresses[0].addr_spec.startswith("approver"))
    assert f"{number} changed, revision 2" in letter["Subject"]
    text = plain_text(letter)
    for said in (
        "Authorized users: 800 -> 600",
        f"Recipients: 1 -> 2 (+ {WITHOUT_CERTIFICATE})",
        "Note: Changed",
        "As agreed.",
    ):
        assert said in text


def test_a_refused_reminder_is_shown_as_failed_until_a_retry_gets_it_through(company: Company, smtp: SmtpCatcher) -> None:
    number = company.apply()
    company.approve(number)
    company.run(Job.SIGN)
    with transaction(company.engine) as session:
        issued = licenses.get_of_application(session, company.application(number).id)
        reminders.queue_due(session, company.here.desk, issued.valid_until - timedelta(days=7))
    smtp.refuse["RCPT"] = "550 5.1.1 no such user"
    company.run(Job.REMINDER)
    assert {(each.state, each.reason) for each in told(company)} == {("failed", "550 5.1.1 no such user")}
    smtp.refuse["RCPT"] = None
    with transaction(company.engine) as session:
        for job in session.exec(select(JobRow).where(JobRow.state == "dead")):
            operations.retry_job(session, company.operator, job.id, wall_now())
    company.run(Job.REMINDER)
    assert {(each.state, each.reason) for each in told(company)} == {("sent", None)}


@pytest.mark.parametrize("how", ["its worker dies", "patience is over"])
def test_a_reminder_whose_job_gave_up_otherwise_is_shown_as_failed_too(company: Company, how: str) -> None:
    number = company.apply()
    company.approve(number)
    company.run(Job.SIGN)
    with transaction(company.engine) as session:
        issued = licenses.get_of_application(session, company.application(number).id)
        reminders.queue_due(session, company.here.desk, issued.valid_until - timedelta(days=7))
    now, lease = wall_now(), timedelta(seconds=5)
    for row in company.jobs(Job.REMINDER):
        if how == "its worker dies":
            for crash in range(4):
                with transaction(company.engine) as session:
                    jobs.claim(session, Job.REMINDER, row.id, "worker", now + crash * 2 * lease, lease, 3)
        else:
            with transaction(company.engine) as session:
                job = jobs.claim(session, Job.REMINDER, row.id, "worker", now, lease, 3)
                assert job is not None
                jobs.put_off(session, job, now + timedelta(days=4), "KeyError: 'reader'")
    reason = {"its worker dies": "Its worker died 3 times while doing this. Look at the worker's log, then retry."}
    assert {(each.state, each.reason) for each in told(company)} == {("failed", reason.get(how, "KeyError: 'reader'"))}


def told(company: Company) -> list[Reminder]:
    with transaction(company.engine) as session:
        return [each for each in session.exec(select(Reminder)) if each.state != "skipped"]
