"""People: who they are, how they sign in, and the tokens their programs use. Sessions count in wall-clock time."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import Engine, delete
from sqlmodel import Session, col

from workflow.database import transaction
from workflow.db import outbox
from workflow.db.queries import people, throttle
from workflow.db.tables import ApiToken, Person, RoleGrant, SignedIn
from workflow.domain.events import SystemFact
from workflow.domain.roles import Actor, Permission, Role, require
from workflow.domain.terms import is_time_zone
from workflow.errors import Conflict, Invalid, NotFound, Problem, TooMany, Unauthenticated
from workflow.services.secrets import hash_of, hash_password, is_password, new_token

IDLE_LIMIT = timedelta(hours=2)
ABSOLUTE_LIMIT = timedelta(hours=12)
SHORTEST_PASSWORD = 12
SIGN_IN_TRIES = 5
SIGN_IN_WINDOW = timedelta(minutes=15)
TOKEN_PREFIX = "licdesk_"  # noqa: S105  (lets secret scanners recognise a leaked token)
LONGEST_TOKEN_DAYS = 366


class WrongCredentials(Unauthenticated):
    """One message for an unknown address and a wrong password: it must not tell which addresses exist."""

    code = "accounts.wrong_credentials"
    title = "Sign-in failed"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is not right. Check both and try again.")


class SessionEnded(Unauthenticated):
    """The session is unknown, was ended, or was idle for too long."""

    code = "accounts.session_ended"

    def __init__(self) -> None:
        super().__init__("Your session has ended. Sign in again; nothing you submitted is lost.")


class SignInThrottled(TooMany):
    """Too many wrong passwords for one address."""

    code = "accounts.throttled"


class TokenRefused(Unauthenticated):
    """The API token is unknown, revoked or past its end."""

    code = "accounts.token_refused"

    def __init__(self) -> None:
        super().__init__("This API token is not known here, was revoked or has ended. Make a new one on your profile page.")


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


def sign_in(engine: Engine, email: str, password: str, *, now: datetime, wall: datetime) -> tuple[str, Person]:
    """A new session for the person with this password: the cookie's value and the person.

    Raises WrongCredentials, and SignInThrottled once an address has had too many tries. Owns its transactions: hashing must
    not hold SQLite's one write lock, and a wrong try is counted although this raises.
    """
    key = _sign_in_key(email)
    with transaction(engine) as session:
        # A try counts before its password is looked at: many at once must not all find the address open.
        if throttle.count(session, key, SIGN_IN_WINDOW, wall) > SIGN_IN_TRIES:
            wait = throttle.seconds_left(session, key, SIGN_IN_TRIES, wall)
            raise SignInThrottled(
                f"Too many wrong passwords for this address. Try again in {max(1, round(wait / 60))} min.", retry_after=wait
            )
        person = people.find_person_by_email(session, email) if email.isprintable() else None
    if not is_password(person.password_hash if person else None, password) or person is None or person.disabled_at:
        raise WrongCredentials
    token = new_token()
    with transaction(engine) as session:
        throttle.clear(session, key)
        session.add(
            SignedIn(token_hash=hash_of(token), person=person.id, created_at=wall, seen_at=wall, ends_at=wall + ABSOLUTE_LIMIT)
        )
        outbox.record(session, SystemFact("person.signed_in", str(person.id)), Actor(person.name, person.id), now)
    return token, person


def sign_out(session: Session, token: str) -> None:
    """Ends the session; a token that is not known is fine."""
    found = people.find_session(session, hash_of(token))
    if found is not None:
        session.delete(found[0])


def actor_for_session(session: Session, token: str, *, now: datetime, wall: datetime) -> tuple[Actor, Person]:
    """Who a session cookie belongs to. Raises SessionEnded. Only looks; `touch_session` keeps it alive."""
    found = people.find_session(session, hash_of(token))
    if found is None:
        raise SessionEnded
    signed_in, person = found
    if wall >= signed_in.ends_at or wall - signed_in.seen_at > IDLE_LIMIT or person.disabled_at:
        raise SessionEnded
    return actor_of(session, person, now), person


def session_needs_touch(session: Session, token: str, wall: datetime) -> bool:
    """Whether the session was last seen more than a minute ago, so that `touch_session` is worth a write."""
    found = people.find_session(session, hash_of(token))
    return found is not None and wall - found[0].seen_at > timedelta(minutes=1)


def touch_session(session: Session, token: str, wall: datetime) -> None:
    """Notes that the session is in use."""
    found = people.find_session(session, hash_of(token))
    if found is not None:
        found[0].seen_at = wall


def actor_of(session: Session, person: Person, now: datetime, channel: str = "web") -> Actor:
    """The person as an actor with the roles held now."""
    return Actor(
        name=person.name,
        person_id=person.id,
        roles=people.roles_of(session, person.id, now),
        tenant=person.tenant,
        channel=channel,
    )


def make_token(session: Session, actor: Actor, name: str, days: int, *, now: datetime, wall: datetime) -> tuple[str, ApiToken]:
    """A personal API token: the secret, shown once, and its row. Raises Invalid for an empty name or a wrong lifetime."""
    problems = []
    if not name.strip() or len(name) > 100:
        problems.append(Problem("name", "missing", "Name the token after the program that will use it."))
    if not 1 <= days <= LONGEST_TOKEN_DAYS:
        problems.append(Problem("days", "out_of_range", f"Choose from 1 to {LONGEST_TOKEN_DAYS} days."))
    if problems:
        raise Invalid("The token was not made.", problems)
    assert actor.person_id is not None
    token = new_token(TOKEN_PREFIX)
    row = ApiToken(
        person=actor.person_id,
        name=name.strip(),
        token_hash=hash_of(token),
        hint=token[-4:],
        created_at=wall,
        ends_at=wall + timedelta(days=days),
    )
    session.add(row)
    outbox.record(session, SystemFact("token.made", str(row.id), row.name), actor, now)
    return token, row


def revoke_token(session: Session, actor: Actor, token_id: UUID, *, now: datetime, wall: datetime) -> None:
    """Ends one of the actor's own tokens. Raises NotFound for anybody else's."""
    row = session.get(ApiToken, token_id)
    if row is None or row.person != actor.person_id:
        raise NotFound("You have no such token.")
    if row.revoked_at is None:
        row.revoked_at = wall
        outbox.record(session, SystemFact("token.revoked", str(row.id), row.name), actor, now)


def actor_for_token(session: Session, token: str, *, now: datetime, wall: datetime) -> tuple[Actor, Person]:
    """Who an API token belongs to. Raises TokenRefused."""
    found = people.find_api_token(session, hash_of(token))
    if found is None:
        raise TokenRefused
    row, person = found
    if row.revoked_at or wall >= row.ends_at or person.disabled_at:
        raise TokenRefused
    return actor_of(session, person, now, channel="api"), person


def token_needs_touch(session: Session, token: str, wall: datetime) -> bool:
    """Whether the token was last used more than a minute ago, so that `touch_token` is worth a write."""
    found = people.find_api_token(session, hash_of(token))
    return found is not None and (found[0].used_at is None or wall - found[0].used_at > timedelta(minutes=1))


def touch_token(session: Session, token: str, wall: datetime) -> None:
    """Notes that the token is in use; its owner sees when on the profile page."""
    found = people.find_api_token(session, hash_of(token))
    if found is not None:
        found[0].used_at = wall


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


def _sign_in_key(email: str) -> str:
    typed = "".join(character for character in email.strip().lower() if character.isprintable())
    return f"sign-in:{typed[:250]}"
