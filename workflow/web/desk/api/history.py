"""What happened to an application: its events, its revisions, and how the file gets on with each recipient."""

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from workflow.database import reading
from workflow.db.queries import applications, deliveries, events, people
from workflow.db.queries.deliveries import RecipientState
from workflow.domain.content import content_from, request_document
from workflow.domain.delivery import Channel
from workflow.domain.events import JobState
from workflow.web.desk.api.caller import Inside, Reader
from workflow.web.desk.api.listing import Listing

router = APIRouter(tags=["applications"])


class EventDocument(BaseModel):
    """A fact, chained to the one before it by its hash."""

    sequence: int
    type: str = Field(examples=["license.issued"])
    at: datetime
    actor: str
    channel: str
    payload: dict[str, Any]
    previous: str
    hash: str


class RevisionDocument(BaseModel):
    """What was submitted, word for word."""

    number: int
    author: str
    created_at: datetime
    content_digest: str = Field(description="SHA-256 of the licensed content: what an approval binds to.")
    terms: dict[str, Any]
    defaults: dict[str, Any]


class DeliveryDocument(BaseModel):
    """The latest attempt to hand the file to one recipient."""

    recipient: str
    address: str
    channel: Channel | None = Field(description="smime, openpgp or portal; null while no message was built.")
    state: str = Field(description="prepared, sending, accepted, in_doubt or refused; waiting before that.")
    round: int
    attempts: int
    message_id: str | None
    reply: str | None = Field(description="The mail server's last words.")
    sent_at: datetime | None
    downloaded_at: datetime | None
    job: str
    job_state: str
    next_at: datetime | None = Field(description="When it is tried again, if it will be.")


@router.get("/applications/{number}/events", summary="Read the history of an application")
def list_events(
    house: Inside,
    who: Reader,
    number: str,
    after: Annotated[int, Query(ge=0, description="Only events with a higher sequence, for following along.")] = 0,
) -> Listing[EventDocument]:
    """Every event, oldest first. `hash` is SHA-256 over what the event says and `previous`."""
    with reading(house.engine) as session:
        application = applications.get_visible(session, who.actor, number)
        rows = events.of_stream(session, str(application.id))
    return Listing(
        items=[
            EventDocument(
                sequence=row.sequence,
                type=row.type,
                at=row.at,
                actor=row.actor_name,
                channel=row.channel,
                payload=json.loads(row.payload),
                previous=row.previous,
                hash=row.hash,
            )
            for row in rows
            if row.sequence > after
        ]
    )


@router.get("/applications/{number}/revisions", summary="Read what was submitted")
def list_revisions(house: Inside, who: Reader, number: str) -> Listing[RevisionDocument]:
    """Every revision, oldest first."""
    with reading(house.engine) as session:
        application = applications.get_visible(session, who.actor, number)
        rows = applications.revisions_of(session, application.id)
        names = people.names_of(session, [row.author for row in rows])
    found = []
    for row in rows:
        content = content_from(json.loads(row.content))
        found.append(
            RevisionDocument(
                number=row.number,
                author=names[row.author],
                created_at=row.created_at,
                content_digest=row.content_digest,
                terms=request_document(content.request),
                defaults=dict(vars(content.defaults)),
            )
        )
    return Listing(items=found)


@router.get("/applications/{number}/deliveries", summary="Read how the file gets on")
def list_deliveries(house: Inside, who: Reader, number: str) -> Listing[DeliveryDocument]:
    """One entry for each recipient, once the license is issued."""
    with reading(house.engine) as session:
        application = applications.get_visible(session, who.actor, number)
        return Listing(items=[_delivery(each) for each in deliveries.license_deliveries(session, application.id)])


def _delivery(each: RecipientState) -> DeliveryDocument:
    job, message = each.job, each.delivery
    return DeliveryDocument(
        recipient=each.recipient.name,
        address=each.recipient.address,
        channel=Channel(message.channel) if message else None,
        state=message.state if message else "waiting",
        round=message.round if message else 1,
        attempts=job.attempts,
        message_id=message.message_id if message else None,
        reply=f"{message.smtp_code or ''} {message.smtp_reply or ''}".strip() or None if message else job.last_error,
        sent_at=message.sent_at if message else None,
        downloaded_at=message.downloaded_at if message else None,
        job=str(job.id),
        job_state=job.state,
        next_at=job.next_at if job.state == JobState.PENDING else None,
    )
