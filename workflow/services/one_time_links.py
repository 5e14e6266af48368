"""Links with which people choose a password, once: when they are invited, and when they forgot theirs. Wall-clock time."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine
from sqlmodel import Session

from workflow.database import reading, transaction
from workflow.db import outbox
from workflow.db.queries import credentials, people, throttle
from workflow.db.tables import OneTimeLink, Person
from workflow.domain.events import Job, SystemFact
from workflow.domain.roles import Actor, Permission, require, system
from workflow.errors import Conflict, NotFound
from workflow.services import accounts
from workflow.services.secrets import hash_of, hash_password, new_token

LINK_TTL = timedelta(hours=24)
RESETS_PER_HOUR = 3
PATH = "/welcome"


class LinkEnded(NotFound):
    """No such link, or it was used or has ended. One answer for all, so that guessing tells nothing."""

    code = "accounts.link_ended"
    title = "This link does not work any more"

    def __init__(self) -> None:
        super().__init__("This link was used, has ended or is not complete. Ask for a new one on the sign-in page.")


class PersonDisabled(Conflict):
    """Somebody who left gets no link."""

    code = "accounts.person_disabled"

    def __init__(self, email: str) -> None:
        super().__init__(f"{email} was disabled and cannot sign in, so no link is made.")


def make_link(session: Session, actor: Actor, person_id: UUID, *, now: datetime, wall: datetime) -> str:
    """The token of a new link for somebody, to be handed over by whoever asked for it. Earlier links end.

    Raises MissingRole, PersonDisabled.
    """
    require(actor, Permission.OPERATE)
    link, token = _new_link(session, actor, person_id, now, wall), new_token()
    link.token_hash = hash_of(token)
    return token


def invite(session: Session, actor: Actor, person_id: UUID, *, now: datetime, wall: datetime) -> None:
    """Mails somebody a new link. Earlier links end. Raises MissingRole, PersonDisabled."""
    require(actor, Permission.OPERATE)
    link = _new_link(session, actor, person_id, now, wall)
    session.flush()  # the job refers to it
    outbox.owe(session, Job.ONE_TIME_LINK, f"{Job.ONE_TIME_LINK.value}:{link.id}", ref=link.id, recipient=person_id)


def forgot(session: Session, email: str, *, now: datetime, wall: datetime) -> None:
    """Mails a new link to whoever has this address. Silent when nobody has, or when it was asked for too often: what is
    answered must not tell which addresses exist."""
    if not email.isprintable():
        return
    person = people.find_person_by_email(session, email)
    if person is None or person.disabled_at is not None:
        return
    if throttle.count(session, f"forgot:{person.id}", timedelta(hours=1), wall) > RESETS_PER_HOUR:
        return
    link = OneTimeLink(person=person.id, created_at=wall, ends_at=wall + LINK_TTL)
    session.add(link)
    session.flush()  # the job refers to it
    outbox.owe(session, Job.ONE_TIME_LINK, f"{Job.ONE_TIME_LINK.value}:{link.id}", ref=link.id, recipient=person.id)
    outbox.record(session, SystemFact("person.forgot_password", str(person.id)), system("sign-in page"), now)


def write_token(engine: Engine, link_id: UUID) -> str:
    """The token for the letter that is being written now; a letter written anew, after one that provably was not sent, has a
    new one."""
    token = new_token()
    with transaction(engine) as session:
        link = session.get(OneTimeLink, link_id)
        assert link is not None, "the letter's job refers to it"
        link.token_hash = hash_of(token)
    return token


def open_link(session: Session, token: str, wall: datetime) -> tuple[OneTimeLink, Person]:
    """Whom the link is for; changes nothing. Raises LinkEnded."""
    link = credentials.find_link(session, hash_of(token))
    if link is None or link.used_at is not None or wall >= link.ends_at:
        raise LinkEnded
    person = people.get_person(session, link.person)
    if person.disabled_at is not None:
        raise LinkEnded
    return link, person


def choose_password(
    engine: Engine, token: str, password: str, *, now: datetime, wall: datetime, network: str | None = None
) -> Person:
    """Uses the link up: the person has this password from now on, and their sessions end.

    Raises LinkEnded, PasswordTooShort, which leaves the link as it is. Hashes outside of the transaction.
    """
    with reading(engine) as session:
        open_link(session, token, wall)
    accounts.require_length(password)
    hashed = hash_password(password)
    with transaction(engine) as session:
        link, person = open_link(session, token, wall)
        if not credentials.take_link(session, link.id, wall):
            raise LinkEnded
        credentials.end_links(session, person.id, wall)
        accounts.put_password(session, Actor(person.name, person.id, network=network), person, hashed, now)
    return person


def _new_link(session: Session, actor: Actor, person_id: UUID, now: datetime, wall: datetime) -> OneTimeLink:
    person = people.get_person(session, person_id)
    if person.disabled_at is not None:
        raise PersonDisabled(person.email)
    credentials.end_links(session, person.id, wall)
    invited_by = actor.name if person.password_hash is None else None
    link = OneTimeLink(person=person.id, invited_by=invited_by, created_at=wall, ends_at=wall + LINK_TTL)
    session.add(link)
    what = "person.invited" if invited_by else "person.reset_link_made"
    outbox.record(session, SystemFact(what, str(person.id)), actor, now)
    return link
