"""Votes: what approvers say about an application."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading
from workflow.db.queries import applications as queries
from workflow.db.queries import people
from workflow.domain.approvals import Choice, Outcome
from workflow.services import confirming, decisions, refusals
from workflow.services.delegations import NotTheirDelegate
from workflow.times import utc_now
from workflow.web.desk.api.caller import Approver, Inside, Reader
from workflow.web.desk.api.listing import Listing
from workflow.web.desk.api.request_body import Strict
from workflow.web.desk.api.shapes import ApplicationDocument, application_document
from workflow.web.desk.api.writing import Answer, Writing, etag

router = APIRouter(tags=["applications"])


class VoteBody(Strict):
    """One person's word on the revision they read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"choice": "approve", "revision": 1, "comment": ""}]})

    choice: Choice
    revision: int = Field(ge=1, description="The revision you read; a vote on a replaced one is refused.")
    comment: str = Field(default="", description="Needed to send back or to reject.")
    on_behalf_of: str | None = Field(
        default=None, description="The e-mail address of the colleague out of office for whom you decide, if you act for one."
    )


class VoteDocument(BaseModel):
    """A vote as it was cast."""

    person: str
    on_behalf_of: str | None = Field(description="The colleague out of office for whom the person decided.")
    choice: Choice
    revision: int
    comment: str
    content_digest: str
    channel: str
    at: datetime


class DecisionDocument(BaseModel):
    """What all votes come to, and the application as it is now."""

    outcome: Outcome
    missing: list[str] = Field(description="What still has to be met, in the policy's words.")
    application: ApplicationDocument


@router.get("/applications/{number}/votes", summary="List the votes on an application")
def list_votes(house: Inside, who: Reader, number: str) -> Listing[VoteDocument]:
    """Every vote on any revision, in the order they were cast."""
    with reading(house.engine) as session:
        application = queries.get_visible(session, who.actor, number)
        rows = queries.votes_on(session, application.id)
        names = people.names_of(session, [each for row in rows for each in (row.person, row.on_behalf_of) if each])
    return Listing(
        items=[
            VoteDocument(
                person=names[row.person],
                on_behalf_of=names[row.on_behalf_of] if row.on_behalf_of else None,
                choice=Choice(row.choice),
                revision=row.revision,
                comment=row.comment,
                content_digest=row.content_digest,
                channel=row.channel,
                at=row.at,
            )
            for row in rows
        ]
    )


@router.post("/applications/{number}/votes", status_code=201, response_model=DecisionDocument, summary="Decide")
def vote(request: Request, house: Inside, who: Approver, writing: Writing, number: str, body: VoteBody) -> Response:
    """Approves, sends back or rejects. Nobody decides on what they submitted or edited, and everybody decides once.

    Votes on PROD are cast on the page, where the person shows who they are."""

    def effect(session: Session) -> Answer:
        application = queries.get_visible(session, who.actor, number)
        writing.require_match(session, application)
        confirming.require_person(session, application)
        decision = decisions.vote(
            session,
            who.actor,
            house.desk,
            application,
            body.choice,
            comment=body.comment,
            seen_revision=body.revision,
            seen_version=application.version,
            now=now,
            on_behalf_of=acting_for,
        )
        document = DecisionDocument(
            outcome=decision.outcome,
            missing=list(decision.still_needed),
            application=application_document(session, request, application),
        )
        return Answer(document, 201, etag(application))

    now = utc_now()
    with reading(house.engine) as session:
        acting_for = _colleague(session, body.on_behalf_of)
    with refusals.kept(house.engine, who.actor, number, body.choice, body.revision, acting_for, now):
        return writing.once(effect)


def _colleague(session: Session, address: str | None) -> UUID | None:
    """For whom a vote is cast. Raises NotTheirDelegate for an address that nobody has: it may not be found out who is here."""
    if address is None:
        return None
    found = people.find_person_by_email(session, address)
    if found is None:
        raise NotTheirDelegate
    return found.id
