"""Customers and their environments."""

import unicodedata
from datetime import datetime

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import customers, words
from workflow.db.tables import Environment, Tenant
from workflow.domain.events import SystemFact
from workflow.domain.roles import Actor, Permission, require
from workflow.domain.terms import EnvironmentName, is_time_zone
from workflow.errors import Conflict, Invalid, Problem
from workflow.license_file import MalformedLicense, canonical, new_license_id


class TenantExists(Conflict):
    """The tenant id is taken."""

    code = "customers.tenant_exists"


class CustomerRefused(Invalid):
    """One or more answers about a customer cannot be used."""

    code = "customers.refused"


def add_tenant(session: Session, actor: Actor, *, tenant_id: str, company: str, time_zone: str, now: datetime) -> Tenant:
    """A new customer with its three environments. Raises CustomerRefused or TenantExists."""
    require(actor, Permission.EDIT_CUSTOMERS)
    problems: list[Problem] = []
    tenant_id, company = tenant_id.strip(), one_line(company)
    if not tenant_id or len(tenant_id) > 64 or not all(c.isascii() and (c.isalnum() or c in "-._") for c in tenant_id):
        problems.append(
            Problem("tenant_id", "malformed", "Use letters, digits, - . and _ for the tenant ID, for example T-20817.")
        )
    if not company or len(company) > 200:
        problems.append(Problem("company", "missing", "Enter the company's name in at most 200 characters."))
    elif not _fits_a_license(company):
        problems.append(Problem("company", "invisible_character", "Remove the invisible characters from the company's name."))
    if not is_time_zone(time_zone):
        problems.append(Problem("time_zone", "unknown", "Use a time zone name such as Asia/Shanghai."))
    if problems:
        raise CustomerRefused("The customer was not added.", problems)
    if customers.find_tenant(session, tenant_id) is not None:
        raise TenantExists(f"There is a customer with the tenant ID {tenant_id} already. Use that one.")
    tenant = Tenant(tenant_id=tenant_id, company=company, time_zone=time_zone, created_at=now)
    session.add(tenant)
    session.flush()  # the environments refer to it
    words.add(session, tenant.id, words.ends_of(company, tenant_id))
    outbox.record(session, SystemFact("customer.added", str(tenant.id), f"{tenant_id} {company}"), actor, now)
    for name in EnvironmentName:
        add_environment(session, actor, tenant, name, "", now)
    return tenant


def add_environment(
    session: Session, actor: Actor, tenant: Tenant, name: EnvironmentName, label: str, now: datetime
) -> Environment:
    """The customer's environment of this name and label, made with a fresh License ID when it is new."""
    require(actor, Permission.EDIT_CUSTOMERS)
    label = label.strip()
    if len(label) > 40:
        raise CustomerRefused("The label is too long.", [Problem("label", "too_long", "Use at most 40 characters.")])
    found = customers.find_environment(session, tenant.id, name.value, label)
    if found is not None:
        return found
    environment = Environment(
        tenant=tenant.id, name=name.value, label=label, license_id=new_license_id(name.value), created_at=now
    )
    session.add(environment)
    session.flush()  # its id is used right away
    words.add(session, tenant.id, {*words.ends_of(label), *words.asked(environment.license_id).words})
    outbox.record(session, SystemFact("environment.added", str(environment.id), environment.license_id), actor, now)
    return environment


def one_line(name: str) -> str:
    """A name as it is kept: blanks collapsed, and composed characters, since two spellings of one name look alike."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def _fits_a_license(text: str) -> bool:
    try:
        canonical(text)
    except MalformedLicense:
        return False
    return True
