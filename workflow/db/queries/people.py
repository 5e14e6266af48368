"""People, roles, sessions and tokens."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, or_, tuple_
from sqlmodel import Session, col, select

from workflow.db.tables import ApiToken, Person, Recipient, RoleGrant, SignedIn
from workflow.domain.roles import Actor, Permission, Role, may
from workflow.errors import NotFound


def find_person_by_email(session: Session, email: str) -> Person | None:
    """The person with this address, whatever its case."""
    return session.exec(select(Person).where(Person.email == email.strip().lower())).one_or_none()


def get_person(session: Session, person: UUID) -> Person:
    """The person with this id. Raises NotFound."""
    found = session.get(Person, person)
    if found is None:
        raise NotFound("There is no such person.")
    return found


def by_ids(session: Session, wanted: Collection[UUID]) -> dict[UUID, Person]:
    """The people with these ids."""
    return {person.id: person for person in session.exec(select(Person).where(col(Person.id).in_(wanted)))}


def readers(session: Session, wanted: Collection[UUID]) -> dict[UUID, Person | Recipient]:
    """Whom letters are for: people of the desk, or recipients of customers, by their ids."""
    found: dict[UUID, Person | Recipient] = {}
    found |= by_ids(session, wanted)
    if len(found) < len(wanted):
        found |= {row.id: row for row in session.exec(select(Recipient).where(col(Recipient.id).in_(wanted)))}
    return found


def roles_of(session: Session, person: UUID, at: datetime) -> frozenset[Role]:
    """The roles a person held at an instant."""
    held = session.exec(
        select(RoleGrant.role).where(
            RoleGrant.person == person,
            col(RoleGrant.granted_at) <= at,
            or_(col(RoleGrant.revoked_at).is_(None), col(RoleGrant.revoked_at) > at),
        )
    )
    return frozenset(Role(role) for role in held)


@dataclass(frozen=True)
class Grant:
    """A role of somebody, from then until then, and when that person last got credentials."""

    email: str
    credentials_at: datetime | None
    role: Role
    granted_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class Standing:
    """Every role that some people ever held."""

    grants: Mapping[UUID, Sequence[Grant]]

    def through(self, person: UUID, since: datetime, until: datetime) -> tuple[str, frozenset[Role]]:
        """A person's address, and the roles they held through all of that time, under a grant as old. None for somebody whose
        credentials were reset meanwhile: who got them may be somebody else."""
        held = [each for each in self.grants.get(person, ()) if _held(each, since, until)]
        return (held[0].email if held else ""), frozenset(each.role for each in held)


def _held(grant: Grant, since: datetime, until: datetime) -> bool:
    same_person = grant.credentials_at is None or not since < grant.credentials_at <= until
    return same_person and grant.granted_at <= since and (grant.revoked_at is None or grant.revoked_at > until)


_STANDING = (
    select(Person.id, Person.email, Person.credentials_at, RoleGrant.role, RoleGrant.granted_at, RoleGrant.revoked_at)  # type: ignore[call-overload]  # SQLModel types four columns at most
    .join(RoleGrant, col(RoleGrant.person) == col(Person.id))
    .where(col(Person.id).in_(bindparam("wanted", expanding=True)))
)


def standing_of(session: Session, wanted: Collection[UUID]) -> Standing:
    """What these people held and when, in one look."""
    found: dict[UUID, list[Grant]] = {}
    for person, email, credentials_at, role, granted_at, revoked_at in session.exec(_STANDING, params={"wanted": list(wanted)}):
        found.setdefault(person, []).append(Grant(email, credentials_at, Role(role), granted_at, revoked_at))
    return Standing(found)


def standings(session: Session, at: datetime) -> list[tuple[UUID, str, frozenset[Role]]]:
    """Everyone who can sign in and holds a role: id, address, roles; oldest first."""
    rows = session.exec(
        select(Person.id, Person.email, RoleGrant.role)
        .join(RoleGrant, col(RoleGrant.person) == col(Person.id))
        .where(
            col(RoleGrant.granted_at) <= at,
            or_(col(RoleGrant.revoked_at).is_(None), col(RoleGrant.revoked_at) > at),
            col(Person.disabled_at).is_(None),
        )
        .order_by(col(Person.id))
    )
    found: dict[UUID, tuple[str, set[Role]]] = {}
    for person, email, role in rows:
        found.setdefault(person, (email, set()))[1].add(Role(role))
    return [(person, email, frozenset(roles)) for person, (email, roles) in found.items()]


def team_of(session: Session, actor: Actor) -> frozenset[UUID]:
    """The actor, and for a liaison everybody of the same team, whose applications they may see."""
    if actor.person_id is None:
        return frozenset()
    me = session.get(Person, actor.person_id)
    if me is None or not me.team or not may(actor, Permission.READ_OWN):
        return frozenset({actor.person_id})
    return frozenset(session.exec(select(Person.id).where(Person.team == me.team))) | {actor.person_id}


def find_grant(session: Session, person: UUID, role: Role) -> RoleGrant | None:
    """The grant under which a person holds a role, if they do."""
    return session.exec(
        select(RoleGrant).where(RoleGrant.person == person, RoleGrant.role == role.value, col(RoleGrant.revoked_at).is_(None))
    ).first()


def people_with(session: Session, role: Role, at: datetime) -> Sequence[UUID]:
    """Everyone who holds a role and can sign in, oldest first."""
    return session.exec(
        select(RoleGrant.person)
        .join(Person, col(Person.id) == col(RoleGrant.person))
        .where(
            RoleGrant.role == role.value,
            col(RoleGrant.granted_at) <= at,
            or_(col(RoleGrant.revoked_at).is_(None), col(RoleGrant.revoked_at) > at),
            col(Person.disabled_at).is_(None),
        )
        .order_by(col(RoleGrant.person))
    ).all()


def names_of(session: Session, people: Sequence[UUID]) -> dict[UUID, str]:
    """The names of these people by id."""
    found = session.exec(select(Person.id, Person.name).where(col(Person.id).in_(people)))
    return dict(found.all())


def find_session(session: Session, token_hash: str) -> tuple[SignedIn, Person] | None:
    """The browser session of a cookie's hash, with its person."""
    return session.exec(
        select(SignedIn, Person).join(Person, col(Person.id) == col(SignedIn.person)).where(SignedIn.token_hash == token_hash)
    ).one_or_none()


def find_api_token(session: Session, token_hash: str) -> tuple[ApiToken, Person] | None:
    """The API token of this hash, with its person."""
    return session.exec(
        select(ApiToken, Person).join(Person, col(Person.id) == col(ApiToken.person)).where(ApiToken.token_hash == token_hash)
    ).one_or_none()


def tokens_of(session: Session, person: UUID) -> Sequence[ApiToken]:
    """A person's API tokens, newest first."""
    return session.exec(select(ApiToken).where(ApiToken.person == person).order_by(col(ApiToken.id).desc())).all()


def all_people(session: Session) -> Sequence[Person]:
    """Everyone, by name."""
    return session.exec(select(Person).order_by(Person.name)).all()


def search(session: Session, *, search: str = "", after: tuple[str, UUID] | None = None, limit: int = 25) -> Sequence[Person]:
    """People by name, from the one after `after` on; one more than asked for when there are more."""
    query = select(Person).order_by(Person.name, col(Person.id)).limit(limit + 1)
    if search:
        fields = (Person.name, Person.email, Person.team)
        query = query.where(or_(*(col(each).icontains(search, autoescape=True) for each in fields)))
    if after is not None:
        query = query.where(tuple_(col(Person.name), col(Person.id)) > after)
    return session.exec(query).all()


def liaisons(session: Session, at: datetime) -> Sequence[Person]:
    """Everybody who can be in charge of applications, by name."""
    able = people_with(session, Role.LIAISON, at)
    return session.exec(select(Person).where(col(Person.id).in_(able)).order_by(Person.name)).all()
