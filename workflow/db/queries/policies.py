"""The policies that applications were submitted under."""

from datetime import datetime

from sqlmodel import Session, col

from workflow.db.tables import PolicyRow
from workflow.db.upsert import insert_into


def keep(session: Session, sha256: str, document: str, now: datetime) -> bool:
    """Keeps a policy's canonical text under its digest. Returns whether it was new."""
    added = session.connection().execute(
        insert_into(session, PolicyRow)
        .values(sha256=sha256, document=document, adopted_at=now)
        .on_conflict_do_nothing(index_elements=["sha256"])
        .returning(col(PolicyRow.sha256))
    )
    return added.first() is not None


def find(session: Session, sha256: str) -> PolicyRow | None:
    """The policy with this digest."""
    return session.get(PolicyRow, sha256)
