"""The list of applications: search and filters in the address, pages by key, and the same list as CSV."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading
from workflow.db.queries import applications
from workflow.domain.application import Status
from workflow.domain.terms import EnvironmentName
from workflow.web.desk.access import House, Inside, Me, Reader
from workflow.web.desk.shown.form import ENVIRONMENT_CHOICES
from workflow.web.desk.shown.states import REQUEST_WORDS, STATUS_BADGES, Badge, Step, simple_steps, status_badge
from workflow.web.shared.paging import MAX_PAGE_SIZE, PAGE_SIZE, Key, address, cursor_for, time_and_id
from workflow.web.shared.site import site_of
from workflow.web.shared.spreadsheets import csv_response

router = APIRouter()
STATE_CHOICES = [("", "All states"), *((status.value, badge.text) for status, badge in STATUS_BADGES.items())]
LONGEST_SEARCH = 100


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to; unknown values narrow nothing."""

    search: str = ""
    state: str = ""
    environment: str = ""

    def values(self) -> dict[str, str]:
        """As query values."""
        return {"q": self.search, "state": self.state, "environment": self.environment}


def filters(
    q: Annotated[str, Query()] = "", state: Annotated[str, Query()] = "", environment: Annotated[str, Query()] = ""
) -> Filters:
    """The filters in the address."""
    return Filters(
        q.strip()[:LONGEST_SEARCH],
        state if state in [each.value for each in Status] else "",
        environment if environment in [each.value for each in EnvironmentName] else "",
    )


@dataclass(frozen=True)
class Line:
    """One row of the list."""

    number: str
    title: str
    environment: str
    request: str
    badge: Badge
    steps: tuple[Step, ...]
    updated_at: datetime
    owner: str
    attention: bool


def line(listed: applications.ListedApplication) -> Line:
    """A listed application in words."""
    row = listed.application
    return Line(
        number=row.number,
        title=listed.company or "No customer chosen yet",
        environment=listed.environment,
        request=REQUEST_WORDS.get(row.request, row.request),
        badge=status_badge(row.status),
        steps=simple_steps(row.status),
        updated_at=row.updated_at,
        owner=listed.owner,
        attention=bool(row.attention),
    )


@router.get("/applications")
def show(
    request: Request,
    house: Inside,
    me: Reader,
    chosen: Annotated[Filters, Depends(filters)],
    cursor: Annotated[str, Query()] = "",
) -> Response:
    """One page of the list."""
    with reading(house.engine) as session:
        found = applications.list_applications(session, me.actor, _page(chosen, cursor, PAGE_SIZE))
    rows, more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
    path = "/applications"
    return site_of(request).pages.page(
        request,
        "pages/desk/applications/list.html",
        rows=[line(each) for each in rows],
        chosen=chosen,
        filtered=chosen != Filters(),
        states=STATE_CHOICES,
        environments=ENVIRONMENT_CHOICES,
        first=address(path, chosen.values()) if cursor else None,
        next=address(path, {**chosen.values(), "cursor": cursor_for(_key(rows[-1]))}) if more else None,
        csv=address("/applications.csv", chosen.values()),
    )


@router.get("/applications.csv")
def as_csv(house: Inside, me: Reader, chosen: Annotated[Filters, Depends(filters)]) -> Response:
    """The whole filtered list, read page by page while it is sent."""
    head = ("Application", "Customer", "Environment", "Type", "State", "Owner", "Updated (UTC)")
    return csv_response("applications", head, _all_rows(house, me, chosen))


def _all_rows(house: House, me: Me, chosen: Filters) -> Iterator[Sequence[object]]:
    cursor = ""
    while True:
        with reading(house.engine) as session:
            found = applications.list_applications(session, me.actor, _page(chosen, cursor, MAX_PAGE_SIZE))
        for each in found[:MAX_PAGE_SIZE]:
            row = line(each)
            yield (
                row.number,
                row.title,
                row.environment,
                row.request,
                row.badge.text,
                row.owner,
                f"{row.updated_at:%Y-%m-%d %H:%M:%S}",
            )
        if len(found) <= MAX_PAGE_SIZE:
            return
        cursor = cursor_for(_key(found[MAX_PAGE_SIZE - 1]))


def _page(chosen: Filters, cursor: str, limit: int) -> applications.Page:
    after = None
    if cursor:
        after = time_and_id(cursor)
    return applications.Page(chosen.search, chosen.state, chosen.environment, after, limit)


def _key(listed: applications.ListedApplication) -> Key:
    return (listed.application.updated_at.isoformat(), str(listed.application.id))
