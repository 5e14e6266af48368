"""API tokens of the demo's people, one file each (mode 0600): what `licdesk demo` and a curious person at a shell use."""

from pathlib import Path

from sqlmodel import Session

from workflow.cli import cast
from workflow.cli.cast import DemoPerson
from workflow.db.queries import people
from workflow.domain.roles import Scope, system
from workflow.errors import Unauthenticated
from workflow.services import tokens
from workflow.times import utc_now, wall_now

HOLDERS = (cast.LIAISON, cast.APPROVER, cast.OPERATOR)
DAYS = 366
SETUP = system("set-up")
"""Who makes what an installation comes with."""


def token_file(data: Path, person: DemoPerson) -> Path:
    """Where a person's token is."""
    return data / "secrets" / f"token-{person.role.value}"


def write_tokens(session: Session, data: Path) -> None:
    """Writes the tokens that are missing, or that the desk does not take any more. The people are there."""
    for each in HOLDERS:
        path = token_file(data, each)
        if path.exists() and _works(session, path.read_text(encoding="ascii").strip()):
            continue
        person = people.find_person_by_email(session, each.email)
        assert person is not None, "seeded before"
        token = tokens.provide_token(session, SETUP, person, "demo", DAYS, scopes=Scope, now=utc_now(), wall=wall_now())
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(token + "\n", encoding="ascii")


def _works(session: Session, token: str) -> bool:
    try:
        tokens.actor_for_token(session, token, now=utc_now(), wall=wall_now())
    except Unauthenticated:
        return False
    return True
