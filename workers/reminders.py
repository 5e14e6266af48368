"""Reminders on their way: each is read again before it goes out, so that nobody is reminded of what is settled."""

from dataclasses import replace
from datetime import datetime

from sqlmodel import Session

from workers import facts, mailing
from workers.addressees import NotNeeded, addressee, reader_of
from workers.app import general
from workers.claims import perform
from workers.runtime import Runtime, runtime
from workflow.database import reading, transaction
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob
from workflow.db.queries import applications, deliveries, licenses, people, reminders
from workflow.db.tables import Delivery
from workflow.domain.delivery import Channel
from workflow.domain.events import Job
from workflow.domain.terms import day_in
from workflow.mail import letters as written
from workflow.services import reminders as services
from workflow.services.applications import content_of
from workflow.services.delivery import Built
from workflow.services.parcels import Addressee
from workflow.times import utc_now, wall_now


@general.task(name="letter.expiry_reminder")  # type: ignore[untyped-decorator]  # Celery has no types
def send_reminder_job(job_id: str) -> None:
    """Reminds one person of one license's end."""
    here = runtime()
    perform(Job.REMINDER, job_id, lambda job: send_reminder(here, job), here.claimant)


def send_reminder(here: Runtime, job: ClaimedJob) -> None:
    """Sends the reminder, or skips it when a successor took over, it was revoked, or the end has come."""
    assert job.ref is not None, "a reminder names its license"
    assert job.recipient is not None, "a reminder has a reader"
    with reading(here.engine) as session:
        stored = deliveries.find_by_job(session, job.id)
        issued = licenses.get_license(session, job.ref)
        reminder = reminders.find_by_job(session, job.id)
        step = int(job.detail)
        reason = services.reason_to_skip(session, issued, step, utc_now())
        try:
            to = addressee(people.readers(session, {job.recipient})[job.recipient])
        except NotNeeded as left:
            reason = reason or str(left)
            to = Addressee("", "nobody@invalid.example", Channel.SIGNED)
        content = content_of(session, applications.get_application_by_id(session, issued.application))
        about = facts.license_facts(here.desk, issued, content)
        later = facts.successor(session, here.desk, issued)
    if reason is not None:
        with transaction(here.engine) as session:
            found = reminders.find_by_job(session, job.id)
            if found is not None:
                services.skip(found, reason)
            jobs.finish(session, job, wall_now(), f"not sent: {reason}")
        return
    base = f"{here.desk.public_url}/licenses/{issued.license_id}"
    if step == services.END_NOTICE:
        letter = written.expired(reader_of(to), about, facts.sender(here.desk), renew_url=f"{base}#renew", successor=later)
    else:
        letter = written.expiry_reminder(
            reader_of(to),
            about,
            max(0, (issued.last_day - day_in(issued.time_zone, utc_now())).days),
            facts.sender(here.desk),
            written_at=wall_now(),
            renew_url=f"{base}#renew",
            acknowledge_url=f"{base}#reminders",
            successor=later,
        )

    def build() -> Built:
        built = mailing.in_clear(here, job, to, letter, "expiry_reminder")
        return replace(built, application=issued.application, issued=None)

    def record(session: Session, delivery: Delivery, now: datetime) -> None:
        found = reminders.find_by_job(session, job.id)
        if found is not None:
            services.record_sent(session, mailing.MAILER, found, issued, delivery.message_id, now)

    assert reminder is not None, "the scan writes a reminder's row with its job"
    mailing.send(here, job, stored, build, record)
