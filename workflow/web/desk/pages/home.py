"""The first page after sign-in: what needs this person, by their roles."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading
from workflow.db.queries import applications as application_queries
from workflow.db.queries import directory, licenses, overview, queues
from workflow.db.queries.licenses import ListedLicense
from workflow.db.queries.queues import Queue
from workflow.db.tables import Application
from workflow.domain.application import Status
from workflow.domain.roles import Permission
from workflow.domain.terms import day_in
from workflow.errors import NotFound
from workflow.services import second_factor
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import House, Inside, Me, SignedIn
from workflow.web.desk.pages.approvals import QueueItem, queue_item
from workflow.web.desk.shown.checks import days_left
from workflow.web.desk.shown.states import STANDING_BADGES, Badge, Step, simple_steps, status_badge
from workflow.web.shared.site import site_of

router = APIRouter()
AHEAD = timedelta(days=30)
LATE = timedelta(minutes=1)
WEEK = timedelta(days=7)
SHOWN = 6


@dataclass(frozen=True)
class Need:
    """Something that waits for this person."""

    icon: str
    title: str
    detail: str
    link: str
    action: str


@dataclass(frozen=True)
class OpenOne:
    """One of the person's open applications."""

    number: str
    title: str
    badge: Badge
    steps: tuple[Step, ...]
    updated_at: datetime
    attention: bool


@dataclass(frozen=True)
class Liaison:
    """What a liaison sees."""

    needs: Sequence[Need]
    open: Sequence[OpenOne]


@dataclass(frozen=True)
class Approver:
    """What an approver sees."""

    waiting: Sequence[QueueItem]
    total: int
    decided_this_week: int
    second_factor_missing: bool
    """Votes on PROD need one, and this approver has none."""


@dataclass(frozen=True)
class Operator:
    """What an operator sees."""

    owed: Queue
    late_seconds: float
    unconfirmed: int


@dataclass(frozen=True)
class File:
    """A license an administrator of a customer can fetch."""

    listed: ListedLicense
    badge: Badge
    left: str


@router.get("/")
def show(request: Request, house: Inside, me: SignedIn) -> Response:
    """The page."""
    with reading(house.engine) as session:
        liaison = _liaison(session, me) if me.may(Permission.APPLY) else None
        approver = _approver(session, house, me) if me.may(Permission.DECIDE) else None
        operator = _operator(session) if me.may(Permission.OPERATE) else None
        files = _files(session, me)
    return site_of(request).pages.page(
        request, "pages/desk/home.html", liaison=liaison, approver=approver, operator=operator, files=files
    )


@router.get("/{path:path}", include_in_schema=False)
def unknown(me: SignedIn, path: str) -> Response:
    """Any other address: the error page then has the navigation, and only for people who may see it."""
    raise NotFound("Check the address, or start again from the home page.")


def _liaison(session: Session, me: Me) -> Liaison:
    own = overview.open_of(session, me.person_id)
    return Liaison(needs=[*_waiting_on(own), *_ending(session, me)], open=[_open_one(each) for each in own])


def _waiting_on(own: Sequence[Application]) -> list[Need]:
    needs = []
    for each in own:
        if each.attention:
            needs.append(Need("triangle-alert", each.title, each.attention, f"/applications/{each.number}", "Look at it"))
        elif each.status == Status.CHANGES_REQUESTED.value:
            detail = f"{each.number} was sent back by an approver."
            needs.append(Need("undo-2", each.title, detail, f"/applications/{each.number}/edit", "Edit and submit again"))
    return needs


def _ending(session: Session, me: Me) -> list[Need]:
    now = utc_now()
    needs = []
    for listed, successor, renewal in directory.ending_between(session, me.actor, now, now + AHEAD, limit=50):
        if successor is None and renewal is None and listed.application.owner == me.person_id:
            today = day_in(listed.issued.time_zone, now)
            title = f"{listed.tenant.company} {listed.environment.name}"
            detail = f"Version {listed.issued.version} has {days_left(listed.issued.last_day, today)} and no renewal."
            needs.append(Need("calendar-clock", title, detail, f"/licenses/{listed.issued.license_id}#renew", "Start renewal"))
    return needs


def _open_one(each: Application) -> OpenOne:
    return OpenOne(
        number=each.number,
        title=each.title or "No customer chosen yet",
        badge=status_badge(each.status),
        steps=simple_steps(each.status),
        updated_at=each.updated_at,
        attention=bool(each.attention),
    )


def _approver(session: Session, house: House, me: Me) -> Approver:
    now = utc_now()
    waiting = application_queries.waiting_for(session, me.actor, me.groups, me.lent, limit=SHOWN)
    return Approver(
        waiting=[queue_item(each, now) for each in waiting],
        total=me.waiting,
        decided_this_week=overview.decided_since(session, me.person_id, now - WEEK),
        second_factor_missing=house.settings.second_factor_for_prod and not second_factor.is_on(session, me.person_id),
    )


def _operator(session: Session) -> Operator:
    now = wall_now()
    owed = queues.totals(queues.all_queues(session))
    waited = owed.lag(now)
    return Operator(
        owed=owed,
        late_seconds=waited.total_seconds() if waited > LATE else 0.0,
        unconfirmed=overview.count_unconfirmed(session),
    )


def _files(session: Session, me: Me) -> list[File] | None:
    """None for people who are no customer's administrator."""
    if me.actor.tenant is None:
        return None
    found = []
    for listed in licenses.files_for_tenant(session, me.actor.tenant):
        today = day_in(listed.issued.time_zone, utc_now())
        found.append(File(listed, STANDING_BADGES[listed.issued.standing], days_left(listed.issued.last_day, today)))
    return found
