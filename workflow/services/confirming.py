"""Who votes on PROD shows once more who they are, inside the very request that votes. A program with a token cannot.

The password is compared before the vote's transaction, the code of the second factor is used up in it: refused votes cost no
code, and no vote is stored without one.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine
from sqlmodel import Session

from workflow.database import transaction
from workflow.db.queries import customers, people
from workflow.db.tables import Application
from workflow.domain.terms import EnvironmentName
from workflow.errors import Forbidden, Invalid, Problem
from workflow.services import second_factor
from workflow.services.secrets import is_password


class WrongPassword(Invalid):
    """The person's own password, asked for once more, is not right."""

    code = "confirming.wrong_password"

    def __init__(self, field: str = "password") -> None:
        message = "Enter the password you sign in with."
        super().__init__(message, [Problem(field, "wrong", message)])


class SecondFactorMissing(Invalid):
    """A vote on PROD by somebody who has only a password."""

    code = "confirming.second_factor_missing"

    def __init__(self) -> None:
        message = "Set up a second factor on your profile page first. It counts for what is submitted after that."
        super().__init__(message, [Problem("code", "missing", message)])


class ProdNeedsAPerson(Forbidden):
    """A vote on PROD that came through the API."""

    code = "approvals.prod_needs_a_person"

    def __init__(self) -> None:
        super().__init__("Votes on PROD are cast on the page, with password and second factor. Open the application there.")


@dataclass(frozen=True)
class Asked:
    """What a vote asks the voter for. `missing`: a code is asked for, and the voter has no second factor."""

    password: bool = False
    code: bool = False
    missing: bool = False


@dataclass(frozen=True)
class Shown:
    """What the voter typed."""

    password: str
    code: str


def asked_of(session: Session, person: UUID, application: Application, *, demand_second_factor: bool) -> Asked:
    """What somebody is asked for when they vote on an application: nothing but on PROD; there the password, and a code of the
    second factor if they have one, or if everybody has to."""
    if not _is_for_prod(session, application):
        return Asked()
    has_one = second_factor.is_on(session, person)
    return Asked(password=True, code=has_one or demand_second_factor, missing=demand_second_factor and not has_one)


def check_password(engine: Engine, person: UUID, asked: Asked, shown: Shown, wall: datetime) -> None:
    """Counts the try, then compares the password while nobody waits. Does nothing when none is asked for.

    Raises WrongPassword, SecondFactorMissing, SecondFactorThrottled. `use_code` comes after it, with the vote.
    """
    if not asked.password:
        return
    if asked.missing:
        raise SecondFactorMissing
    check_own_password(engine, person, shown.password, wall, forget=not asked.code)


def check_own_password(engine: Engine, person: UUID, password: str, wall: datetime, *, forget: bool = True) -> None:
    """Counts the try, then compares the person's own password. `forget` the tries when it is right, unless a code follows.

    Raises WrongPassword, SecondFactorThrottled.
    """
    with transaction(engine) as session:
        second_factor.count_try(session, person, wall)
        stored = people.get_person(session, person).password_hash
    if not is_password(stored, password):
        raise WrongPassword
    if forget:
        with transaction(engine) as session:
            second_factor.forget_tries(session, person)


def use_code(session: Session, person: UUID, asked: Asked, shown: Shown, wall: datetime) -> None:
    """Uses the code of the second factor up, in the transaction of the vote. Does nothing when none is asked for. Raises
    WrongSecondFactor."""
    if asked.code:
        second_factor.use(session, person, shown.code, wall)


def require_person(session: Session, application: Application) -> None:
    """Raises ProdNeedsAPerson for a vote on PROD: for doors through which nobody shows who they are."""
    if _is_for_prod(session, application):
        raise ProdNeedsAPerson


def _is_for_prod(session: Session, application: Application) -> bool:
    if application.environment is None:
        return False
    environment, _ = customers.environment_with_tenant(session, application.environment)
    return environment.name == EnvironmentName.PROD.value
