"""Every message the desk has sent or tried to send."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading
from workflow.db.queries import deliveries
from workflow.domain.delivery import DeliveryState
from workflow.web.desk.access import Inside, Reader
from workflow.web.desk.shown.delivery import ShownDelivery, shown_delivery
from workflow.web.shared.paging import MAX_PAGE_SIZE, PAGE_SIZE, address, cursor_for, row_id
from workflow.web.shared.site import site_of
from workflow.web.shared.spreadsheets import csv_response

router = APIRouter()
STATES: Mapping[str, str] = {
    "": "All results",
    DeliveryState.ACCEPTED: "Accepted",
    DeliveryState.PREPARED: "Waiting",
    DeliveryState.SENDING: "Being sent",
    DeliveryState.REFUSED: "Refused",
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
    created_at: datetime


@router.get("/deliveries")
def show(
    request: Request,
    house: Inside,
    me: Reader,
    state: Annotated[str, Query()] = "",
    kind: Annotated[str, Query()] = "",
    cursor: Annotated[str, Query()] = "",
) -> Response:
    """One page of messages, newest first."""
    state, kind = state if state in STATES else "", kind if kind in KINDS else ""
    before = row_id(cursor) if cursor else None
    with reading(house.engine) as session:
        found = deliveries.list_deliveries(session, me.actor, state=state, kind=kind, before=before, limit=PAGE_SIZE + 1)
        rows = [
            Line(
                id=message.id,
                kind=KINDS.get(message.kind, message.kind.replace("_", " ").capitalize()),
                name=message.name,
                address=message.address,
                subject=message.subject,
                shown=shown_delivery(message, job, me.zone),
                number=application.number if application else "",
                created_at=message.created_at,
            )
            for message, job, application in found[:PAGE_SIZE]
        ]
    values = {"state": state, "kind": kind}
    more = len(found) > PAGE_SIZE
    return site_of(request).pages.page(
        request,
        "pages/desk/deliveries.html",
        rows=rows,
        state=state,
        kind=kind,
        states=list(STATES.items()),
        kinds=list(KINDS.items()),
        first=address("/deliveries", values) if cursor else None,
        next=address("/deliveries", {**values, "cursor": cursor_for((str(rows[-1].id),))}) if more else None,
        csv=address("/deliveries.csv", values),
    )


@router.get("/deliveries.csv")
def as_csv(house: Inside, me: Reader, state: Annotated[str, Query()] = "", kind: Annotated[str, Query()] = "") -> Response:
    """The newest messages as CSV."""
    with reading(house.engine) as session:
        found = deliveries.list_deliveries(
            session,
            me.actor,
            state=state if state in STATES else "",
            kind=kind if kind in KINDS else "",
            limit=MAX_PAGE_SIZE * 25,
        )
        rows = [
            (
                f"{message.created_at:%Y-%m-%d %H:%M:%S}",
                message.kind,
                message.address,
                message.channel,
                message.state,
                job.attempts,
                message.smtp_code,
                message.smtp_reply,
                application.number if application else "",
            )
            for message, job, application in found
        ]
    head = ("Created (UTC)", "Kind", "To", "Channel", "State", "Tries", "Code", "Answer", "Application")
    return csv_response("deliveries", head, rows)
