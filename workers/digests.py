"""Digests: one letter that lists what many would have told, as far as it is still so when it is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, assert_never
from uuid import UUID

from sqlmodel import Session

from workers import facts, mailing
from workers.addressees import NotNeeded, addressee, reader_of, require_decider
from workers.app import general
from workers.claims import perform
from workers.runtime import Runtime, runtime
from workflow.database import reading, transaction
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob
from workflow.db.queries import applications, deliveries, digests, events, people
from workflow.db.tables import Application, EventRow, JobRow, Person, Recipient
from workflow.domain.application import Status
from workflow.domain.digests import DigestKind
from workflow.domain.events import Job
from workflow.mail import letters
from workflow.mail.letters import ApplicationFacts, TroubledApplication, WaitingApplication
from workflow.mail.messages import Letter
from workflow.services import decisions, delegations
from workflow.services.applications import content_of_revision
from workflow.services.desk import Desk
from workflow.times import utc_now, wall_now

Line = TypeVar("Line")
MOST_LINES = 100
"""A longer letter is cut off by mailboxes, which promise to show 100 KB."""


@general.task(name="letter.digest")  # type: ignore[untyped-decorator]  # Celery has no types
def send_digest_job(job_id: str) -> None:
    """Sends one person one letter instead of many."""
    here = runtime()
    perform(Job.DIGEST, job_id, lambda job: send_digest(here, job), here.claimant)


def send_digest(here: Runtime, job: ClaimedJob) -> None:
    """Lists what still waits now; with nothing left there is no letter."""
    assert job.recipient is not None, "a digest has a reader"
    kind = DigestKind(job.detail)
    with reading(here.engine) as session:
        stored = deliveries.find_by_job(session, job.id)
    if mailing.is_marked(stored):
        mailing.resume(here, job, stored)
        return
    try:
        with reading(here.engine) as session:
            reader = people.readers(session, [job.recipient])[job.recipient]
            to = addressee(reader)
            letter = write(session, here.desk, kind, _told(session, here.desk, job.id), reader)
    except NotNeeded as reason:
        with transaction(here.engine) as session:
            jobs.finish(session, job, wall_now(), str(reason))
        return
    mailing.send(here, job, stored, lambda: mailing.in_clear(here, job, to, letter, f"digest_{kind}"))


@dataclass(frozen=True)
class Told:
    """One letter of a digest: the application as it is now, and the event that owed the letter."""

    application: Application
    about: ApplicationFacts
    event: EventRow


def write(session: Session, desk: Desk, kind: DigestKind, told: Sequence[Told], reader: Person | Recipient) -> Letter:
    """The digest of what still waits. Raises NotNeeded when nothing does."""
    assert isinstance(reader, Person), "recipients decide nothing and look after nothing"
    lines: Sequence[WaitingApplication] | Sequence[TroubledApplication]
    match kind:
        case DigestKind.DECISIONS:
            require_decider(session, reader)
            lines = _waiting(session, desk, told, reader)
            _require_some(lines)
            return letters.digest_decisions(reader_of(reader), *_shown(lines), facts.sender(desk))
        case DigestKind.TROUBLES:
            lines = [
                TroubledApplication(each.about, facts.trouble(each.event))
                for each in told
                if facts.stands(session, each.application, each.event)
            ]
            _require_some(lines)
            return letters.digest_troubles(reader_of(reader), *_shown(lines), facts.sender(desk))
        case _:
            assert_never(kind)


def _require_some(lines: Sequence[object]) -> None:
    if not lines:
        raise NotNeeded("nothing of it waits any more")


def _shown(lines: Sequence[Line]) -> tuple[tuple[Line, ...], int]:
    return tuple(lines[:MOST_LINES]), max(0, len(lines) - MOST_LINES)


def _told(session: Session, desk: Desk, digest: UUID) -> list[Told]:
    rows: Sequence[JobRow] = digests.lines_of(session, digest)
    found = applications.with_current_revision(session, {row.ref for row in rows if row.ref})
    owners = people.by_ids(session, {application.owner for application, _ in found.values()})
    happened = events.by_ids(session, {row.event for row in rows if row.event})
    told = []
    for row in rows:
        assert row.ref is not None, "a letter belongs to an application"
        assert row.event is not None, "a letter is owed by an event"
        application, revision = found[row.ref]
        about = facts.application_facts(desk, application, content_of_revision(revision), owners[application.owner])
        told.append(Told(application, about, happened[row.event]))
    return told


def _waiting(session: Session, desk: Desk, told: Sequence[Told], reader: Person) -> list[WaitingApplication]:
    """What waits for the reader, each application once, longest waiting first. A later revision has letters of its own."""
    open_ones = {
        each.application.id: each
        for each in told
        if each.application.status == Status.SUBMITTED.value and each.application.revision == each.event.revision
    }
    revisions = applications.revisions_of_all(session, open_ones)
    ballot_of = decisions.ballots_of(session, desk.policy, revisions, applications.votes_on_all(session, open_ones))
    requirements = applications.grouped(applications.requirements_of_all(session, open_ones))
    lines = []
    for each in open_ones.values():
        ballot = ballot_of(each.application)
        if ballot.has_voted(reader.id):
            continue
        asked = [row for row in requirements.get(each.application.id, []) if row.revision == ballot.revision.number]
        decision = ballot.decision(decisions.quorum_from(asked, ballot.revision))
        names = delegations.names_of_voters(session, decision)
        lines.append(WaitingApplication(each.about, facts.awaited(ballot, decision, names, reader.time_zone, utc_now())))
    return sorted(lines, key=lambda line: (line.awaited.since, line.application.number))
