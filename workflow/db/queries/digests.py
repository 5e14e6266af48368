"""Letters that wait for one person, and the digest that they are folded into."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, exists, select

from workflow.db.jobs import OPEN
from workflow.db.tables import Delivery, FoldedLetter, JobRow
from workflow.domain.delivery import DeliveryState
from workflow.domain.digests import DigestKind, kinds_of
from workflow.domain.events import ASKING, Job, JobState

_HANDED_OVER = (DeliveryState.SENDING, DeliveryState.IN_DOUBT, DeliveryState.ACCEPTED)


def lock_waiting(session: Session, person: UUID, kind: DigestKind) -> Sequence[UUID]:
    """The letters of a kind to a person that nobody has claimed yet and that have no message. They stay as they are until the
    transaction ends; one that somebody claims at this moment is not among them."""
    return session.exec(
        select(JobRow.id)
        .where(
            *_untouched(person),
            JobRow.kind == Job.LETTER.value,
            col(JobRow.detail).in_([each.value for each in kinds_of(kind)]),
            ~exists().where(col(Delivery.job) == col(JobRow.id)),
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


def was_asked(session: Session, application: UUID, person: UUID) -> bool:
    """Whether a message that asks the person to decide on the application was handed to a mail server, or may have been: a
    letter of its own, or a digest that stands for it."""
    found = session.exec(
        select(Delivery.id)
        .select_from(JobRow)
        .join(FoldedLetter, col(FoldedLetter.job) == col(JobRow.id), isouter=True)
        .join(Delivery, col(Delivery.job) == func.coalesce(col(FoldedLetter.digest), col(JobRow.id)))
        .where(
            JobRow.ref == application,
            JobRow.recipient == person,
            JobRow.kind == Job.LETTER.value,
            col(JobRow.detail).in_([kind.value for kind in ASKING]),
            col(Delivery.state).in_([each.value for each in _HANDED_OVER]),
        )
    )
    return found.first() is not None


def _untouched(person: UUID) -> tuple[Any, ...]:
    """Conditions: owed to this person, and never claimed."""
    return OPEN, JobRow.recipient == person, JobRow.state == JobState.PENDING.value, JobRow.attempts == 0
