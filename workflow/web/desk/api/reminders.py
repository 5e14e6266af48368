"""Reminders: who was told of the end of which license, when, and with what result."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading
from workflow.db.queries import reminders
from workflow.db.queries.reminders import ListedReminder
from workflow.web.desk.api.caller import Inside, Reader
from workflow.web.desk.api.listing import Listing, Source, Wanted
from workflow.web.shared.paging import CursorUnusable, cursor_for, instant_from, key_from

router = APIRouter(tags=["reminders"])
CSV_HEAD = ("License ID", "Version", "Last usable day", "Days ahead", "Recipient", "State", "Reason", "Sent", "Acknowledged")


class ReminderDocument(BaseModel):
    """One reminder to one person. `days_ahead` -1 is the notice that the license has ended."""

    license_id: str
    version: int
    application: str
    last_day: date
    days_ahead: int
    name: str
    address: str
    state: str = Field(description="queued, sent, skipped or failed")
    reason: str | None
    created_at: datetime
    sent_at: datetime | None
    acknowledged_at: datetime | None


@router.get("/reminders", response_model=Listing[ReminderDocument], summary="List reminders")
def list_reminders(
    request: Request,
    response: Response,
    house: Inside,
    who: Reader,
    wanted: Wanted,
    license_id: Annotated[str, Query(max_length=40)] = "",
) -> Listing[ReminderDocument] | Response:
    """Reminders of licenses the caller may see, latest first. `Accept: text/csv` gives all of them as CSV."""

    def read(cursor: str, limit: int) -> list[ListedReminder]:
        after = _after(cursor) if cursor else None
        with reading(house.engine) as session:
            return reminders.page(session, who.actor, license_id=license_id, after=after, limit=limit)

    source = Source("reminders", read, _cursor, _document, CSV_HEAD, _cells)
    return source.answer(request, wanted, response)


def _document(listed: ListedReminder) -> ReminderDocument:
    reminder, issued, application = listed
    return ReminderDocument(
        license_id=issued.license_id,
        version=issued.version,
        application=application.number,
        last_day=reminder.expiry,
        days_ahead=reminder.days_ahead,
        name=reminder.name,
        address=reminder.recipient,
        state=reminder.state,
        reason=reminder.reason,
        created_at=reminder.created_at,
        sent_at=reminder.sent_at,
        acknowledged_at=reminder.acknowledged_at,
    )


def _cursor(listed: ListedReminder) -> str:
    row = listed[0]
    return cursor_for((row.created_at.isoformat(), str(row.license), row.days_ahead, row.recipient))


def _after(cursor: str) -> reminders.Position:
    at, license_row, days, recipient = key_from(cursor, (str, str, int, str))
    try:
        row = UUID(str(license_row))
    except ValueError:
        raise CursorUnusable from None
    return instant_from(at), row, int(days), str(recipient)


def _cells(row: ReminderDocument) -> tuple[object, ...]:
    times = [each.isoformat() if each else "" for each in (row.sent_at, row.acknowledged_at)]
    return (row.license_id, row.version, row.last_day, row.days_ahead, row.address, row.state, row.reason, *times)
