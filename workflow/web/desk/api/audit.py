"""The history of everything, for people who may read it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading
from workflow.db.queries.trail import Asked
from workflow.services import trail
from workflow.services.trail import Line
from workflow.web.desk.api.caller import AuditReader, Inside
from workflow.web.desk.api.listing import Listing, Source, Wanted
from workflow.web.shared.paging import cursor_for, row_id

router = APIRouter(tags=["audit"])


class AuditDocument(BaseModel):
    """A fact with everything its hash covers, and the policy its revision was submitted under."""

    id: str
    chain: str = Field(description="The application's id, or `system`.")
    number: int = Field(description="Its place in the chain.")
    type: str = Field(examples=["license.issued"])
    schema_version: int
    at: datetime
    actor: str
    actor_name: str
    channel: str
    network: str | None
    request_id: str | None
    application: str | None
    revision: int | None
    policy: str | None = Field(description="SHA-256 of the policy.")
    payload: dict[str, Any]
    previous: str
    hash: str


@router.get("/audit", response_model=Listing[AuditDocument], summary="Read the history of everything")
def list_events(
    request: Request,
    response: Response,
    house: Inside,
    who: AuditReader,
    wanted: Wanted,
    person: Annotated[str, Query(max_length=254, description="An e-mail address, or part of a name.")] = "",
    application: Annotated[str, Query(max_length=40, description="Its number.")] = "",
    kind: Annotated[str, Query(alias="type", max_length=60)] = "",
    since: Annotated[AwareDatetime | None, Query()] = None,
    until: Annotated[AwareDatetime | None, Query(description="Before this instant.")] = None,
) -> Listing[AuditDocument] | Response:
    """Newest first. `Accept: text/csv` gives all of them as CSV."""
    asked = Asked(person, application, kind, since, until)

    def read(cursor: str, limit: int) -> Sequence[Line]:
        with reading(house.engine) as session:
            return trail.lines(session, asked, before=row_id(cursor) if cursor else None, limit=limit + 1)

    source = Source("audit", read, lambda line: cursor_for((str(line.event.id),)), _item, trail.HEAD, _cells)
    return source.answer(request, wanted, response)


def _item(line: Line) -> AuditDocument:
    return AuditDocument.model_validate(trail.document(line))


def _cells(item: AuditDocument) -> tuple[object, ...]:
    return (
        *(f"{item.at:%Y-%m-%d %H:%M:%S}", item.type, item.actor_name, item.actor, item.channel, item.network),
        *(item.request_id, item.application, item.revision, item.policy, item.payload),
        *(item.chain, item.number, item.previous, item.hash),
    )
