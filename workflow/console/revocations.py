"""The revocation list that this installation holds: what the newest trust root still vouches for, and nothing older."""

from datetime import datetime

from sqlmodel import Session

from workflow.console.store import StoredRevocations
from workflow.license_file import RevocationList, TrustRoot, UntrustedRevocations, newest_list, verify_revocations


def held(session: Session, trust: TrustRoot, at: datetime) -> RevocationList | None:
    """The list that counts; None when there is none, or when its signer was dropped (and with it the sequence)."""
    row = session.get(StoredRevocations, 1)
    if row is None:
        return None
    try:
        return verify_revocations(row.raw, trust, at)
    except UntrustedRevocations:
        return None


def keep(session: Session, offered: RevocationList, trust: TrustRoot, now: datetime) -> bool:
    """Keeps a verified list in place of the one before. False when it is the one that is held already.

    Raises UntrustedRevocations for a lower sequence, and for the same sequence with another content.
    """
    before = held(session, trust, now)
    if newest_list(before, offered) is before:
        return False
    row = session.get(StoredRevocations, 1) or StoredRevocations(raw=b"", sequence=0, payload_sha256="", created_at=now)
    row.raw, row.sequence, row.payload_sha256 = offered.raw, offered.sequence, offered.payload_sha256
    row.created_at = now
    session.add(row)
    session.flush()  # what is in force is looked at again right away
    return True
