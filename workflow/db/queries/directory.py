"""Customers as people look for them: by a part of the name or the tenant id, page by page."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import or_, tuple_
from sqlmodel import Session, col, select

from workflow.db.tables import Tenant


def search_tenants(
    session: Session, *, search: str = "", after: tuple[str, UUID] | None = None, limit: int = 25
) -> Sequence[Tenant]:
    """Customers by company, from the one after `after` on; one more than asked for when there are more."""
    query = select(Tenant).order_by(Tenant.company, col(Tenant.id)).limit(limit + 1)
    if search:
        query = query.where(
            or_(
                col(Tenant.company).icontains(search, autoescape=True),
                col(Tenant.tenant_id).icontains(search, autoescape=True),
            )
        )
    if after is not None:
        query = query.where(tuple_(col(Tenant.company), col(Tenant.id)) > after)
    return session.exec(query).all()
