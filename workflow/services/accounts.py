"""People: who they are, what they may do, and when they leave. How they sign in is in `sessions`, programs in `tokens`."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import credentials, overview, people
from workflow.db.tables import Application, Person, RoleGrant
from workflow.domain.events import SystemFact
from workflow.domain.roles import Actor, Permission, Role, require
from workflow.domain.terms import is_time_zone
from workflow.errors import Conflict, Forbidden, Invalid, Problem
from workflow.services.notices import record_and_tell
from workflow.services.secrets import hash_of, hash_password

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


class NameMissing(Invalid):
    """A person without a name."""

    code = "accounts.name_missing"


class RolesDoNotFit(Invalid):
    """An administrator works for one customer and does nothing else here; nobody else belongs to a customer."""

    code = "accounts.roles_do_not_fit"


class OwnRoles(Forbidden):
    """Nobody gives roles to themselves, or takes the last way in away from themselves."""

    code = "accounts.own_roles"

    def __init__(self) -> None:
        super().__init__("This is your own account. Another operator changes your roles, or disables it.")


class LastOperator(Conflict):
    """The desk would be left without anybody who operates it."""

    code = "accounts.last_operator"

    def __init__(self) -> None:
        super().__init__("Nobody else is an operator. Give somebody else the role first.")


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
    team: str = "",
    time_zone: str = "UTC",
) -> Person:
    """A new person with these roles. Raises Invalid for an address no mail can have, NameMissing, RolesDoNotFit, AddressTaken,
    PasswordTooShort, ZoneUnknown."""
    address, wanted = normal_address(email, "email"), list(roles)
    name = _visible(name, "name")
    if people.find_person_by_email(session, address) is not None:
        raise AddressTaken(f"{address} belongs to somebody already. Use another address.")
    if password is not None:
        require_length(password)
    require_time_zone(time_zone)
    _require_fit(wanted, tenant)
    person = Person(
        email=address,
        name=name,
        password_hash=hash_password(password) if password is not None else None,
        credentials_at=now,
        tenant=tenant,
        team=_team(team),
        time_zone=time_zone,
        created_at=now,
    )
    session.add(person)
    session.flush()  # the grants refer to it
    for role in wanted:
        session.add(RoleGrant(person=person.id, role=role.value, granted_at=now))
        outbox.record(session, SystemFact("role.granted", str(person.id), role.value), actor, now)
    return person


def grant_role(session: Session, actor: Actor, person_id: UUID, role: Role, now: datetime) -> None:
    """Gives a person a role from now on; one they hold already is fine. Raises MissingRole, OwnRoles, RolesDoNotFit."""
    require(actor, Permission.OPERATE)
    person = people.get_person(session, person_id)
    if people.find_grant(session, person.id, role) is None:
        _require_other(actor, person_id)
        _require_fit([*people.roles_of(session, person.id, now), role], person.tenant)
        session.add(RoleGrant(person=person.id, role=role.value, granted_at=now))
        outbox.record(session, SystemFact("role.granted", str(person.id), role.value), actor, now)


def revoke_role(session: Session, actor: Actor, person_id: UUID, role: Role, now: datetime) -> None:
    """Takes a role away from now on; what was decided while it was held stands. One not held is fine.

    Raises MissingRole, OwnRoles, LastOperator.
    """
    require(actor, Permission.OPERATE)
    grant = people.find_grant(session, people.get_person(session, person_id).id, role)
    if grant is not None:
        _require_other(actor, person_id)
        if role is Role.OPERATOR:
            _require_another_operator(session, person_id, now)
        grant.revoked_at = now
        outbox.record(session, SystemFact("role.revoked", str(person_id), role.value), actor, now)


def change_roles(session: Session, actor: Actor, person_id: UUID, wanted: Collection[Role], now: datetime) -> None:
    """Gives and takes roles until the person holds exactly these. Raises as `grant_role` and `revoke_role`."""
    held = people.roles_of(session, person_id, now)
    for role in Role:
        if role in held and role not in wanted:
            revoke_role(session, actor, person_id, role, now)
    session.flush()  # what is left decides whether a new one fits
    for role in Role:
        if role in wanted and role not in held:
            grant_role(session, actor, person_id, role, now)


def change_team(session: Session, actor: Actor, person_id: UUID, team: str, now: datetime) -> None:
    """Puts a person into a team, by its name, or into none: liaisons of a team see each other's applications."""
    require(actor, Permission.OPERATE)
    person, wanted = people.get_person(session, person_id), _team(team)
    if person.team != wanted:
        person.team = wanted
        outbox.record(session, SystemFact("person.team_changed", str(person.id), wanted), actor, now)


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
    require_length(password)
    put_password(session, actor, people.get_person(session, person_id), hash_password(password), now)


def put_password(session: Session, actor: Actor, person: Person, hashed: str, now: datetime) -> None:
    """A password that somebody did not choose under their old one: all sessions end, and the instant is kept. The person is
    told, unless it is their first."""
    is_first = person.password_hash is None
    person.password_hash, person.credentials_at = hashed, now
    credentials.end_sessions(session, person.id)
    fact = SystemFact("person.password_set", str(person.id))
    if is_first:
        outbox.record(session, fact, actor, now)
    else:
        record_and_tell(session, fact, actor, person.id, now)


def change_own_password(session: Session, actor: Actor, hashed: str, here: str, now: datetime) -> None:
    """A password that the actor, who has just shown the old one, chose: sessions in other browsers end. `here` is the cookie
    of this one."""
    assert actor.person_id is not None
    people.get_person(session, actor.person_id).password_hash = hashed
    credentials.end_sessions(session, actor.person_id, but=hash_of(here))
    fact = SystemFact("person.password_changed", str(actor.person_id))
    record_and_tell(session, fact, actor, actor.person_id, now)


def disable_person(session: Session, actor: Actor, person_id: UUID, *, now: datetime, wall: datetime) -> Sequence[Application]:
    """Nobody signs in as this person again: sessions, tokens and links end. What they did stays. Returns what they
    had in hand, longest unchanged first: it goes to nobody by itself, see `handing_over`. Disabled already is fine.

    Raises MissingRole, OwnRoles, LastOperator.
    """
    require(actor, Permission.OPERATE)
    person = people.get_person(session, person_id)
    if person.disabled_at is not None:
        return ()
    _require_other(actor, person_id)
    if Role.OPERATOR in people.roles_of(session, person_id, now):
        _require_another_operator(session, person_id, now)
    person.disabled_at = now
    credentials.end_sessions(session, person.id)
    credentials.end_tokens(session, person.id, wall)
    credentials.end_links(session, person.id, wall)
    outbox.record(session, SystemFact("person.disabled", str(person.id)), actor, now)
    return overview.in_hand_of(session, person.id)


def require_length(password: str, field: str = "password") -> None:
    """Raises PasswordTooShort, with a problem for `field`."""
    if len(password) < SHORTEST_PASSWORD:
        said = f"Use at least {SHORTEST_PASSWORD} characters."
        raise PasswordTooShort(said, [Problem(field, "too_short", said)])


def _require_other(actor: Actor, person_id: UUID) -> None:
    if actor.person_id == person_id:
        raise OwnRoles


def _require_another_operator(session: Session, person_id: UUID, now: datetime) -> None:
    if not set(people.people_with(session, Role.OPERATOR, now)) - {person_id}:
        raise LastOperator


def _require_fit(roles: Collection[Role], tenant: UUID | None) -> None:
    if tenant is None and Role.ADMINISTRATOR in roles:
        message = "Choose the customer that the administrator works for."
        raise RolesDoNotFit(message, [Problem("tenant", "missing", message)])
    if tenant is not None and set(roles) - {Role.ADMINISTRATOR}:
        message = "Somebody of a customer can only be its administrator."
        raise RolesDoNotFit(message, [Problem("roles", "not_for_customers", message)])


def _team(typed: str) -> str:
    return _visible(typed, "team", longest=60) if typed.strip() else ""


def _visible(typed: str, field: str, longest: int = 200) -> str:
    """A name as it was typed, blanks tidied. Raises NameMissing for none, and for what no line of text can hold."""
    name = " ".join(typed.split())
    if not name or len(name) > longest or not name.isprintable():
        message = f"Enter a name of at most {longest} characters."
        raise NameMissing(message, [Problem(field, "missing", message)])
    return name
