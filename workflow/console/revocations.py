"""The revocation list that this installation holds: what the newest trust root still vouches for, and nothing older."""

from datetime import datetime

from sqlmodel import Session

from workflow.console import store
from workflow.console.identity import Console
from workflow.console.store import StoredRevocations
from workflow.database import transaction
from workflow.errors import Conflict
from workflow.license_file import RevocationList, TrustRoot, UntrustedRevocations, newest_list, verify_revocations


class ListRefused(Conflict):
    """Not a revocation list of this platform's issuer, or an older one than the one in use."""

    code = "console.revocations_refused"
    title = "This revocation list can't be used"


def held(session: Session, trust: TrustRoot, at: datetime) -> RevocationList | None:
    """The list that counts; None when there is none, or when its signer was dropped (and with it the sequence)."""
    row = session.get(StoredRevocations, 1)
    if row is None:
        return None
    try:
        return verify_revocations(row.raw, trust, at)
    except UntrustedRevocations:
        return None


def take_in(console: Console, raw: bytes, now: datetime) -> bool:
    """Takes a `.lrl` file in, which counts at once. False when it is the list that is in use already.

    `now` is the effective time. Raises ListRefused; the list in use stays then.
    """
    with transaction(console.engine) as session:
        trust = console.trust(session)
        try:
            is_new = keep(session, verify_revocations(raw, trust, now), trust, now)
        except UntrustedRevocations as refused:
            raise ListRefused(str(refused)) from refused
        if is_new:
            store.next_generation(session, now)
        return is_new


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
