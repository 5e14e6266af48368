"""Licenses that were called back, and the lists that say so to the platforms."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from workflow.db.tables import IssuedLicense, Revocation, RevocationListRow


def lock_revocation(session: Session, issued: IssuedLicense) -> Revocation | None:
    """What was asked about a license, kept as it is until the commit."""
    return session.get(Revocation, issued.id, with_for_update=True, populate_existing=True)


def find_revocation(session: Session, issued: IssuedLicense) -> Revocation | None:
    """What was asked about a license."""
    return session.get(Revocation, issued.id)


def confirmed(session: Session) -> Sequence[tuple[Revocation, IssuedLicense]]:
    """Everything that is called back, in the order of License ID and version."""
    found = session.exec(
        select(Revocation, IssuedLicense)
        .join(IssuedLicense, col(IssuedLicense.id) == col(Revocation.license))
        .where(col(Revocation.confirmed_at).is_not(None))
    )
    # Sorted here: asked for in this order, SQLite walks through all licenses in it.
    return sorted(found, key=lambda each: (each[1].license_id, each[1].version))


def waiting(session: Session) -> Sequence[tuple[Revocation, IssuedLicense]]:
    """What another operator still has to confirm, oldest first."""
    return session.exec(
        select(Revocation, IssuedLicense)
        .join(IssuedLicense, col(IssuedLicense.id) == col(Revocation.license))
        .where(col(Revocation.confirmed_at).is_(None))
        .order_by(col(Revocation.asked_at))
    ).all()


def newest_list(session: Session) -> RevocationListRow | None:
    """The published list with the highest number."""
    return session.exec(select(RevocationListRow).order_by(col(RevocationListRow.sequence).desc()).limit(1)).first()
