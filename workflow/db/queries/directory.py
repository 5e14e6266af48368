"""Customers and licenses as people look for them: searched, filtered, page by page, or by the end that comes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import false, or_, tuple_
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from workflow.db.queries import applications, words
from workflow.db.queries.customers import place_of
from workflow.db.queries.licenses import ListedLicense
from workflow.db.queries.people import team_of
from workflow.db.tables import Application, Environment, IssuedLicense, Reminder, Tenant
from workflow.domain.application import Standing, Status
from workflow.domain.roles import Actor, Permission, may
from workflow.errors import NotFound


def search_tenants(
    session: Session, *, search: str = "", after: tuple[str, UUID] | None = None, limit: int = 25
) -> Sequence[Tenant]:
    """Customers by company, from the one after `after` on; one more than asked for when there are more."""
    query = select(Tenant).order_by(Tenant.company, col(Tenant.id)).limit(limit + 1)
    if search:
        query = query.where(words.of_tenants(session, words.asked(search), col(Tenant.id)))
    if after is not None:
        query = query.where(tuple_(col(Tenant.company), col(Tenant.id)) > after)
    return session.exec(query).all()


def page_of_licenses(
    session: Session,
    actor: Actor,
    *,
    search: str = "",
    standing: str = "",
    environment: str = "",
    after: tuple[datetime, UUID] | None = None,
    limit: int = 25,
) -> list[ListedLicense]:
    """The licenses an actor may see, those that end last on top; one more than asked for when there are more."""
    query = _licenses(session, actor).order_by(col(IssuedLicense.valid_until).desc(), col(IssuedLicense.id).desc())
    if standing:
        query = query.where(IssuedLicense.standing == standing)
    if environment:
        query = query.where(Environment.name == environment)
    if search:
        query = query.where(*_found(session, search))
    if after is not None:
        query = query.where(tuple_(col(IssuedLicense.valid_until), col(IssuedLicense.id)) < after)
    return [ListedLicense(*row) for row in session.exec(query.limit(limit + 1))]


def _found(session: Session, search: str) -> list[Any]:
    """Conditions: of the platform with this License ID, or of a customer that is found by these words."""
    named = session.exec(select(Environment.id).where(Environment.license_id == search.strip().upper())).first()
    if named is not None:
        return [IssuedLicense.environment == named]
    looked_for = words.asked(search)
    places = [col(Environment.name) == looked_for.environment] if looked_for.environment else []
    return [words.of_environments(session, looked_for, col(IssuedLicense.environment)), *places]


def versions_visible_to(session: Session, actor: Actor, license_id: str) -> list[ListedLicense]:
    """The versions of a License ID that an actor may see, newest first. Raises NotFound when there is none of them."""
    query = _licenses(session, actor).where(IssuedLicense.license_id == license_id).order_by(col(IssuedLicense.version).desc())
    found = [ListedLicense(*row) for row in session.exec(query)]
    if not found:
        raise NotFound(f"There is no license {license_id[:40]}.")
    return found


def version_visible_to(session: Session, actor: Actor, license_id: str, version: int) -> ListedLicense:
    """One version of a License ID. Raises NotFound when there is none that the actor may see."""
    for each in versions_visible_to(session, actor, license_id):
        if each.issued.version == version:
            return each
    raise NotFound(f"There is no version {version} of {license_id[:40]}.")


def ending_between(
    session: Session, actor: Actor, start: datetime, end: datetime, limit: int = 500
) -> list[tuple[ListedLicense, IssuedLicense | None, Application | None]]:
    """Licenses that end in a time, first ones first, each with its successor and its newest open renewal, if any.

    A superseded or revoked license has no end that anybody must act on, so it is left out.
    """
    query = (
        _licenses(session, actor)
        .where(
            col(IssuedLicense.valid_until) >= start,
            col(IssuedLicense.valid_until) < end,
            col(IssuedLicense.standing).in_([Standing.ISSUED, Standing.SCHEDULED, Standing.ACTIVATED, Standing.EXPIRED]),
        )
        .order_by(col(IssuedLicense.valid_until), col(IssuedLicense.id))
        .limit(limit)
    )
    listed = [ListedLicense(*row) for row in session.exec(query)]
    ids = [each.issued.license_id for each in listed]
    newer: dict[str, list[IssuedLicense]] = {}
    for row in session.exec(select(IssuedLicense).where(col(IssuedLicense.license_id).in_(ids))):
        newer.setdefault(row.license_id, []).append(row)
    renewals = {
        row.renews: row
        for row in session.exec(
            select(Application)
            .where(
                col(Application.renews).in_([each.application.id for each in listed]),
                col(Application.status).not_in([Status.REJECTED.value, Status.WITHDRAWN.value]),
            )
            .order_by(col(Application.id))
        )
    }
    return [
        (
            each,
            max(
                (row for row in newer[each.issued.license_id] if row.version > each.issued.version),
                key=lambda row: row.version,
                default=None,
            ),
            renewals.get(each.application.id),
        )
        for each in listed
    ]


def reminders_of(session: Session, licenses: Collection[UUID]) -> dict[UUID, list[Reminder]]:
    """The reminders of these licenses, by license."""
    found: dict[UUID, list[Reminder]] = {}
    for row in session.exec(select(Reminder).where(col(Reminder.license).in_(licenses))):
        found.setdefault(row.license, []).append(row)
    return found


def _licenses(session: Session, actor: Actor) -> Any:
    """The licenses an actor may know of: all, those of the customer whose administrator they are, or those that
    they or their team applied for."""
    query = (
        select(IssuedLicense, Application, Tenant, Environment)
        .join(Application, col(Application.id) == col(IssuedLicense.application))
        .join(Environment, col(Environment.id) == col(IssuedLicense.environment))
        .join(Tenant, col(Tenant.id) == col(Environment.tenant))
        .options(defer(IssuedLicense.envelope), defer(IssuedLicense.payload))  # type: ignore[arg-type]  # mapped columns
    )
    if may(actor, Permission.READ_ALL):
        return query
    mine: list[Any] = [col(Application.owner).in_(team_of(session, actor))] if may(actor, Permission.READ_OWN) else []
    if actor.tenant is not None:
        mine.append(col(Tenant.id) == actor.tenant)
    return query.where(or_(false(), *mine))


@dataclass(frozen=True)
class Platform:
    """An environment with the license it runs on, if any, and the number of the application behind that."""

    environment: Environment
    version: int | None = None
    last_day: date | None = None
    number: str = ""
    in_hand: tuple[str, ...] = ()
    """the numbers of applications that were submitted and have led to no license yet"""


def platforms_of(session: Session, tenants: Collection[UUID]) -> dict[UUID, list[Platform]]:
    """The platforms of these customers, by customer: DEV, UAT, PROD, then by label. Three queries, however many there are."""
    environments = session.exec(select(Environment).where(col(Environment.tenant).in_(tenants))).all()
    runs_on: dict[UUID, tuple[bool, int, date, str]] = {}
    found = session.exec(
        select(IssuedLicense, Application.number)
        .join(Application, col(Application.id) == col(IssuedLicense.application))
        .where(
            col(IssuedLicense.environment).in_([each.id for each in environments]),
            col(IssuedLicense.standing).in_([Standing.ISSUED, Standing.SCHEDULED, Standing.ACTIVATED, Standing.EXPIRED]),
        )
        .options(defer(IssuedLicense.envelope), defer(IssuedLicense.payload))  # type: ignore[arg-type]  # mapped columns
    )
    for issued, number in found:
        here = (issued.standing == Standing.ACTIVATED, issued.version, issued.last_day, number)
        runs_on[issued.environment] = max(here, runs_on.get(issued.environment, here))
    waiting: dict[UUID | None, list[str]] = {}
    for listed in applications.in_hand(session, [each.id for each in environments]):
        waiting.setdefault(listed.application.environment, []).append(listed.application.number)
    platforms: dict[UUID, list[Platform]] = {}
    for each in sorted(environments, key=place_of):
        current = runs_on.get(each.id)
        found_here = Platform(each, *current[1:]) if current else Platform(each)
        platforms.setdefault(each.tenant, []).append(replace(found_here, in_hand=tuple(waiting.get(each.id, ()))))
    return platforms
