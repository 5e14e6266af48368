"""Signing in and staying in: the one place where a browser's session is opened, and where it says who is asking.

Sessions count in wall-clock time.
"""

from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session

from workflow.database import transaction
from workflow.db import outbox
from workflow.db.queries import people, throttle
from workflow.db.tables import Person, SignedIn
from workflow.domain.events import SystemFact
from workflow.domain.roles import Actor
from workflow.errors import TooMany, Unauthenticated
from workflow.services.accounts import actor_of
from workflow.services.secrets import hash_of, is_password, new_token

IDLE_LIMIT = timedelta(hours=2)
ABSOLUTE_LIMIT = timedelta(hours=12)
SIGN_IN_TRIES = 5
SIGN_IN_WINDOW = timedelta(minutes=15)


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


def sign_in(
    engine: Engine, email: str, password: str, *, now: datetime, wall: datetime, network: str | None = None
) -> tuple[str, Person]:
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
        outbox.record(
            session, SystemFact("person.signed_in", str(person.id)), Actor(person.name, person.id, network=network), now
        )
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


def _sign_in_key(email: str) -> str:
    typed = "".join(character for character in email.strip().lower() if character.isprintable())
    return f"sign-in:{typed[:250]}"
