"""Customers, their environments and recipients."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from workflow.db.tables import Environment, Recipient, Tenant
from workflow.domain.terms import EnvironmentName
from workflow.errors import NotFound


def find_tenant(session: Session, tenant_id: str) -> Tenant | None:
    """The customer with this tenant id."""
    return session.exec(select(Tenant).where(Tenant.tenant_id == tenant_id)).one_or_none()


def get_tenant(session: Session, tenant_id: str) -> Tenant:
    """The customer with this tenant id. Raises NotFound."""
    found = find_tenant(session, tenant_id)
    if found is None:
        raise NotFound(f"There is no customer with the tenant ID {tenant_id}.")
    return found


def get_tenant_by_id(session: Session, tenant: UUID) -> Tenant:
    """The customer with this id. Raises NotFound."""
    found = session.get(Tenant, tenant)
    if found is None:
        raise NotFound("There is no such customer.")
    return found


def environments_of(session: Session, tenant: UUID) -> Sequence[Environment]:
    """A customer's environments: DEV, UAT, PROD, then by label."""
    found = session.exec(select(Environment).where(Environment.tenant == tenant)).all()
    return sorted(found, key=place_of)


def place_of(environment: Environment) -> tuple[int, str]:
    """The sort key of a customer's environments: DEV, UAT, PROD, then by label."""
    return list(EnvironmentName).index(EnvironmentName(environment.name)), environment.label


def find_environment(session: Session, tenant: UUID, name: str, label: str) -> Environment | None:
    """A customer's environment by name and label."""
    return session.exec(
        select(Environment).where(Environment.tenant == tenant, Environment.name == name, Environment.label == label)
    ).one_or_none()


def environment_with_tenant(session: Session, environment: UUID) -> tuple[Environment, Tenant]:
    """An environment and its customer."""
    return session.exec(
        select(Environment, Tenant).join(Tenant, col(Tenant.id) == col(Environment.tenant)).where(Environment.id == environment)
    ).one()


def environments_with_tenants(session: Session, wanted: Collection[UUID]) -> dict[UUID, tuple[Environment, Tenant]]:
    """Environments by their ids, each with its customer."""
    rows = session.exec(
        select(Environment, Tenant)
        .join(Tenant, col(Tenant.id) == col(Environment.tenant))
        .where(col(Environment.id).in_(wanted))
    )
    return {environment.id: (environment, tenant) for environment, tenant in rows}


def recipients_of_tenant(session: Session, tenant: UUID) -> Sequence[Recipient]:
    """Everybody a license of this customer can be sent to, by name."""
    return session.exec(
        select(Recipient).where(Recipient.tenant == tenant, col(Recipient.removed_at).is_(None)).order_by(Recipient.name)
    ).all()


def find_recipient(session: Session, tenant: UUID, address: str) -> Recipient | None:
    """A customer's recipient by address, removed ones included."""
    return session.exec(select(Recipient).where(Recipient.tenant == tenant, Recipient.address == address)).one_or_none()


def get_recipient(session: Session, recipient: UUID, *, locked: bool = False) -> Recipient:
    """The recipient with this id; `locked` as it is now, and kept so until the commit. Raises NotFound."""
    found = session.get(Recipient, recipient, with_for_update=locked or None, populate_existing=locked)
    if found is None:
        raise NotFound("There is no such recipient.")
    return found


def keep_recipient(session: Session, recipient: UUID) -> Recipient:
    """The recipient as it is now, whom nobody changes until the commit; any number may look meanwhile. Raises NotFound."""
    found = session.get(Recipient, recipient, with_for_update={"read": True}, populate_existing=True)
    if found is None:
        raise NotFound("There is no such recipient.")
    return found
