"""What operators have to see coming: keys that end, and messages that did not arrive or may not have."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from workflow.db.tables import Delivery, Recipient, Tenant
from workflow.domain.delivery import DeliveryState


def keys_ending(session: Session, before: datetime, limit: int = 50) -> Sequence[tuple[Recipient, Tenant]]:
    """Recipients whose key ends before an instant or has ended, soonest first."""
    return session.exec(
        select(Recipient, Tenant)
        .join(Tenant, col(Tenant.id) == col(Recipient.tenant))
        .where(col(Recipient.removed_at).is_(None), col(Recipient.key_ends_at) <= before)
        .order_by(col(Recipient.key_ends_at), col(Recipient.id))
        .limit(limit)
    ).all()


def troubled_mail(session: Session, since: datetime, limit: int = 20) -> Sequence[Delivery]:
    """Messages of which nobody knows whether they arrived, however old, and those refused or given back since an instant."""
    doubtful = session.exec(
        select(Delivery)
        .where(Delivery.state == DeliveryState.IN_DOUBT)
        .order_by(col(Delivery.created_at).desc(), col(Delivery.id).desc())
        .limit(limit)
    ).all()
    refused = session.exec(
        select(Delivery)
        .where(col(Delivery.state).in_((DeliveryState.REFUSED, DeliveryState.BOUNCED)), col(Delivery.created_at) >= since)
        .order_by(col(Delivery.created_at).desc(), col(Delivery.id).desc())
        .limit(limit)
    ).all()
    return [*doubtful, *refused]
