"""Customers, their environments, and the administrators who receive license files."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from workflow.certificates import read_certificate
from workflow.db import outbox
from workflow.db.queries import customers
from workflow.db.tables import Environment, Recipient, Tenant
from workflow.domain.events import SystemFact
from workflow.domain.roles import Actor, Permission, require
from workflow.domain.terms import EnvironmentName, is_time_zone
from workflow.errors import Conflict, Invalid, NotFound, Problem
from workflow.license_file import MalformedLicense, canonical, new_license_id
from workflow.openpgp_keys import read_openpgp_key
from workflow.services.accounts import normal_address


class TenantExists(Conflict):
    """The tenant id is taken."""

    code = "customers.tenant_exists"


class RecipientExists(Conflict):
    """The customer has a recipient with this address already."""

    code = "customers.recipient_exists"


class CustomerRefused(Invalid):
    """One or more answers about a customer cannot be used."""

    code = "customers.refused"


def add_tenant(session: Session, actor: Actor, *, tenant_id: str, company: str, time_zone: str, now: datetime) -> Tenant:
    """A new customer with its three environments. Raises CustomerRefused or TenantExists."""
    require(actor, Permission.EDIT_CUSTOMERS)
    problems: list[Problem] = []
    tenant_id, company = tenant_id.strip(), _one_line(company)
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
    outbox.record(session, SystemFact("environment.added", str(environment.id), environment.license_id), actor, now)
    return environment


def add_recipient(
    session: Session,
    actor: Actor,
    tenant: Tenant,
    *,
    name: str,
    address: str,
    certificate: bytes | None,
    authorities: Sequence[bytes],
    now: datetime,
    wall: datetime,
    openpgp_key: bytes | None = None,
) -> Recipient:
    """A new recipient of this customer's files. Raises CustomerRefused, CertificateRefused, OpenPGPKeyRefused or
    RecipientExists.

    With neither a certificate nor an OpenPGP key the recipient gets a link instead of the file.
    """
    require(actor, Permission.EDIT_CUSTOMERS)
    name = _one_line(name)
    if not name or len(name) > 200 or not name.isprintable():
        raise CustomerRefused(
            "The recipient was not added.",
            [Problem("name", "missing", "Enter the recipient's name in at most 200 characters.")],
        )
    address = normal_address(address, "address")
    known = customers.find_recipient(session, tenant.id, address)
    if known is not None and known.removed_at is None:
        raise RecipientExists(f"{address} receives files of this customer already.")
    recipient = known or Recipient(tenant=tenant.id, name=name, address=address, created_at=now)
    recipient.name, recipient.removed_at = name, None
    _put_certificate(recipient, certificate, authorities, wall)
    _put_openpgp_key(recipient, openpgp_key, wall)
    session.add(recipient)
    outbox.record(session, SystemFact("recipient.added", str(recipient.id), address), actor, now)
    return recipient


def change_certificate(
    session: Session,
    actor: Actor,
    recipient_id: UUID,
    certificate: bytes | None,
    *,
    authorities: Sequence[bytes],
    now: datetime,
    wall: datetime,
) -> Recipient:
    """Puts a certificate on file, or takes it off with None. Raises CertificateRefused."""
    require(actor, Permission.EDIT_CUSTOMERS)
    recipient = customers.get_recipient(session, recipient_id)
    _put_certificate(recipient, certificate, authorities, wall)
    outbox.record(
        session, SystemFact("recipient.certificate", str(recipient.id), recipient.fingerprint or "removed"), actor, now
    )
    return recipient


def change_openpgp_key(
    session: Session, actor: Actor, recipient_id: UUID, openpgp_key: bytes | None, *, now: datetime, wall: datetime
) -> Recipient:
    """Puts an OpenPGP key on file, or takes it off with None. Raises OpenPGPKeyRefused."""
    require(actor, Permission.EDIT_CUSTOMERS)
    recipient = customers.get_recipient(session, recipient_id)
    _put_openpgp_key(recipient, openpgp_key, wall)
    fingerprint = recipient.openpgp_fingerprint or "removed"
    outbox.record(session, SystemFact("recipient.openpgp_key", str(recipient.id), fingerprint), actor, now)
    return recipient


def remove_recipient(session: Session, actor: Actor, recipient_id: UUID, now: datetime) -> None:
    """Nothing is sent to this recipient any more; what was sent stays on record."""
    require(actor, Permission.EDIT_CUSTOMERS)
    recipient = customers.get_recipient(session, recipient_id)
    if recipient.removed_at is not None:
        raise NotFound("This recipient was removed already.")
    recipient.removed_at = now
    outbox.record(session, SystemFact("recipient.removed", str(recipient.id), recipient.address), actor, now)


def _one_line(name: str) -> str:
    """A name as it is kept: blanks collapsed, and composed characters, since two spellings of one name look alike."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def _fits_a_license(text: str) -> bool:
    try:
        canonical(text)
    except MalformedLicense:
        return False
    return True


def _put_certificate(recipient: Recipient, certificate: bytes | None, authorities: Sequence[bytes], wall: datetime) -> None:
    if not certificate:
        recipient.certificate = recipient.fingerprint = recipient.certificate_ends_at = None
        return
    read = read_certificate(certificate, recipient.address, wall, authorities=authorities)
    recipient.certificate = read.pem.decode()
    recipient.fingerprint = read.fingerprint
    recipient.certificate_ends_at = read.not_after


def _put_openpgp_key(recipient: Recipient, openpgp_key: bytes | None, wall: datetime) -> None:
    if not openpgp_key:
        recipient.openpgp_key = recipient.openpgp_fingerprint = recipient.openpgp_ends_at = None
        return
    read = read_openpgp_key(openpgp_key, recipient.address, wall)
    recipient.openpgp_key = read.armored
    recipient.openpgp_fingerprint = read.fingerprint
    recipient.openpgp_ends_at = read.not_after
