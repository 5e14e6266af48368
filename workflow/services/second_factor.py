"""The second factor: an authenticator app (TOTP, RFC 6238) and the recovery codes that stand in for it. Wall-clock time.

A code is good for its own half minute and the one on either side of it, once. A try counts before it is looked at.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pyotp
from sqlalchemy import Engine
from sqlmodel import Session

from workflow.database import transaction
from workflow.db.queries import credentials, people, throttle
from workflow.db.tables import RecoveryCode, SecondFactor
from workflow.domain.events import SystemFact
from workflow.domain.roles import Actor, Permission, require
from workflow.errors import Conflict, Invalid, Problem, TooMany
from workflow.license_file.claims import CROCKFORD
from workflow.services.notices import record_and_tell
from workflow.services.secrets import hash_of

STEP_SECONDS = 30
SKEW_STEPS = 1
RECOVERY_CODES = 10
RECOVERY_LENGTH = 16
"""80 random bits: enough for a plain hash to keep"""
TRIES = 5
WINDOW = timedelta(minutes=15)


class WrongSecondFactor(Invalid):
    """The code is not the one the app shows now, or was used before."""

    code = "second_factor.wrong_code"

    def __init__(self) -> None:
        message = "This code does not fit, or was used already. Enter the one your app shows now."
        super().__init__(message, [Problem("code", "wrong", message)])


class SecondFactorThrottled(TooMany):
    """Too many codes were tried for one person."""

    code = "second_factor.throttled"


class AlreadySetUp(Conflict):
    """The person has a second factor that works."""

    code = "second_factor.already_set_up"

    def __init__(self) -> None:
        super().__init__("Your second factor is set up already. Turn it off first to use another app.")


class NotStarted(Conflict):
    """A code for an app that was never shown a secret, or that is set up already."""

    code = "second_factor.not_started"

    def __init__(self) -> None:
        super().__init__("Nothing waits for a code. Start setting up the second factor on your profile page.")


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator app is told: the secret in groups of four to type, and the address a QR code holds."""

    secret: str
    uri: str


def is_on(session: Session, person: UUID) -> bool:
    """Whether the person has a second factor that works."""
    row = session.get(SecondFactor, person)
    return row is not None and row.confirmed_at is not None


def start(session: Session, actor: Actor, wall: datetime) -> None:
    """A new secret for the actor's app; it counts for nothing until `confirm`. Raises AlreadySetUp."""
    assert actor.person_id is not None
    row = session.get(SecondFactor, actor.person_id)
    if row is None:
        row = SecondFactor(person=actor.person_id, secret="", created_at=wall)
        session.add(row)
    elif row.confirmed_at is not None:
        raise AlreadySetUp
    row.secret, row.last_step, row.created_at = pyotp.random_base32(), 0, wall


def enrolment(session: Session, person: UUID, email: str, issuer: str) -> Enrolment:
    """What the app of somebody who has started is shown. Raises NotStarted."""
    row = session.get(SecondFactor, person)
    if row is None or row.confirmed_at is not None:
        raise NotStarted
    grouped = " ".join(row.secret[i : i + 4] for i in range(0, len(row.secret), 4))
    return Enrolment(grouped, pyotp.TOTP(row.secret).provisioning_uri(name=email, issuer_name=issuer))


def confirm(session: Session, actor: Actor, code: str, *, now: datetime, wall: datetime) -> tuple[str, ...]:
    """The app showed a right code: the second factor counts from now on. Returns the recovery codes, shown this once.

    Raises NotStarted, WrongSecondFactor.
    """
    assert actor.person_id is not None
    row = session.get(SecondFactor, actor.person_id)
    if row is None or row.confirmed_at is not None:
        raise NotStarted
    if not _is_fresh_code(session, row, code, wall):
        raise WrongSecondFactor
    row.confirmed_at = wall
    people.get_person(session, actor.person_id).credentials_at = now
    record_and_tell(session, SystemFact("second_factor.set_up", str(actor.person_id)), actor, actor.person_id, now)
    return _new_recovery_codes(session, actor.person_id)


def renew_recovery_codes(session: Session, actor: Actor, now: datetime) -> tuple[str, ...]:
    """New recovery codes, shown this once; the old ones end. Raises NotStarted without a second factor."""
    assert actor.person_id is not None
    if not is_on(session, actor.person_id):
        raise NotStarted
    fact = SystemFact("second_factor.recovery_codes_renewed", str(actor.person_id))
    record_and_tell(session, fact, actor, actor.person_id, now)
    return _new_recovery_codes(session, actor.person_id)


def turn_off(session: Session, actor: Actor, person_id: UUID, now: datetime) -> None:
    """Takes a second factor away: one's own, or for an operator that of somebody who lost theirs. None there is fine."""
    if actor.person_id != person_id:
        require(actor, Permission.OPERATE)
    row = session.get(SecondFactor, person_id)
    if row is None:
        return
    credentials.forget_recovery_codes(session, person_id)
    session.delete(row)
    if row.confirmed_at is not None:
        people.get_person(session, person_id).credentials_at = now
        record_and_tell(session, SystemFact("second_factor.turned_off", str(person_id)), actor, person_id, now)


def count_try(session: Session, person: UUID, wall: datetime) -> None:
    """Counts one try of the person's credentials. The caller commits it before looking at them. Raises
    SecondFactorThrottled."""
    key = _key(person)
    if throttle.count(session, key, WINDOW, wall) > TRIES:
        wait = throttle.seconds_left(session, key, TRIES, wall)
        raise SecondFactorThrottled(f"Too many tries. Try again in {max(1, round(wait / 60))} min.", retry_after=wait)


def use(session: Session, person: UUID, code: str, wall: datetime) -> None:
    """Uses up a code of the app, or a recovery code. Raises WrongSecondFactor; a try was counted before."""
    row = session.get(SecondFactor, person)
    if row is None or row.confirmed_at is None:
        raise WrongSecondFactor
    if not _is_fresh_code(session, row, code, wall) and not _is_recovery_code(session, person, code, wall):
        raise WrongSecondFactor
    throttle.clear(session, _key(person))


def forget_tries(session: Session, person: UUID) -> None:
    """The person has shown who they are without a code."""
    throttle.clear(session, _key(person))


def prove(engine: Engine, person: UUID, code: str, wall: datetime) -> None:
    """Counts the try and uses the code, each in a transaction of its own: a wrong try is counted although this raises.

    Raises WrongSecondFactor, SecondFactorThrottled.
    """
    with transaction(engine) as session:
        count_try(session, person, wall)
    with transaction(engine) as session:
        use(session, person, code, wall)


def _is_fresh_code(session: Session, row: SecondFactor, code: str, wall: datetime) -> bool:
    """Whether the app shows this code now, give or take a step (RFC 6238, section 5.2), and it was not used before."""
    typed = "".join(code.split())
    totp, current = pyotp.TOTP(row.secret), int(wall.timestamp()) // STEP_SECONDS
    for step in range(current - SKEW_STEPS, current + SKEW_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), typed.encode(errors="replace")):
            return credentials.take_step(session, row.person, step)
    return False


def _is_recovery_code(session: Session, person: UUID, code: str, wall: datetime) -> bool:
    return credentials.take_recovery_code(session, person, _recovery_hash(person, code), wall)


def _new_recovery_codes(session: Session, person: UUID) -> tuple[str, ...]:
    credentials.forget_recovery_codes(session, person)
    codes = []
    for _ in range(RECOVERY_CODES):
        code = "".join(secrets.choice(CROCKFORD) for _ in range(RECOVERY_LENGTH))
        codes.append("-".join(code[i : i + 4] for i in range(0, RECOVERY_LENGTH, 4)))
        session.add(RecoveryCode(person=person, code_hash=_recovery_hash(person, code)))
    return tuple(codes)


def _recovery_hash(person: UUID, code: str) -> str:
    typed = "".join(code.upper().replace("-", "").split()).replace("O", "0").replace("I", "1").replace("L", "1")
    return hash_of(f"{person}:{typed}")


def _key(person: UUID) -> str:
    return f"second-factor:{person}"
