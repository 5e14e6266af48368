"""Letters that events owe: one job per letter and reader."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from uuid import UUID

from sqlmodel import Session

from workers import facts, mailing
from workers.addressees import NotNeeded, addressee, reader_of, require_decider
from workers.app import general
from workers.claims import perform, perform_in_turn
from workers.folding import fold_floods
from workers.runtime import Runtime, runtime
from workflow.database import reading, transaction
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob
from workflow.db.queries import applications, deliveries, digests, events, licenses, people, reminders
from workflow.db.tables import Application, Delivery, EventRow, OneTimeLink, Person, Recipient
from workflow.domain.application import Standing, Status
from workflow.domain.content import ApplicationContent
from workflow.domain.delivery import Channel
from workflow.domain.events import Job, LetterKind
from workflow.mail import letters
from workflow.mail.letters import Awaited
from workflow.mail.messages import Letter
from workflow.services import decisions, delegations, one_time_links
from workflow.services.applications import content_of_revision
from workflow.services.delivery import Built
from workflow.services.desk import Desk
from workflow.services.parcels import Addressee
from workflow.times import utc_now, wall_now

ONE_TIME_LINK = "one_time_link"


@general.task(name="letter.send")  # type: ignore[untyped-decorator]  # Celery has no types
def send_letter_jobs(*job_ids: str) -> None:
    """Writes letters, each to one reader."""
    here = runtime()
    perform_in_turn(
        Job.LETTER,
        job_ids,
        lambda claimed: read_letters(here, claimed),
        lambda job, read: send_letter(here, job, read),
        here.claimant,
    )


@general.task(name="letter.one_time_link")  # type: ignore[untyped-decorator]  # Celery has no types
def send_one_time_link_job(job_id: str) -> None:
    """Mails a link with which a person chooses a password."""
    here = runtime()
    perform(Job.ONE_TIME_LINK, job_id, lambda job: send_one_time_link(here, job), here.claimant)


def send_one_time_link(here: Runtime, job: ClaimedJob) -> None:
    """The link is made when the letter is written, and nothing keeps it afterwards but the letter."""
    assert job.ref is not None, "the letter is about a link"
    with reading(here.engine) as session:
        stored = deliveries.find_by_job(session, job.id)
        link = session.get(OneTimeLink, job.ref)
        person = people.get_person(session, link.person) if link is not None else None
    if link is None or person is None or link.ends_at <= wall_now() or link.used_at or person.disabled_at:
        with transaction(here.engine) as session:
            jobs.finish(session, job, wall_now(), "the link has ended")
        return
    to = Addressee(person.name, person.email, Channel.SIGNED)

    def build() -> Built:
        url = f"{here.desk.public_url}{one_time_links.PATH}/{one_time_links.write_token(here.engine, link.id)}"
        sender = facts.sender(here.desk)
        letter = letters.invitation(reader_of(person), url, link.ends_at, person.time_zone, sender, invited_by=link.invited_by)
        return mailing.in_clear(here, job, to, letter, ONE_TIME_LINK)

    mailing.send(here, job, stored, build, _forget_text)


def _forget_text(session: Session, delivery: Delivery, _now: datetime) -> None:
    """Whoever reads the database must not find a link that works."""
    deliveries.forget_text(session, delivery.id)


@dataclass(frozen=True)
class Ready:
    """A letter written from the facts as they are now, its reader, and the message of an earlier attempt."""

    to: Addressee
    letter: Letter
    stored: Delivery | None


class Folded(Enum):
    """A letter whose job is done already: a digest tells of it."""

    IN_A_DIGEST = "in a digest"


Outcome = Ready | Delivery | NotNeeded | Folded
"""What is to be done about a letter. A `Delivery` is a message that was marked: what became of it has to be known, also when it
would not be written today."""


@dataclass(frozen=True)
class Occasion:
    """What a letter is about: an application as it is now, what it asks for, who is in charge, and what happened."""

    application: Application
    content: ApplicationContent
    owner: Person
    event: EventRow


def read_letters(here: Runtime, claimed: Sequence[ClaimedJob]) -> dict[UUID, Outcome]:
    """Reads the facts as they are now and writes the letters; or says why one is no longer true. What would be too many for a
    reader is folded into a digest before that, and done with it."""
    folded = fold_floods(here, claimed)
    found: dict[UUID, Outcome] = dict.fromkeys(folded, Folded.IN_A_DIGEST)
    left = [job for job in claimed if job.id not in folded]
    if not left:
        return found
    with reading(here.engine) as session:
        stored = deliveries.by_jobs(session, [job.id for job in left])
        occasions = _occasions(session, left)
        readers = people.readers(session, {job.recipient for job in left if job.recipient})
        for job in left:
            assert job.recipient is not None, "a letter has a reader"
            message = stored.get(job.id)
            if mailing.is_marked(message):
                found[job.id] = message
                continue
            try:
                reader = readers[job.recipient]
                to = addressee(reader)
                letter = write(session, here.desk, LetterKind(job.detail), occasions[job.id], reader)
                found[job.id] = Ready(to, letter, message)
            except NotNeeded as reason:
                found[job.id] = reason
        return found


def _occasions(session: Session, claimed: Sequence[ClaimedJob]) -> dict[UUID, Occasion]:
    found = applications.with_current_revision(session, {job.ref for job in claimed if job.ref})
    owners = people.by_ids(session, {application.owner for application, _ in found.values()})
    told = events.by_ids(session, {job.event for job in claimed if job.event})
    occasions: dict[UUID, Occasion] = {}
    for job in claimed:
        assert job.ref is not None, "a letter belongs to an application"
        assert job.event is not None, "a letter is owed by an event"
        application, revision = found[job.ref]
        content = content_of_revision(revision)
        occasions[job.id] = Occasion(application, content, owners[application.owner], told[job.event])
    return occasions


def send_letter(here: Runtime, job: ClaimedJob, ready: Outcome) -> None:
    """Sends a letter that was read from the facts; one that is no longer true is skipped."""
    if isinstance(ready, Folded):
        return
    if isinstance(ready, Delivery):
        mailing.resume(here, job, ready)
        return
    if isinstance(ready, NotNeeded):
        with transaction(here.engine) as session:
            jobs.finish(session, job, wall_now(), str(ready))
        return

    def build() -> Built:
        built = mailing.in_clear(here, job, ready.to, ready.letter, job.detail)
        return replace(built, application=job.ref)

    mailing.send(here, job, ready.stored, build)


def write(session: Session, desk: Desk, kind: LetterKind, occasion: Occasion, to: Person | Recipient) -> Letter:
    """The letter of this kind about what happened to an application. Raises NotNeeded when it is no longer so."""
    application, content, event, reader = occasion.application, occasion.content, occasion.event, reader_of(to)
    said = facts.payload_of(event)
    by = delegations.signature(event.actor_name, said.get("acting_for") or "")
    sender = facts.sender(desk)
    about = facts.application_facts(desk, application, content, occasion.owner)
    match kind:
        case LetterKind.APPROVAL_REQUESTED:
            _require_open(application, said["revision"])
            require_decider(session, to)
            changes = facts.term_changes(session, desk, application, content)
            revised = facts.revision_changes(session, desk, application, content)
            return letters.approval_requested(
                reader, about, changes, content.request.note, sender, revision=application.revision, revised=revised
            )
        case LetterKind.APPROVAL_REMINDER:
            return letters.approval_reminder(reader, about, _awaited(session, desk, application, said["revision"], to), sender)
        case LetterKind.APPROVAL_ESCALATED:
            awaited, group = _awaited(session, desk, application, said["revision"], to), said["group"]
            asked = applications.requirements_of(session, application)
            rule = next((each.explanation for each in asked if (each.rule, each.group_name) == (said["rule"], group)), "")
            return letters.approval_escalated(reader, about, awaited, group, rule, sender)
        case LetterKind.APPROVED:
            return letters.approved(reader, about, delegations.voters(session, application), sender)
        case LetterKind.CHANGES_REQUESTED:
            return letters.changes_requested(reader, about, by, said["comment"], sender)
        case LetterKind.REJECTED:
            return letters.rejected(reader, about, by, said["comment"], sender)
        case LetterKind.WITHDRAWN:
            if not digests.was_asked(session, application.id, to.id) and not _has_voted(session, application, to):
                raise NotNeeded(f"{to.name} was not asked yet")
            return letters.withdrawn(reader, about, event.actor_name, said["comment"], sender)
        case LetterKind.DELIVERED:
            row = licenses.get_of_application(session, application.id)
            issued = facts.license_facts(desk, row, content)
            return letters.delivered(reader, about, issued, facts.deliveries_of(session, application), sender)
        case LetterKind.ACTIVATED:
            row = licenses.get_of_application(session, application.id)
            issued = facts.license_facts(desk, row, content)
            day = facts.first_reminder_day(desk, row)
            first = day if day > utc_now().date() else None
            return letters.activated(reader, about, issued, row.activated_at or event.at, first, sender)
        case LetterKind.NEEDS_ATTENTION:
            if not facts.stands(session, application, event):
                raise NotNeeded("it goes on already")
            return letters.needs_attention(reader, about, facts.trouble(event), sender)
        case LetterKind.NOT_ACTIVATED:
            row = licenses.get_of_application(session, application.id)
            if row.standing != Standing.ISSUED:
                raise NotNeeded(f"the license is {row.standing}")
            issued = facts.license_facts(desk, row, content)
            delivered_on = (row.delivered_at or row.issued_at).date()
            return letters.not_activated(reader, issued, delivered_on, said["days"], sender)
        case LetterKind.REVOKED:
            row = licenses.get_of_application(session, application.id)
            later = licenses.successor_of(session, row)
            issued = facts.license_facts(desk, row, content)
            return letters.revoked(
                reader,
                issued,
                said["reason"],
                later.version if later else None,
                facts.revocations_url(desk),
                sender,
                called_back_at=event.at if reminders.were_sent(session, row.license_id) else None,
            )


def _require_open(application: Application, revision: int) -> None:
    if application.status != Status.SUBMITTED.value or application.revision != revision:
        raise NotNeeded(f"the application is {application.status}, revision {application.revision}")


def _has_voted(session: Session, application: Application, to: Person | Recipient) -> bool:
    return any(each.person == to.id for each in applications.votes_on(session, application.id))


def _awaited(session: Session, desk: Desk, application: Application, revision: int, to: Person | Recipient) -> Awaited:
    """How the application stands that somebody is reminded of. Raises NotNeeded once they have decided."""
    assert isinstance(to, Person), "recipients decide nothing"
    _require_open(application, revision)
    require_decider(session, to)
    ballot = decisions.ballot_of(session, desk.policy, application)
    if ballot.has_voted(to.id):
        raise NotNeeded(f"{to.name} has decided")
    decision = ballot.decision(decisions.quorum_of(session, application, ballot.revision))
    return facts.awaited(ballot, decision, delegations.names_of_voters(session, decision), to.time_zone, utc_now())
