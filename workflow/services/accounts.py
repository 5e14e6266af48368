"""People: who they are, what they may do, and when they leave. How they sign in is in `sessions`, programs in `tokens`."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import delete
from sqlmodel import Session, col

from workflow.db import outbox
from workflow.db.queries import people
from workflow.db.tables import Person, RoleGrant, SignedIn
from workflow.domain.events import SystemFact
from workflow.domain.roles import Actor, Permission, Role, require
from workflow.domain.terms import is_time_zone
from workflow.errors import Conflict, Invalid, Problem
from workflow.services.secrets import hash_password

SHORTEST_PASSWORD = 12


class AddressTaken(Conflict):
    """Somebody has this e-mail address already."""

    code = "accounts.address_taken"


class PasswordTooShort(Invalid):
    """A password of fewer characters than asked for."""

    code = "accounts.password_too_short"


class ZoneUnknown(Invalid):
    """Not a name of the time zone database."""

    code = "preferences.zone_unknown"


def add_person(
    session: Session,
    actor: Actor,
    *,
    email: str,
    name: str,
    roles: Iterable[Role],
    password: str | None,
    now: datetime,
    tenant: UUID | None = None,
    time_zone: str = "UTC",
) -> Person:
    """A new person with these roles. Raises Invalid for an address no mail can have, AddressTaken, PasswordTooShort,
    ZoneUnknown."""
    address = normal_address(email, "email")
    if people.find_person_by_email(session, address) is not None:
        raise AddressTaken(f"{address} belongs to somebody already. Use another address.")
    if password is not None:
        _require_length(password)
    require_time_zone(time_zone)
    person = Person(
        email=address,
        name=name,
        password_hash=hash_password(password) if password is not None else None,
        tenant=tenant,
        time_zone=time_zone,
        created_at=now,
    )
    session.add(person)
    session.flush()  # the grants refer to it
    for role in roles:
        session.add(RoleGrant(person=person.id, role=role.value, granted_at=now))
        outbox.record(session, SystemFact("role.granted", str(person.id), role.value), actor, now)
    return person


def grant_role(session: Session, actor: Actor, person_id: UUID, role: Role, now: datetime) -> None:
    """Gives a person a role from now on; one they hold already is fine."""
    require(actor, Permission.OPERATE)
    person = people.get_person(session, person_id)
    if people.find_grant(session, person.id, role) is None:
        session.add(RoleGrant(person=person.id, role=role.value, granted_at=now))
        outbox.record(session, SystemFact("role.granted", str(person.id), role.value), actor, now)


def revoke_role(session: Session, actor: Actor, person_id: UUID, role: Role, now: datetime) -> None:
    """Takes a role away from now on; what was decided while it was held stands. One not held is fine."""
    require(actor, Permission.OPERATE)
    grant = people.find_grant(session, people.get_person(session, person_id).id, role)
    if grant is not None:
        grant.revoked_at = now
        outbox.record(session, SystemFact("role.revoked", str(person_id), role.value), actor, now)


def require_time_zone(name: str) -> None:
    """Raises ZoneUnknown unless pages can show times in this zone."""
    if not is_time_zone(name):
        message = "Use a time zone name such as Asia/Shanghai or Europe/Berlin."
        raise ZoneUnknown(message, [Problem("time_zone", "unknown", message)])


def normal_address(address: str, field: str) -> str:
    """The address in lower case, if mail can have such an address. Raises Invalid with a problem for `field`."""
    try:
        checked = validate_email(address.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        message = f"Write an e-mail address like name@company.example. {error}"
        raise Invalid(message, [Problem(field, "not_an_address", message)]) from error
    return checked.normalized.lower()


def actor_of(session: Session, person: Person, now: datetime, channel: str = "web") -> Actor:
    """The person as an actor with the roles held now."""
    return Actor(
        name=person.name,
        person_id=person.id,
        roles=people.roles_of(session, person.id, now),
        tenant=person.tenant,
        channel=channel,
    )


def set_password(session: Session, actor: Actor, person_id: UUID, password: str, now: datetime) -> None:
    """A new password for somebody, whose sessions end with the old one. API tokens stay. Raises PasswordTooShort."""
    require(actor, Permission.OPERATE)
    _require_length(password)
    person = people.get_person(session, person_id)
    person.password_hash = hash_password(password)
    session.execute(delete(SignedIn).where(col(SignedIn.person) == person.id))
    outbox.record(session, SystemFact("person.password_set", str(person.id)), actor, now)


def disable_person(session: Session, actor: Actor, person_id: UUID, now: datetime) -> None:
    """Nobody signs in as this person again; what they did stays."""
    require(actor, Permission.OPERATE)
    person = people.get_person(session, person_id)
    if person.disabled_at is None:
        person.disabled_at = now
        outbox.record(session, SystemFact("person.disabled", str(person.id)), actor, now)


def _require_length(password: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        said = f"Use at least {SHORTEST_PASSWORD} characters."
        raise PasswordTooShort(said, [Problem("password", "too_short", said)])
