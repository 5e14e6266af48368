"""Personal API tokens: what a program shows instead of a person. Only hashes are kept; they count in wall-clock time."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import people
from workflow.db.tables import ApiToken, Person
from workflow.domain.events import SystemFact
from workflow.domain.roles import Actor, Scope
from workflow.errors import Invalid, NotFound, Problem, Unauthenticated
from workflow.services.accounts import actor_of
from workflow.services.notices import record_and_tell
from workflow.services.secrets import hash_of, new_token

TOKEN_PREFIX = "licdesk_"  # noqa: S105  (lets secret scanners recognise a leaked token)
LONGEST_TOKEN_DAYS = 366


class TokenRefused(Unauthenticated):
    """The API token is unknown, revoked or past its end."""

    code = "accounts.token_refused"

    def __init__(self) -> None:
        super().__init__("This API token is not known here, was revoked or has ended. Make a new one on your profile page.")


def make_token(
    session: Session, actor: Actor, name: str, days: int, *, scopes: Iterable[Scope], now: datetime, wall: datetime
) -> tuple[str, ApiToken]:
    """A personal API token: the secret, shown once, and its row. Without a scope it only reads.

    Raises Invalid for an empty name or a wrong lifetime.
    """
    problems = []
    if not name.strip() or len(name) > 100:
        problems.append(Problem("name", "missing", "Name the token after the program that will use it."))
    if not 1 <= days <= LONGEST_TOKEN_DAYS:
        problems.append(Problem("days", "out_of_range", f"Choose from 1 to {LONGEST_TOKEN_DAYS} days."))
    if problems:
        raise Invalid("The token was not made.", problems)
    assert actor.person_id is not None
    token, row = _keep(session, actor.person_id, name.strip(), days, scopes, wall)
    record_and_tell(session, SystemFact("token.made", str(row.id), row.name), actor, actor.person_id, now)
    return token, row


def provide_token(
    session: Session,
    actor: Actor,
    person: Person,
    name: str,
    days: int,
    *,
    scopes: Iterable[Scope],
    now: datetime,
    wall: datetime,
) -> str:
    """A token that the installation makes for one of the people it comes with. It is in the history; no letter warns of it."""
    token, row = _keep(session, person.id, name, days, scopes, wall)
    outbox.record(session, SystemFact("token.made", str(row.id), f"{row.name} for {person.email}"), actor, now)
    return token


def _keep(
    session: Session, person: UUID, name: str, days: int, scopes: Iterable[Scope], wall: datetime
) -> tuple[str, ApiToken]:
    token, chosen = new_token(TOKEN_PREFIX), set(scopes)
    row = ApiToken(
        person=person,
        name=name,
        token_hash=hash_of(token),
        hint=token[-4:],
        scopes=",".join(each.value for each in Scope if each in chosen),
        created_at=wall,
        ends_at=wall + timedelta(days=days),
    )
    session.add(row)
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
    return replace(actor_of(session, person, now, channel="api"), scopes=scopes_of(row)), person


def scopes_of(token: ApiToken) -> frozenset[Scope]:
    """What a token may do besides reading."""
    return frozenset(Scope(each) for each in token.scopes.split(",") if each)


def token_needs_touch(session: Session, token: str, wall: datetime) -> bool:
    """Whether the token was last used more than a minute ago, so that `touch_token` is worth a write."""
    found = people.find_api_token(session, hash_of(token))
    return found is not None and (found[0].used_at is None or wall - found[0].used_at > timedelta(minutes=1))


def touch_token(session: Session, token: str, wall: datetime) -> None:
    """Notes that the token is in use; its owner sees when on the profile page."""
    found = people.find_api_token(session, hash_of(token))
    if found is not None:
        found[0].used_at = wall
