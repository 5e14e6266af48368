"""From the approval to the mail, task by task, on both databases."""

from tests.servers import SmtpCatcher
from tests.workers.company import WITH_CERTIFICATE, WITHOUT_CERTIFICATE, Company
from workflow.domain.events import Job


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
