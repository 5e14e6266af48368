"""Local accounts of the console: passwords, sessions, throttling. Independent of any license, so nobody is locked out."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import Engine
from sqlmodel import Session, col, delete, select

from workflow.console.identity import AlreadyInitialized, digest
from workflow.console.store import Administrator, SignInFailure, SignInSession
from workflow.database import transaction
from workflow.errors import Invalid, NotFound, Problem, TooMany, Unauthenticated
from workflow.license_file import say

IDLE_LIMIT = timedelta(minutes=60)
ABSOLUTE_LIMIT = timedelta(hours=12)
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256  # hashing more would only cost us time
FREE_ATTEMPTS = 5
FREE_ATTEMPTS_OF_NETWORK = 50  # many people can share one address
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
FORGIVEN_AFTER = timedelta(hours=1)
_TOUCH = timedelta(minutes=1)

_hasher = PasswordHasher()
_NOBODY = _hasher.hash(secrets.token_urlsafe(16))


class ConsoleRole(StrEnum):
    """What a signed-in person may do here: administrators everything, others nothing yet."""

    ADMINISTRATOR = "administrator"
    MEMBER = "member"


class WrongCredentials(Unauthenticated):
    """One message for an unknown address and a wrong password."""

    code = "console.wrong_credentials"


class TooManyAttempts(TooMany):
    """Sign-in is paused for this account or this network address."""

    code = "console.too_many_attempts"


class PasswordTooWeak(Invalid):
    """A password that is too short or too long."""

    code = "console.password"


class NoSuchAccount(NotFound):
    """No account with this address."""

    code = "console.no_account"


@dataclass(frozen=True)
class Person:
    """Who is signed in."""

    address: str
    name: str
    role: ConsoleRole

    @property
    def initials(self) -> str:
        """Two letters for the round picture."""
        words = self.name.replace(".", " ").replace("-", " ").split()
        return "".join(word[0] for word in words[:2]).upper()


def new_password() -> str:
    """A first password to hand over once."""
    return secrets.token_urlsafe(15)


def ensure_account(
    session: Session, address: str, password: str, role: ConsoleRole, now: datetime, name: str | None = None
) -> bool:
    """Adds the account; one that exists is left as it is. True if it was added. Raises Invalid or PasswordTooWeak."""
    known = _account(session, address)
    if known is not None:
        return False
    if "@" not in address or any(each.isspace() for each in address):
        raise Invalid(f"{address!r} is not an e-mail address. Write one like wei.zhang@harbourline.example.")
    _check_password(password)
    session.add(
        Administrator(
            address=address.lower(),
            name=name or _name_from(address),
            role=role.value,
            password_hash=_hasher.hash(password),
            created_at=now,
        )
    )
    return True


def ensure_first_administrator(session: Session, address: str, password: str, now: datetime, name: str | None = None) -> bool:
    """The account that `console init` names. True if it was added. Raises AlreadyInitialized when others came first."""
    known = session.exec(select(Administrator.address).order_by(col(Administrator.id))).all()
    if known and address.strip().lower() not in known:
        raise AlreadyInitialized(
            f"The administrator of this console is {known[0]}, not {address}. Nothing was changed. "
            "Add others with `licdesk console administrator`."
        )
    return ensure_account(session, address, password, ConsoleRole.ADMINISTRATOR, now, name)


def set_password(session: Session, address: str, password: str) -> None:
    """A new password, and every session of the account ends. Raises NoSuchAccount or PasswordTooWeak."""
    _check_password(password)
    account = _account(session, address)
    if account is None:
        raise NoSuchAccount(f"There is no account {address}.")
    account.password_hash = _hasher.hash(password)
    session.add(account)
    session.exec(delete(SignInSession).where(col(SignInSession.administrator_id) == account.id))


def sign_in(engine: Engine, address: str, password: str, network: str, now: datetime) -> str:
    """A fresh session token. Raises WrongCredentials or TooManyAttempts.

    Owns its transactions: hashing must not hold the write lock, and a failure is counted although this raises.
    """
    of_account, of_network = f"account:{address.strip().lower()}", f"network:{network}"
    # The attempt counts before the password is looked at: a hundred guesses at once must not all find no pause.
    with transaction(engine) as session:
        _require_no_pause(session, of_account, FREE_ATTEMPTS, now)
        _require_no_pause(session, of_network, FREE_ATTEMPTS_OF_NETWORK, now)
        _count_failure(session, of_account, now)
        _count_failure(session, of_network, now)
        account = _account(session, address)
    if not _matches(account.password_hash if account else _NOBODY, password) or account is None:
        raise WrongCredentials(say("The e-mail address or the password is not right. Check both and try again."))
    with transaction(engine) as session:
        _take_back(session, of_account, everything=True)
        _take_back(session, of_network, everything=False)
        return _start(session, account, now)


def person_of(session: Session, token: str, now: datetime) -> Person | None:
    """Who holds this session; None when it is unknown, idle for an hour or older than twelve.

    So is one that was last used an hour from now: a clock that was ahead began it, and by the right one it would not end.
    """
    row = session.get(SignInSession, digest(token.encode()))
    if row is None or abs(now - row.seen_at) > IDLE_LIMIT or now - row.created_at > ABSOLUTE_LIMIT:
        return None
    account = session.get_one(Administrator, row.administrator_id)
    return Person(account.address, account.name, ConsoleRole(account.role))


def needs_touch(session: Session, token: str, now: datetime) -> bool:
    """Whether the session's last use should be written down again; once a minute is enough."""
    row = session.get(SignInSession, digest(token.encode()))
    return row is not None and now - row.seen_at > _TOUCH


def touch(session: Session, token: str, now: datetime) -> None:
    """Notes that the session was used."""
    row = session.get(SignInSession, digest(token.encode()))
    if row is not None:
        row.seen_at = now
        session.add(row)


def sign_out(session: Session, token: str) -> None:
    """Ends the session."""
    session.exec(delete(SignInSession).where(col(SignInSession.token_sha256) == digest(token.encode())))


def forget_old(session: Session, now: datetime) -> None:
    """Deletes sessions that ended and failures that are forgiven."""
    session.exec(delete(SignInSession).where(col(SignInSession.seen_at) < now - IDLE_LIMIT))
    session.exec(delete(SignInFailure).where(col(SignInFailure.last_at) < now - FORGIVEN_AFTER))


def _account(session: Session, address: str) -> Administrator | None:
    wanted = address.strip().lower()
    return session.exec(select(Administrator).where(col(Administrator.address) == wanted)).one_or_none()


def _check_password(password: str) -> None:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        message = f"The password needs {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters."
        raise PasswordTooWeak(message, [Problem("password", PasswordTooWeak.code, message)])


def _matches(password_hash: str, password: str) -> bool:
    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return _hasher.verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False


def _start(session: Session, account: Administrator, now: datetime) -> str:
    if account.id is None:
        raise ValueError("an account without an id was never stored")
    token = secrets.token_urlsafe(32)
    session.add(SignInSession(token_sha256=digest(token.encode()), administrator_id=account.id, created_at=now, seen_at=now))
    return token


def _require_no_pause(session: Session, key: str, free: int, now: datetime) -> None:
    row = session.get(SignInFailure, key)
    if row is None or row.count < free:
        return
    if row.last_at - now > LONGEST_PAUSE:
        return  # noted by a clock that was far ahead and has been set right: no pause is meant to last for years
    pause = min(FIRST_PAUSE * 2 ** min(row.count - free, 10), LONGEST_PAUSE)
    left = int((pause - (now - row.last_at)).total_seconds())
    if left > 0:
        raise TooManyAttempts(
            say("Too many failed attempts. Try again in %(minutes)s min.", minutes=-(-left // 60)), retry_after=left + 1
        )


def _count_failure(session: Session, key: str, now: datetime) -> None:
    row = session.get(SignInFailure, key) or SignInFailure(key=key, count=0, last_at=now)
    row.count = 1 if now - row.last_at > FORGIVEN_AFTER else row.count + 1
    row.last_at = now
    session.add(row)


def _take_back(session: Session, key: str, *, everything: bool) -> None:
    row = session.get_one(SignInFailure, key)
    row.count = 0 if everything else row.count - 1
    session.add(row)


def _name_from(address: str) -> str:
    return " ".join(part.capitalize() for part in address.split("@")[0].replace("_", ".").split(".") if part)
