"""Applications with their revisions, requirements and votes."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import CursorResult, and_, bindparam, insert, or_, tuple_, update
from sqlmodel import Session, col, select

from workflow.db.queries import words
from workflow.db.queries.people import team_of
from workflow.db.tables import (
    Application,
    Counter,
    Environment,
    Person,
    RequirementRow,
    Revision,
    RoleGrant,
    Tenant,
    VoteRow,
    table_of,
)
from workflow.db.upsert import insert_into
from workflow.domain.application import Status
from workflow.domain.roles import Actor, Permission, Role, may
from workflow.domain.terms import EnvironmentName
from workflow.errors import NotFound

Part = TypeVar("Part", Revision, RequirementRow, VoteRow)

MOST_IN_HAND = 20
MOST_DRAFTS = 100
_NUMBER = re.compile(r"(?:APP-?)?(?:(?P<year>\d{4})-)?(?P<number>\d{1,9})", re.IGNORECASE | re.ASCII)
_INSERT_VOTE = insert(table_of(VoteRow))
# Built once: each vote and each signature asks these, and building such a statement costs as much as running it.
_BY_NUMBER = select(Application).where(Application.number == bindparam("number"))
_REVISIONS = (
    select(Revision).where(col(Revision.application).in_(bindparam("wanted", expanding=True))).order_by(col(Revision.number))
)
_VOTES = select(VoteRow).where(col(VoteRow.application).in_(bindparam("wanted", expanding=True))).order_by(col(VoteRow.id))
_REQUIREMENTS = (
    select(RequirementRow)
    .where(col(RequirementRow.application).in_(bindparam("wanted", expanding=True)))
    .order_by(RequirementRow.rule, RequirementRow.group_name)
)
Lent = Mapping[UUID, Collection[str]]
"""The groups of each colleague out of office whom somebody acts for."""
NOTHING_LENT: Lent = MappingProxyType({})


@dataclass(frozen=True)
class Page:
    """What a list shows: filters, and the keyset position to go on from (the last row's time and id)."""

    search: str = ""
    status: str = ""
    environment: str = ""
    after: tuple[datetime, UUID] | None = None
    limit: int = 25


@dataclass(frozen=True)
class ListedApplication:
    """One line of a list."""

    application: Application
    company: str
    environment: str
    owner: str


def next_number(session: Session, now: datetime) -> str:
    """The next application number of the year: APP-2026-0142. Taken in the caller's transaction."""
    name = f"application-{now.year}"
    value = session.execute(
        insert_into(session, Counter)
        .values(name=name, value=1)
        .on_conflict_do_update(index_elements=["name"], set_={"value": col(Counter.value) + 1})
        .returning(col(Counter.value))
    ).scalar_one()
    return f"APP-{now.year}-{value:04d}"


def get_application(session: Session, number: str) -> Application:
    """The application with this number. Raises NotFound."""
    found = session.exec(_BY_NUMBER, params={"number": number}).one_or_none()
    if found is None:
        raise NotFound(f"There is no application {number[:40]}.")
    return found


def get_application_by_id(session: Session, application: UUID) -> Application:
    """The application with this id. Raises NotFound."""
    found = session.get(Application, application)
    if found is None:
        raise NotFound("There is no such application.")
    return found


def get_locked(session: Session, application: UUID) -> Application:
    """The application as it is now, kept so until the commit: its status must not change between the look and the move."""
    found = session.get(Application, application, with_for_update=True, populate_existing=True)
    assert found is not None, "foreign keys see to it"
    return found


def numbers_of_streams(session: Session, streams: Collection[str]) -> dict[str, str]:
    """The numbers of the applications that have these chains, by the chain; one whose application is gone is not among them."""
    wanted = []
    for each in streams:
        with suppress(ValueError):
            wanted.append(UUID(each))
    return {str(each.id): each.number for each in by_ids(session, wanted).values()}


def by_ids(session: Session, wanted: Collection[UUID]) -> dict[UUID, Application]:
    """The applications with these ids."""
    return {each.id: each for each in session.exec(select(Application).where(col(Application.id).in_(wanted)))}


def locked(session: Session, wanted: Collection[UUID]) -> dict[UUID, Application]:
    """The applications with these ids, which nobody else moves until the commit; taken in one order, so that two who take
    several do not wait for each other."""
    chosen = select(Application).where(col(Application.id).in_(wanted)).order_by(col(Application.id))
    return {each.id: each for each in session.exec(chosen.with_for_update(key_share=True))}


def get_visible(session: Session, actor: Actor, number: str) -> Application:
    """The application, if the actor may know of it: one's own, or one that was handed in, for those who read all and for the
    owner's team.

    Raises NotFound.
    """
    found = get_application(session, number)
    if found.owner == actor.person_id or (found.revision > 0 and may(actor, Permission.READ_ALL)):
        return found
    if found.revision > 0 and found.owner in team_of(session, actor):
        return found
    raise NotFound(f"There is no application {number[:40]}.")


def current_revision(session: Session, application: Application) -> Revision | None:
    """The revision that counts now; None while it is a draft that was never submitted."""
    return session.exec(
        select(Revision).where(Revision.application == application.id, Revision.number == application.revision)
    ).one_or_none()


def with_current_revision(session: Session, wanted: Collection[UUID]) -> dict[UUID, tuple[Application, Revision]]:
    """Submitted applications by their ids, each with the revision that counts now."""
    rows = session.exec(
        select(Application, Revision)
        .join(
            Revision, and_(col(Revision.application) == col(Application.id), col(Revision.number) == col(Application.revision))
        )
        .where(col(Application.id).in_(wanted))
    )
    return {application.id: (application, revision) for application, revision in rows}


def revisions_of(session: Session, application: UUID) -> Sequence[Revision]:
    """Every revision, oldest first."""
    return revisions_of_all(session, [application])


def revisions_of_all(session: Session, wanted: Collection[UUID]) -> Sequence[Revision]:
    """Every revision of these applications, oldest first."""
    return session.exec(_REVISIONS, params={"wanted": list(wanted)}).all()


def contributors(session: Session, application: UUID) -> frozenset[UUID]:
    """Everybody who submitted or edited any revision."""
    return frozenset(session.exec(select(Revision.author).where(Revision.application == application)))


def requirements_of(session: Session, application: Application) -> Sequence[RequirementRow]:
    """What the policy asked for when the current revision was submitted."""
    asked = requirements_of_all(session, [application.id])
    return [row for row in asked if row.revision == application.revision]


def votes_on(session: Session, application: UUID) -> Sequence[VoteRow]:
    """Every vote on any revision, in the order they were cast."""
    return votes_on_all(session, [application])


def requirements_of_all(session: Session, wanted: Collection[UUID]) -> Sequence[RequirementRow]:
    """What the policy asked for when any revision of these applications was submitted."""
    return session.exec(_REQUIREMENTS, params={"wanted": list(wanted)}).all()


def votes_on_all(session: Session, wanted: Collection[UUID]) -> Sequence[VoteRow]:
    """Every vote on any revision of these applications, in the order they were cast."""
    return session.exec(_VOTES, params={"wanted": list(wanted)}).all()


def grouped(rows: Iterable[Part]) -> dict[UUID, list[Part]]:
    """Rows by the application that they belong to, in their order."""
    found: dict[UUID, list[Part]] = {}
    for row in rows:
        found.setdefault(row.application, []).append(row)
    return found


def add_vote(session: Session, vote: VoteRow) -> None:
    """Writes a vote, past the session's bookkeeping: it is written once and never changed."""
    session.connection().execute(_INSERT_VOTE, vote.model_dump())


def update_draft(session: Session, application: Application, *, draft: str, title: str, request: str, now: datetime) -> bool:
    """Stores what the form holds, if the application still is as it was read; the version rises, so a second window notices.

    False when another writer was quicker: nothing of theirs is overwritten.
    """
    read_version = application.version
    result = session.execute(
        update(Application)
        .where(col(Application.id) == application.id, col(Application.version) == read_version)
        .values(draft=draft, title=title, request=request, version=read_version + 1, updated_at=now)
        .execution_options(synchronize_session="evaluate")
    )
    return cast(CursorResult[Any], result).rowcount == 1


def set_owner(session: Session, application: Application, owner: UUID, now: datetime) -> bool:
    """Puts somebody else in charge, if the application still is as it was read. False when another writer was quicker."""
    read_version = application.version
    result = session.execute(
        update(Application)
        .where(col(Application.id) == application.id, col(Application.version) == read_version)
        .values(owner=owner, version=read_version + 1, updated_at=now)
        .execution_options(synchronize_session="evaluate")
    )
    return cast(CursorResult[Any], result).rowcount == 1


def list_applications(session: Session, actor: Actor, page: Page) -> list[ListedApplication]:
    """The applications an actor may see, last changed first, one more than asked for when there are more."""
    query = (
        select(Application, Tenant.company, Environment.name, Person.name)
        .join(Person, col(Person.id) == col(Application.owner))
        .join(Environment, col(Environment.id) == col(Application.environment), isouter=True)
        .join(Tenant, col(Tenant.id) == col(Environment.tenant), isouter=True)
        .order_by(col(Application.updated_at).desc(), col(Application.id).desc())
        .limit(page.limit + 1)
    )
    conditions = [_visible_to(session, actor), *_filters(page)]
    if page.search:
        conditions.append(_found(session, actor, page.search))
    for condition in conditions:
        query = query.where(condition)
    return [
        ListedApplication(application, company, environment, owner) if company else _drafted(application, owner)
        for application, company, environment, owner in session.exec(query)
    ]


def _drafted(application: Application, owner: str) -> ListedApplication:
    """What was never submitted belongs to no environment yet; it names one, in its answers and in its title."""
    named = json.loads(application.draft).get("environment")
    environment = next((each.value for each in EnvironmentName if each == named), "")
    return ListedApplication(application, application.title.removesuffix(environment).rstrip(), environment, owner)


def waiting_for(
    session: Session, actor: Actor, groups: Collection[str], lent: Lent = NOTHING_LENT, limit: int = 200
) -> list[ListedApplication]:
    """Submitted applications that ask one of `groups`, the actor's, or of those lent to them, and that the actor can still
    decide on, longest waiting first. Own ones are left out."""
    assert actor.person_id is not None
    query = _queue(limit).where(*decidable(actor.person_id, groups, lent))
    return _listed(session, query)


def decidable(person: UUID, groups: Collection[str], lent: Lent = NOTHING_LENT) -> tuple[Any, ...]:
    """Conditions: submitted, asks one of these groups, and the person was an approver by then and has neither voted on it nor
    written any of it. With groups lent by a colleague, neither has the colleague.
    """
    seated = select(RoleGrant.id).where(
        RoleGrant.person == person,
        RoleGrant.role == Role.APPROVER.value,
        col(RoleGrant.granted_at) <= col(Application.submitted_at),
        col(RoleGrant.revoked_at).is_(None),
    )
    waiting = Application.status == Status.SUBMITTED.value
    asked = [_asks(groups), *(and_(_asks(theirs), *_untouched(giver)) for giver, theirs in lent.items())]
    return waiting, or_(*asked), seated.exists(), *_untouched(person)


def _asks(groups: Collection[str]) -> Any:
    asked = select(RequirementRow.id).where(
        col(RequirementRow.application) == col(Application.id),
        col(RequirementRow.revision) == col(Application.revision),
        col(RequirementRow.group_name).in_(sorted(groups)),
    )
    return asked.exists()


def _untouched(person: UUID) -> tuple[Any, Any]:
    voted = (
        select(VoteRow.id)
        .join(Revision, col(Revision.application) == col(VoteRow.application))
        .where(
            VoteRow.person == person,
            col(VoteRow.application) == col(Application.id),
            col(Revision.number) == col(Application.revision),
            col(VoteRow.revision) >= col(Revision.approvals_from),
        )
    )
    wrote = select(Revision.id).where(Revision.author == person, col(Revision.application) == col(Application.id))
    return ~voted.exists(), ~wrote.exists()


def all_open(session: Session, limit: int = 200) -> list[ListedApplication]:
    """Every submitted application, longest waiting first."""
    return _listed(session, _queue(limit).where(Application.status == Status.SUBMITTED.value))


def decided_by(session: Session, person: UUID, limit: int = 50) -> list[ListedApplication]:
    """What a person has decided on, latest first."""
    query = (
        select(Application, Tenant.company, Environment.name, Person.name)
        .join(VoteRow, col(VoteRow.application) == col(Application.id))
        .join(Person, col(Person.id) == col(Application.owner))
        .join(Environment, col(Environment.id) == col(Application.environment))
        .join(Tenant, col(Tenant.id) == col(Environment.tenant))
        .where(VoteRow.person == person)
        .order_by(col(VoteRow.at).desc(), col(VoteRow.id).desc())
        .limit(limit)
    )
    return _listed(session, query)


def in_hand(session: Session, environments: Collection[UUID]) -> list[ListedApplication]:
    """What was submitted for these environments and has led to no license yet, longest waiting first."""
    statuses = [Status.SUBMITTED.value, Status.CHANGES_REQUESTED.value, Status.APPROVED.value]
    return _listed(
        session,
        _queue(MOST_IN_HAND).where(col(Application.environment).in_(environments), col(Application.status).in_(statuses)),
    )


def submitted_since(session: Session, since: datetime) -> Sequence[Application]:
    """Every application that was last handed in since then, oldest first."""
    return session.exec(
        select(Application)
        .where(col(Application.submitted_at) >= since)
        .order_by(col(Application.submitted_at), col(Application.id))
    ).all()


def open_renewal_of(session: Session, application: UUID) -> Application | None:
    """A renewal of this application that is not closed."""
    closed = [Status.REJECTED.value, Status.WITHDRAWN.value, Status.REVOKED.value]
    return session.exec(
        select(Application)
        .where(Application.renews == application, col(Application.status).not_in(closed))
        .order_by(col(Application.id).desc())
        .limit(1)
    ).first()


def _queue(limit: int) -> Any:
    return (
        select(Application, Tenant.company, Environment.name, Person.name)
        .join(Person, col(Person.id) == col(Application.owner))
        .join(Environment, col(Environment.id) == col(Application.environment))
        .join(Tenant, col(Tenant.id) == col(Environment.tenant))
        .order_by(col(Application.submitted_at), col(Application.id))
        .limit(limit)
    )


def _listed(session: Session, query: Any) -> list[ListedApplication]:
    return [ListedApplication(*row) for row in session.exec(query)]


def _visible_to(session: Session, actor: Actor) -> Any:
    if may(actor, Permission.READ_ALL):
        # A draft is its owner's own business until it is submitted, also when it is withdrawn before that.
        return or_(col(Application.revision) > 0, col(Application.owner) == actor.person_id)
    mates = team_of(session, actor) - {actor.person_id}
    if not mates:
        return col(Application.owner) == actor.person_id
    return or_(
        col(Application.owner) == actor.person_id, and_(col(Application.owner).in_(mates), col(Application.revision) > 0)
    )


def _found(session: Session, actor: Actor, search: str) -> Any:
    """The condition: of a customer that is found by these words, or of this number. A draft has no customer yet: its owner
    finds it by its title."""
    looked_for = words.asked(search)
    drafts = select(Application.id).where(
        Application.owner == actor.person_id,
        Application.status == Status.DRAFT.value,
        col(Application.title).icontains(search, autoescape=True),
    )
    of_customer = words.of_environments(session, looked_for, col(Application.environment))
    if looked_for.environment:
        of_customer &= col(Environment.name) == looked_for.environment
    number = col(Application.number).in_(_numbers(session, search))
    return or_(of_customer, number, col(Application.id).in_(session.exec(drafts.limit(MOST_DRAFTS)).all()))


def _numbers(session: Session, search: str) -> list[str]:
    """The numbers that somebody may mean who types APP-2026-0142, 2026-0142 or 142."""
    said = _NUMBER.fullmatch(search.strip())
    if said is None:
        return []
    counters = session.exec(select(Counter.name).where(col(Counter.name).startswith("application-", autoescape=True)))
    years = [said["year"]] if said["year"] else [name.rpartition("-")[2] for name in counters]
    return [f"APP-{year}-{int(said['number']):04d}" for year in years]


def _filters(page: Page) -> list[Any]:
    filters: list[Any] = []
    if page.status:
        filters.append(col(Application.status) == page.status)
    if page.environment:
        filters.append(col(Environment.name) == page.environment)
    if page.after:
        filters.append(tuple_(col(Application.updated_at), col(Application.id)) < page.after)
    return filters
