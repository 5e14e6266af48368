"""The people of every test, with fixed ids: what they may do is part of their name."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from sqlmodel import Session

from workflow.db.tables import Person, RoleGrant
from workflow.domain.roles import Actor, Role

HIRED = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Colleague:
    """Somebody of the desk or of a customer."""

    email: str
    actor: Actor


def _colleague(number: int, name: str, email: str, *roles: Role) -> Colleague:
    person = UUID(int=(0x7 << 76) | (0x2 << 62) | number)
    return Colleague(email, Actor(name=name, person_id=person, roles=frozenset(roles)))


STAFF = (
    _colleague(1, "Lin Mei", "lin.mei@serviceme.example", Role.LIAISON),
    _colleague(2, "Daniel Osei", "daniel.osei@serviceme.example", Role.APPROVER),
    _colleague(3, "Aisha Rahman", "security@serviceme.example", Role.APPROVER),
    _colleague(4, "Tomas Varga", "lead@serviceme.example", Role.APPROVER),
    _colleague(5, "Omar Reyes", "omar.reyes@serviceme.example", Role.OPERATOR),
    _colleague(6, "Priya Nair", "priya.nair@serviceme.example", Role.OPERATOR),
    _colleague(7, "Zhang Wei", "wei.zhang@harbourline.example", Role.ADMINISTRATOR),
    _colleague(8, "Greta Holm", "greta.holm@serviceme.example", Role.AUDITOR),
    _colleague(9, "Sam Nowhere", "sam@elsewhere.example"),
)

LIAISON, APPROVER, SECURITY, LEAD, OPERATOR, SECOND_OPERATOR, ADMINISTRATOR, AUDITOR, STRANGER = (each.actor for each in STAFF)
APPROVERS = (APPROVER, SECURITY, LEAD)
EVERYBODY = (LIAISON, *APPROVERS, OPERATOR, SECOND_OPERATOR, ADMINISTRATOR, AUDITOR, STRANGER)


def move_in(session: Session) -> None:
    """Stores everybody with the roles they have had since `HIRED`. Nobody has a password."""
    for each in STAFF:
        session.add(Person(id=id_of(each.actor), email=each.email, name=each.actor.name, created_at=HIRED))
    session.flush()  # the grants refer to them
    for each in STAFF:
        for role in each.actor.roles:
            session.add(RoleGrant(person=id_of(each.actor), role=role.value, granted_at=HIRED))


def id_of(actor: Actor) -> UUID:
    """The id of someone who has one."""
    assert actor.person_id is not None
    return actor.person_id


def administrator_of(tenant: UUID) -> Actor:
    """The administrator, working for this customer."""
    return replace(ADMINISTRATOR, tenant=tenant)
