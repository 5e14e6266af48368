"""What is to happen when nobody decides in time."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from workflow.db.tables import EscalationRow


def due(session: Session, now: datetime, limit: int) -> Sequence[EscalationRow]:
    """Steps whose time has come and that nobody has taken, the oldest first. Another scan waits until this one is done."""
    return session.exec(
        select(EscalationRow)
        .where(col(EscalationRow.at) <= now, col(EscalationRow.taken_at).is_(None))
        .order_by(col(EscalationRow.at), col(EscalationRow.id))
        .limit(limit)
        .with_for_update()
    ).all()
