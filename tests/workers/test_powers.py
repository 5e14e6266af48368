"""The whole path with each process signed in under its own database role, as the containers run it."""

from datetime import timedelta

from tests.servers import SmtpCatcher
from tests.workers.company import Company, url_as
from workers import housekeeping as scan
from workflow.database import create_engine, transaction
from workflow.db import jobs
from workflow.db.powers import Power
from workflow.db.queries import housekeeping, licenses
from workflow.domain.events import Job
from workflow.services import reminders
from workflow.times import wall_now


def test_from_the_application_to_the_reminder_no_process_needs_more_than_its_role_has(
    company: Company, smtp: SmtpCatcher
) -> None:
    number = company.apply()
    company.approve(number)
    relay = create_engine(url_as(Power.RELAY, company.engine))
    with transaction(relay) as session:
        assert jobs.take_due(session, wall_now(), timedelta(minutes=5))
        housekeeping.beat(session, "relay", "publishing", wall_now())
    relay.dispose()
    for kind in (Job.SIGN, Job.DELIVER, Job.LETTER):
        company.run(kind)
    assert company.application(number).status == "delivered"
    scan.look_around(company.here)
    with transaction(company.here.engine) as session:
        issued = licenses.get_of_application(session, company.application(number).id)
        assert reminders.queue_due(session, company.here.desk, issued.valid_until - timedelta(days=7))
    company.run(Job.REMINDER)
    assert [job.last_error for job in company.jobs() if job.state != "done"] == []
    assert any("ends" in str(each["Subject"]).lower() for each in smtp.messages)
