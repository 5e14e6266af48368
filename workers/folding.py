"""Folding many letters to one person into one: what is more than a person should get in a short time becomes a digest.

One transaction ends the letters' jobs and owes the digest that tells of them, so none is lost and none is told twice.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

from sqlmodel import Session

from workers.runtime import Runtime
from workflow.database import transaction
from workflow.db import jobs, outbox
from workflow.db.jobs import ClaimedJob
from workflow.db.queries import deliveries, digests, throttle
from workflow.db.tables import Throttle
from workflow.domain.digests import FOLDED, SINGLES, WINDOW, DigestKind, due_at
from workflow.domain.events import Job, LetterKind
from workflow.mail.messages import Mailbox, message_id_for
from workflow.times import wall_now


def fold_floods(here: Runtime, claimed: Sequence[ClaimedJob]) -> frozenset[UUID]:
    """Folds those of the claimed letters that would be too many for their reader, and all others that wait for the same reader.
    Returns which of the claimed ones need nothing more. One whose message is on its way already goes by itself.
    """
    foldable = [job for job in claimed if LetterKind(job.detail) in FOLDED]
    if not foldable:
        return frozenset()
    domain = Mailbox(here.settings.mail_sender).domain
    folded: set[UUID] = set()
    with transaction(here.engine) as session:
        # Of first attempts too: a job that an operator retries counts its attempts anew, and its message may have arrived.
        on_its_way = deliveries.by_jobs(session, [job.id for job in foldable])
        fresh = [job for job in foldable if job.id not in on_its_way]
        # In the order of their keys: two workers that look after the same readers wait for each other, and never both.
        for (_, person, kind), group in groupby(sorted(fresh, key=_key), key=_group):
            folded |= _fold(session, person, kind, list(group), domain, wall_now())
    return frozenset(folded)


def _key(job: ClaimedJob) -> tuple[str, UUID]:
    return _window_of(job), job.id


def _group(job: ClaimedJob) -> tuple[str, UUID, DigestKind]:
    assert job.recipient is not None, "a letter has a reader"
    return _window_of(job), job.recipient, FOLDED[LetterKind(job.detail)]


def _window_of(job: ClaimedJob) -> str:
    return f"letters:{FOLDED[LetterKind(job.detail)]}:{job.recipient}"


def _fold(
    session: Session, person: UUID, kind: DigestKind, mine: Sequence[ClaimedJob], domain: str, wall: datetime
) -> set[UUID]:
    key = _window_of(mine[0])
    sent = throttle.count(session, key, WINDOW, wall) - 1
    window = session.get(Throttle, key)
    assert window is not None, "it was counted in just now"
    waiting = digests.lock_waiting(session, person, kind)
    due = due_at(sent, window.window_ends_at, len(mine) + len(waiting), wall)
    if due is None:
        window.count = sent + len(mine)
        return set()
    digest, message_id = _digest(session, person, kind, mine[0], due, window, domain)
    note = f"told of in the digest {message_id}"
    for job in mine:
        jobs.finish(session, job, wall, note)
    jobs.fold(session, waiting, wall, note)
    digests.add_lines(session, digest, [*(job.id for job in mine), *waiting])
    return {job.id for job in mine}


def _digest(
    session: Session, person: UUID, kind: DigestKind, first: ClaimedJob, due: datetime, window: Throttle, domain: str
) -> tuple[UUID, str]:
    """The digest that waits to be sent, or a new one: its job, and the Message-ID it will have."""
    window.count = SINGLES + 1
    pending = digests.lock_digest(session, person, kind)
    if pending is not None:
        return pending.id, message_id_for(pending.dedupe_key, domain)
    window.window_ends_at = due + WINDOW
    key = f"{Job.DIGEST.value}:{kind}:{first.id}"
    values = outbox.job_values(Job.DIGEST, key, ref=None, recipient=person, detail=kind.value)
    # It is owed from then on: until it is due it is not late.
    outbox.add_jobs(session, [values | {"next_at": due, "created_at": due}])
    return values["id"], message_id_for(key, domain)
