"""Letters that wait for one person, and the digest that they are folded into."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from workflow.db.jobs import OPEN
from workflow.db.tables import FoldedLetter, JobRow
from workflow.domain.digests import DigestKind, kinds_of
from workflow.domain.events import Job, JobState


def lock_waiting(session: Session, person: UUID, kind: DigestKind) -> Sequence[UUID]:
    """The letters of a kind to a person that nobody has claimed yet. They stay as they are until the transaction ends; one that
    somebody claims at this moment is not among them."""
    return session.exec(
        select(JobRow.id)
        .where(
            *_untouched(person),
            JobRow.kind == Job.LETTER.value,
            col(JobRow.detail).in_([each.value for each in kinds_of(kind)]),
        )
        .with_for_update(skip_locked=True)
    ).all()


def lock_digest(session: Session, person: UUID, kind: DigestKind) -> JobRow | None:
    """The digest of a kind to a person that nobody has claimed yet. It stays so until the transaction ends."""
    return session.exec(
        select(JobRow)
        .where(*_untouched(person), JobRow.kind == Job.DIGEST.value, JobRow.detail == kind.value)
        .with_for_update(skip_locked=True)
    ).first()


def add_lines(session: Session, digest: UUID, letters: Collection[UUID]) -> None:
    """The digest stands for these letters from now on."""
    session.add_all(FoldedLetter(job=each, digest=digest) for each in letters)


def lines_of(session: Session, digest: UUID) -> Sequence[JobRow]:
    """The letters that a digest stands for, in the order in which they were owed."""
    return session.exec(
        select(JobRow)
        .join(FoldedLetter, col(FoldedLetter.job) == col(JobRow.id))
        .where(FoldedLetter.digest == digest)
        .order_by(col(JobRow.id))
    ).all()


def _untouched(person: UUID) -> tuple[Any, ...]:
    """Conditions: owed to this person, and never claimed."""
    return OPEN, JobRow.recipient == person, JobRow.state == JobState.PENDING.value, JobRow.attempts == 0
