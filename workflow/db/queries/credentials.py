"""What people prove who they are with: second factors, recovery codes, one-time links, sessions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, delete, func, update
from sqlmodel import Session, col, select

from workflow.db.tables import ApiToken, OneTimeLink, RecoveryCode, SecondFactor, SignedIn


def take_step(session: Session, person: UUID, step: int) -> bool:
    """Notes that the code of this step was used; False when it, or a later one, was used already. One statement: of two
    requests with one code only the first gets it."""
    unused = (col(SecondFactor.person) == person, col(SecondFactor.last_step) < step)
    return _changed(session, update(SecondFactor).where(*unused).values(last_step=step))


def take_recovery_code(session: Session, person: UUID, code_hash: str, wall: datetime) -> bool:
    """Uses a recovery code up; False when there is none such, or it was used already."""
    return _changed(
        session,
        update(RecoveryCode)
        .where(
            col(RecoveryCode.person) == person, col(RecoveryCode.code_hash) == code_hash, col(RecoveryCode.used_at).is_(None)
        )
        .values(used_at=wall),
    )


def count_recovery_codes(session: Session, person: UUID) -> int:
    """How many recovery codes a person has left."""
    return session.exec(
        select(func.count()).select_from(RecoveryCode).where(RecoveryCode.person == person, col(RecoveryCode.used_at).is_(None))
    ).one()


def forget_recovery_codes(session: Session, person: UUID) -> None:
    """Takes all recovery codes of a person away."""
    session.execute(delete(RecoveryCode).where(col(RecoveryCode.person) == person))


def find_link(session: Session, token_hash: str) -> OneTimeLink | None:
    """The one-time link with this token."""
    return session.exec(select(OneTimeLink).where(OneTimeLink.token_hash == token_hash)).one_or_none()


def take_link(session: Session, link: UUID, wall: datetime) -> bool:
    """Uses a link up; False when it was used already, or has ended."""
    return _changed(
        session,
        update(OneTimeLink)
        .where(col(OneTimeLink.id) == link, col(OneTimeLink.used_at).is_(None), col(OneTimeLink.ends_at) > wall)
        .values(used_at=wall),
    )


def end_links(session: Session, person: UUID, wall: datetime) -> None:
    """No link that a person was sent works any more."""
    session.execute(
        update(OneTimeLink)
        .where(col(OneTimeLink.person) == person, col(OneTimeLink.used_at).is_(None), col(OneTimeLink.ends_at) > wall)
        .values(ends_at=wall)
        .execution_options(synchronize_session="fetch")
    )


def sessions_of(session: Session, person: UUID, wall: datetime) -> Sequence[SignedIn]:
    """A person's sessions that have not ended, last used first."""
    return session.exec(
        select(SignedIn)
        .where(SignedIn.person == person, col(SignedIn.ends_at) > wall, col(SignedIn.waits_for_code).is_(False))
        .order_by(col(SignedIn.seen_at).desc())
    ).all()


def end_sessions(session: Session, person: UUID, *, but: str = "") -> None:
    """Ends all sessions of a person, except the one with the token hash `but`."""
    session.execute(delete(SignedIn).where(col(SignedIn.person) == person, col(SignedIn.token_hash) != but))


def end_tokens(session: Session, person: UUID, wall: datetime) -> None:
    """Revokes all API tokens of a person."""
    session.execute(
        update(ApiToken)
        .where(col(ApiToken.person) == person, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=wall)
        .execution_options(synchronize_session="fetch")
    )


def _changed(session: Session, statement: Any) -> bool:
    result = session.execute(statement.execution_options(synchronize_session="fetch"))
    return cast(CursorResult[Any], result).rowcount == 1
