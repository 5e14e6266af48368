"""Every message the desk has sent or tried to send: the list with its filters, and the ledger of one message."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading
from workflow.db.queries import deliveries, ledger
from workflow.db.queries.ledger import Asked
from workflow.domain.application import LIVE, Status
from workflow.domain.delivery import CHANNEL_WORDS, DeliveryState
from workflow.domain.roles import Permission
from workflow.domain.terms import start_of_day
from workflow.services.delivery import LICENSE_DELIVERY
from workflow.web.desk.access import House, Inside, Me, Reader
from workflow.web.desk.shown.delivery import ShownDelivery, shown_attempt, shown_delivery, shown_report
from workflow.web.shared.paging import MAX_PAGE_SIZE, PAGE_SIZE, address, cursor_for, day, row_id, searched
from workflow.web.shared.site import site_of
from workflow.web.shared.spreadsheets import csv_response

router = APIRouter()
STATES: Mapping[str, str] = {
    "": "All results",
    DeliveryState.ACCEPTED: "Accepted",
    DeliveryState.PREPARED: "Waiting",
    DeliveryState.SENDING: "Being sent",
    DeliveryState.REFUSED: "Refused",
    DeliveryState.BOUNCED: "Came back",
    DeliveryState.IN_DOUBT: "Not known",
}
KINDS: Mapping[str, str] = {
    "": "All messages",
    "license_delivery": "License file or link",
    "portal_code": "Portal code",
    "expiry_reminder": "Expiry reminder",
    "approval_requested": "Approval requested",
    "approval_reminder": "Reminder of an approval",
    "approval_escalated": "Escalated approval",
    "digest_decisions": "Digest of what waits",
    "approved": "Approved",
    "changes_requested": "Sent back",
    "rejected": "Rejected",
    "withdrawn": "Withdrawn",
    "delivered": "Delivered",
    "activated": "Activated",
    "needs_attention": "Needs attention",
    "digest_troubles": "Digest of troubles",
    "not_activated": "Not activated",
    "revoked": "Revoked",
    "credentials_changed": "Account changed",
    "history_doubted": "Doubt about the history",
}
CHANNELS: Mapping[str, str] = {"": "All channels"} | {channel.value: words for channel, words in CHANNEL_WORDS.items()}
CSV_HEAD = (
    *(
        "Created (UTC)",
        "Kind",
        "To",
        "Channel",
        "Key",
        "State",
        "Tries",
        "Code",
        "Answer",
        "Accepted (UTC)",
        "Downloaded (UTC)",
    ),
    *("Message-ID", "Customer", "Application"),
)


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to; values that cannot be used narrow nothing."""

    state: str = ""
    kind: str = ""
    channel: str = ""
    customer: str = ""
    since: date | None = None
    until: date | None = None

    def values(self) -> dict[str, str]:
        """As query values."""
        days = {"since": self.since, "until": self.until}
        chosen = {"kind": self.kind, "state": self.state, "channel": self.channel, "customer": self.customer}
        return chosen | {name: at.isoformat() if at else "" for name, at in days.items()}

    def asked(self, zone: str) -> Asked:
        """As a question to the database: from the first moment of one day to the last of the other, in the reader's zone."""
        return Asked(
            self.state,
            self.kind,
            self.channel,
            self.customer,
            since=start_of_day(self.since, zone) if self.since else None,
            until=start_of_day(self.until + timedelta(days=1), zone) if self.until else None,
        )


def filters(
    state: Annotated[str, Query()] = "",
    kind: Annotated[str, Query()] = "",
    channel: Annotated[str, Query()] = "",
    customer: Annotated[str, Query()] = "",
    since: Annotated[str, Query()] = "",
    until: Annotated[str, Query()] = "",
) -> Filters:
    """The filters in the address."""
    return Filters(
        state if state in STATES else "",
        kind if kind in KINDS else "",
        channel if channel in CHANNELS else "",
        searched(customer),
        day(since),
        day(until),
    )


Chosen = Annotated[Filters, Depends(filters)]


@dataclass(frozen=True)
class Line:
    """One message."""

    id: UUID
    kind: str
    name: str
    address: str
    subject: str
    shown: ShownDelivery
    number: str
    company: str
    created_at: datetime

    @classmethod
    def of(cls, line: ledger.Line, zone: str) -> "Line":
        """A message in words."""
        message = line.message
        return cls(
            id=message.id,
            kind=KINDS.get(message.kind, message.kind.replace("_", " ").capitalize()),
            name=message.name,
            address=message.address,
            subject=message.subject,
            shown=shown_delivery(message, line.job, zone),
            number=line.application.number if line.application else "",
            company=line.tenant.company if line.tenant else "",
            created_at=message.created_at,
        )


@router.get("/deliveries")
def show(request: Request, house: Inside, me: Reader, chosen: Chosen, cursor: Annotated[str, Query()] = "") -> Response:
    """One page of messages, newest first."""
    before = row_id(cursor) if cursor else None
    with reading(house.engine) as session:
        found = ledger.page(session, me.actor, chosen.asked(me.zone), before=before, limit=PAGE_SIZE + 1)
        rows = [Line.of(each, me.zone) for each in found[:PAGE_SIZE]]
    values = chosen.values()
    more = len(found) > PAGE_SIZE
    return site_of(request).pages.page(
        request,
        "pages/desk/deliveries/list.html",
        rows=rows,
        chosen=chosen,
        filtered=chosen != Filters(),
        states=list(STATES.items()),
        kinds=list(KINDS.items()),
        channels=list(CHANNELS.items()),
        first=address("/deliveries", values) if cursor else None,
        next=address("/deliveries", {**values, "cursor": cursor_for((str(rows[-1].id),))}) if more else None,
        csv=address("/deliveries.csv", values),
    )


@router.get("/deliveries.csv")
def as_csv(house: Inside, me: Reader, chosen: Chosen) -> Response:
    """Everything that is asked for as CSV."""
    asked = chosen.asked(me.zone)
    return csv_response("deliveries", CSV_HEAD, _all(house, me, asked, _part(house, me, asked, None)))


@router.get("/deliveries/{delivery_id}")
def detail(request: Request, house: Inside, me: Reader, delivery_id: UUID) -> Response:
    """The ledger of one message: each attempt, each answer, and what came back."""
    with reading(house.engine) as session:
        line = ledger.get_visible(session, me.actor, delivery_id)
        message, application = line.message, line.application
        attempts = ledger.attempts_of(session, [message.id])[message.id]
        reports = ledger.bounces_of(session, [message.id])[message.id]
        link = deliveries.find_link_of(session, message.id)
        live = application is not None and Status(application.status) in LIVE
        row = Line.of(line, me.zone)
    return site_of(request).pages.page(
        request,
        "pages/desk/deliveries/detail.html",
        row=row,
        message=message,
        tenant=line.tenant,
        link=link,
        attempts=[shown_attempt(each) for each in attempts],
        reports=[shown_report(each) for each in reports],
        can_deliver=message.kind == LICENSE_DELIVERY and live and me.may(Permission.DELIVER),
    )


def _part(house: House, me: Me, asked: Asked, before: UUID | None) -> list[ledger.Line]:
    with reading(house.engine) as session:
        return ledger.page(session, me.actor, asked, before=before, limit=MAX_PAGE_SIZE)


def _all(house: House, me: Me, asked: Asked, part: list[ledger.Line]) -> Iterator[tuple[object, ...]]:
    """The first part was read before the answer begins: a refusal was still possible."""
    while part:
        yield from map(_cells, part)
        part = _part(house, me, asked, part[-1].message.id) if len(part) == MAX_PAGE_SIZE else []


def _cells(line: ledger.Line) -> tuple[object, ...]:
    message = line.message
    times = [f"{each:%Y-%m-%d %H:%M:%S}" if each else "" for each in (message.sent_at, message.downloaded_at)]
    return (
        *(f"{message.created_at:%Y-%m-%d %H:%M:%S}", message.kind, message.address, message.channel, message.fingerprint),
        *(message.state, line.job.attempts, message.smtp_code, message.smtp_reply, *times, message.message_id),
        *(line.tenant.tenant_id if line.tenant else "", line.application.number if line.application else ""),
    )
