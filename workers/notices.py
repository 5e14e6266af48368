"""Letters to one person that are about no application: a change of how their account is opened, a doubt about the history."""

from typing import assert_never

from sqlmodel import Session

from workers import facts, mailing
from workers.addressees import NotNeeded, addressee, reader_of
from workers.app import general
from workers.claims import perform
from workers.runtime import Runtime, runtime
from workflow.database import reading, transaction
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob
from workflow.db.queries import applications, deliveries, events, findings, people
from workflow.db.tables import Person
from workflow.domain.events import SYSTEM_STREAM, Job, Notice
from workflow.mail import letters
from workflow.mail.letters import CredentialsChange, Doubt
from workflow.mail.messages import Letter
from workflow.services.desk import Desk
from workflow.times import wall_now

MOST_FINDINGS = 50


@general.task(name="letter.notice")  # type: ignore[untyped-decorator]  # Celery has no types
def send_notice_job(job_id: str) -> None:
    """Sends one person a notice."""
    here = runtime()
    perform(Job.NOTICE, job_id, lambda job: send_notice(here, job), here.claimant)


def send_notice(here: Runtime, job: ClaimedJob) -> None:
    """Writes the notice and sends it; somebody who left gets none."""
    assert job.recipient is not None, "a notice has a reader"
    with reading(here.engine) as session:
        stored = deliveries.find_by_job(session, job.id)
    if mailing.is_marked(stored):
        mailing.resume(here, job, stored)
        return
    try:
        with reading(here.engine) as session:
            person = people.get_person(session, job.recipient)
            to = addressee(person)
            letter = write(session, here.desk, job, person)
    except NotNeeded as reason:
        with transaction(here.engine) as session:
            jobs.finish(session, job, wall_now(), str(reason))
        return
    mailing.send(here, job, stored, lambda: mailing.in_clear(here, job, to, letter, job.detail))


def write(session: Session, desk: Desk, job: ClaimedJob, person: Person) -> Letter:
    """The letter of this kind."""
    sender = facts.sender(desk)
    match Notice(job.detail):
        case Notice.CREDENTIALS_CHANGED:
            assert job.event is not None, "an event owes this letter"
            event = events.by_ids(session, [job.event])[job.event]
            said = facts.payload_of(event)
            change = CredentialsChange(
                what=said["what"],
                name=said["detail"],
                at=event.at,
                time_zone=person.time_zone,
                by=event.actor_name,
                channel=event.channel,
                network=event.network,
            )
            return letters.credentials_changed(reader_of(person), change, sender)
        case Notice.HISTORY_DOUBTED:
            assert job.ref is not None, "the letter is about a round of findings"
            found = findings.told_in(session, job.ref)
            numbers = applications.numbers_of_streams(session, {row.stream for row in found} - {"", SYSTEM_STREAM})
            doubts = tuple(
                Doubt(row.sentence, number, f"{desk.public_url}/applications/{number}" if number else "")
                for row in found[:MOST_FINDINGS]
                for number in [numbers.get(row.stream, "")]
            )
            return letters.history_doubted(reader_of(person), doubts, len(found) - len(doubts), sender)
        case unknown:
            assert_never(unknown)
