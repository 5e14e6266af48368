"""Signing in and staying in: the one place where a browser's session is opened, and where it says who is asking.

A password and a second factor are one way to show who one is; single sign-on would be another, ending in `open_session`
as well. Sessions count in wall-clock time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from uuid import UUID

from sqlalchemy import Engine
from sqlmodel import Session

from workflow.database import transaction
from workflow.db import outbox
from workflow.db.queries import people, throttle
from workflow.db.tables import Person, SignedIn
from workflow.domain.events import SystemFact
from workflow.domain.roles import Actor
from workflow.errors import NotFound, TooMany, Unauthenticated
from workflow.services import second_factor
from workflow.services.accounts import actor_of
from workflow.services.secrets import hash_of, is_password, new_token

IDLE_LIMIT = timedelta(hours=2)
ABSOLUTE_LIMIT = timedelta(hours=12)
CODE_LIMIT = timedelta(minutes=10)
"""how long the second factor may take after the password"""
SIGN_IN_TRIES = 5
SIGN_IN_WINDOW = timedelta(minutes=15)
NETWORK_TRIES = 50
"""wrong passwords from one network address, whatever the mail addresses: a whole office may sit behind one"""


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


@dataclass(frozen=True)
class Where:
    """From where somebody signs in: the browser in words, the network address if it is known."""

    browser: str = ""
    network: str | None = None


NOWHERE = Where()


@dataclass(frozen=True)
class Entry:
    """What the right password leads to: the cookie's value, and whether the second factor still has to be shown."""

    token: str
    waits_for_code: bool


def sign_in(engine: Engine, email: str, password: str, *, now: datetime, wall: datetime, where: Where = NOWHERE) -> Entry:
    """A session for the person with this password; with a second factor only the promise of one, see `enter_code`.

    Raises WrongCredentials, and SignInThrottled once a mail address, or a network address, has had too many tries. Owns its
    transactions: hashing must not hold SQLite's one write lock, and a wrong try is counted although this raises.
    """
    key = _sign_in_key(email)
    with transaction(engine) as session:
        wait = throttle.seconds_left(session, _network_key(where.network), NETWORK_TRIES, wall) if where.network else 0
        if wait:
            raise SignInThrottled(
                f"Too many wrong passwords from your network. Try again in {max(1, round(wait / 60))} min.", retry_after=wait
            )
        # A try counts before its password is looked at: many at once must not all find the address open.
        if throttle.count(session, key, SIGN_IN_WINDOW, wall) > SIGN_IN_TRIES:
            wait = throttle.seconds_left(session, key, SIGN_IN_TRIES, wall)
            raise SignInThrottled(
                f"Too many wrong passwords for this address. Try again in {max(1, round(wait / 60))} min.", retry_after=wait
            )
        person = people.find_person_by_email(session, email) if email.isprintable() else None
    if not is_password(person.password_hash if person else None, password) or person is None or person.disabled_at:
        if where.network is not None:
            with transaction(engine) as session:
                throttle.count(session, _network_key(where.network), SIGN_IN_WINDOW, wall)
        raise WrongCredentials
    with transaction(engine) as session:
        throttle.clear(session, key)
        if second_factor.is_on(session, person.id):
            return Entry(_begin(session, person.id, where.browser, wall, CODE_LIMIT, waits_for_code=True), waits_for_code=True)
        return Entry(open_session(session, person, where, now=now, wall=wall), waits_for_code=False)


def enter_code(engine: Engine, token: str, code: str, *, now: datetime, wall: datetime, network: str | None = None) -> str:
    """The session that was promised, for the code of the second factor; its cookie has a new value.

    Raises SessionEnded for what is no promise, WrongSecondFactor, SecondFactorThrottled. Owns its transactions, as `sign_in`.
    """
    with transaction(engine) as session:
        _, person = _promised(session, token, wall)
        second_factor.count_try(session, person.id, wall)
    with transaction(engine) as session:
        promised, person = _promised(session, token, wall)
        second_factor.use(session, person.id, code, wall)
        session.delete(promised)
        return open_session(session, person, Where(promised.browser, network), now=now, wall=wall)


def open_session(session: Session, person: Person, where: Where, *, now: datetime, wall: datetime) -> str:
    """A session for somebody who has shown who they are, in whichever way: the one place that opens any. Returns the cookie's
    value."""
    outbox.record(
        session, SystemFact("person.signed_in", str(person.id)), Actor(person.name, person.id, network=where.network), now
    )
    return _begin(session, person.id, where.browser, wall, ABSOLUTE_LIMIT, waits_for_code=False)


def waits_for_code(session: Session, token: str, wall: datetime) -> bool:
    """Whether the cookie is the promise of a session that the second factor would open."""
    try:
        _promised(session, token, wall)
    except SessionEnded:
        return False
    return True


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
    if signed_in.waits_for_code or wall >= signed_in.ends_at or wall - signed_in.seen_at > IDLE_LIMIT or person.disabled_at:
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


def end_own(session: Session, actor: Actor, session_id: UUID) -> None:
    """Ends one of the actor's own sessions, in another browser. Raises NotFound for anybody else's."""
    row = session.get(SignedIn, session_id)
    if row is None or row.person != actor.person_id:
        raise NotFound("You have no such session.")
    session.delete(row)


def _begin(session: Session, person: UUID, browser: str, wall: datetime, lasts: timedelta, *, waits_for_code: bool) -> str:
    token = new_token()
    session.add(
        SignedIn(
            token_hash=hash_of(token),
            person=person,
            waits_for_code=waits_for_code,
            browser=browser[:100],
            created_at=wall,
            seen_at=wall,
            ends_at=wall + lasts,
        )
    )
    return token


def _promised(session: Session, token: str, wall: datetime) -> tuple[SignedIn, Person]:
    found = people.find_session(session, hash_of(token))
    if found is None or not found[0].waits_for_code or wall >= found[0].ends_at or found[1].disabled_at:
        raise SessionEnded
    return found


def _network_key(network: str) -> str:
    """One key for whatever one machine can call itself: an IPv6 host picks its addresses from a /64."""
    try:
        address = ip_address(network)
    except ValueError:
        return f"sign-in-from:{network[:64]}"
    return f"sign-in-from:{ip_network((address, 64), strict=False) if address.version == 6 else address}"


def _sign_in_key(email: str) -> str:
    typed = "".join(character for character in email.strip().lower() if character.isprintable())
    return f"sign-in:{typed[:250]}"
