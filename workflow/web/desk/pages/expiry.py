"""The expiry page: what ends, who was reminded, what has no renewal."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading
from workflow.db.queries import directory, reminders
from workflow.domain.reminders import ReminderState
from workflow.times import utc_now
from workflow.web.desk.access import Inside, Me, Reader
from workflow.web.desk.pages.licenses import REMINDER_BADGES
from workflow.web.desk.shown.form import ENVIRONMENT_CHOICES
from workflow.web.desk.shown.timeline import (
    WINDOW,
    Ending,
    axis_of,
    groups_of,
    weeks_in_words,
    weeks_of,
    within,
)
from workflow.web.shared.paging import address
from workflow.web.shared.site import site_of
from workflow.web.shared.spreadsheets import csv_response

router = APIRouter()
RENEWAL_CHOICES = [("", "Any renewal state"), ("none", "Without a renewal"), ("open", "With a renewal")]
LOOK_BACK = timedelta(days=30)
LOG_LENGTH = 30


@router.get("/expiry")
def show(
    request: Request,
    house: Inside,
    me: Reader,
    environment: Annotated[str, Query()] = "",
    renewal: Annotated[str, Query()] = "",
    days: Annotated[str, Query()] = "",
) -> Response:
    """Tiles, weeks, timeline and the log of reminders."""
    now = utc_now()
    today = now.date()
    with reading(house.engine) as session:
        everything = _endings(session, me, now)
        log = reminders.recent(session, me.actor, LOG_LENGTH)
    chosen = _filtered(everything, today, environment, renewal, days)
    coming = [each for each in everything if not each.ended]
    weeks = weeks_of(coming, today)
    failed = [row for row, _, _ in log if row.state == ReminderState.FAILED]
    return site_of(request).pages.page(
        request,
        "pages/desk/expiry.html",
        tiles=[(n, within(everything, today, n)) for n in (7, 30, 90)],
        ended=[each for each in everything if each.ended and not each.renewed],
        failed=len(failed),
        told=len(log),
        weeks=weeks,
        weeks_label=weeks_in_words(weeks),
        axis=axis_of(today),
        groups=groups_of(chosen, today, house.desk.reminder_days),
        anything=bool(everything),
        log=[(row, issued, application, REMINDER_BADGES[row.state]) for row, issued, application in log],
        environment=environment,
        renewal=renewal,
        environments=ENVIRONMENT_CHOICES,
        renewals=RENEWAL_CHOICES,
        start=today,
        end=today + timedelta(days=WINDOW),
        csv=address("/expiry.csv", {"environment": environment, "renewal": renewal, "days": days}),
        steps=house.desk.reminder_days,
    )


@router.get("/expiry.csv")
def as_csv(
    house: Inside,
    me: Reader,
    environment: Annotated[str, Query()] = "",
    renewal: Annotated[str, Query()] = "",
    days: Annotated[str, Query()] = "",
) -> Response:
    """The same licenses as CSV."""
    now = utc_now()
    with reading(house.engine) as session:
        chosen = _filtered(_endings(session, me, now), now.date(), environment, renewal, days)
    head = ("License ID", "Version", "Customer", "Environment", "Last usable day", "Successor", "Renewal")
    return csv_response("expiry", head, _rows(chosen))


def _endings(session: Session, me: Me, now: datetime) -> list[Ending]:
    found = directory.ending_between(session, me.actor, now - LOOK_BACK, now + timedelta(days=WINDOW + 1))
    told = directory.reminders_of(session, [listed.issued.id for listed, _, _ in found])
    return [
        Ending(
            license_id=listed.issued.license_id,
            version=listed.issued.version,
            company=listed.tenant.company,
            environment=listed.environment.name,
            last_day=listed.issued.last_day,
            ended=listed.issued.valid_until <= now,
            successor_version=successor.version if successor else None,
            successor_standing=successor.standing if successor else "",
            renewal_number=application.number if application else "",
            renewal_status=application.status if application else "",
            reminders=told.get(listed.issued.id, []),
        )
        for listed, successor, application in found
    ]


def _filtered(endings: Sequence[Ending], today: date, environment: str, renewal: str, days: str) -> list[Ending]:
    chosen = list(endings)
    if environment:
        chosen = [each for each in chosen if each.environment == environment]
    if renewal:
        wanted = renewal == "open"
        chosen = [each for each in chosen if (each.renewed or bool(each.renewal_number)) is wanted]
    if days == "ended":
        return [each for each in chosen if each.ended and not each.renewed]
    return within(chosen, today, int(days)) if days in ("7", "30", "90") else chosen


def _rows(endings: Sequence[Ending]) -> Iterator[Sequence[object]]:
    for each in endings:
        yield (
            each.license_id,
            each.version,
            each.company,
            each.environment,
            each.last_day,
            each.successor_version,
            each.renewal_number,
        )
