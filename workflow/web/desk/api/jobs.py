"""Jobs: what is owed, what failed, and the operator's retry or cancel."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading
from workflow.db.queries import deliveries
from workflow.db.tables import JobRow
from workflow.domain.events import JobState
from workflow.services import operations
from workflow.times import utc_now
from workflow.web.desk.api.caller import Inside, OperationsReader, Operator
from workflow.web.desk.api.listing import Listing, Source, Wanted
from workflow.web.desk.api.request_body import Strict
from workflow.web.desk.api.writing import Answer, Writing
from workflow.web.shared.paging import cursor_for, row_id

router = APIRouter(tags=["jobs"])
CSV_HEAD = ("Job", "Kind", "State", "Attempts", "Next try", "Last error", "Created", "Done")


class CancelBody(Strict):
    """Why a job is given up."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The recipient left; a colleague has the file."}]})

    reason: str = Field(default="", description="Stays in the history.")


class JobDocument(BaseModel):
    """Work owed. A dead job has used its attempts up and waits for an operator."""

    id: UUID
    kind: str = Field(examples=["license.deliver"])
    state: JobState
    attempts: int
    next_at: datetime
    last_error: str | None
    created_at: datetime
    done_at: datetime | None


@router.get("/jobs", response_model=Listing[JobDocument], summary="List jobs")
def list_jobs(
    request: Request,
    response: Response,
    house: Inside,
    who: OperationsReader,
    wanted: Wanted,
    state: Annotated[JobState | None, Query()] = None,
) -> Listing[JobDocument] | Response:
    """Newest first, for operators and auditors. `Accept: text/csv` gives all of them as CSV."""

    def read(cursor: str, limit: int) -> Sequence[JobRow]:
        before = row_id(cursor) if cursor else None
        with reading(house.engine) as session:
            return deliveries.list_jobs(session, state=state or "", before=before, limit=limit + 1)

    source = Source("jobs", read, lambda row: cursor_for((str(row.id),)), _document, CSV_HEAD, _cells)
    return source.answer(request, wanted, response)


@router.post("/jobs/{job}/retry", response_model=JobDocument, summary="Retry a dead job")
def retry(who: Operator, writing: Writing, job: UUID) -> Response:
    """New attempts, at once. A message in doubt is sent again with the same bytes."""
    return _changed(writing, job, lambda session: operations.retry_job(session, who.actor, job, utc_now()))


@router.post("/jobs/{job}/cancel", response_model=JobDocument, summary="Cancel a dead job")
def cancel(who: Operator, writing: Writing, job: UUID, body: CancelBody) -> Response:
    """Gives it up for good."""
    return _changed(writing, job, lambda session: operations.cancel_job(session, who.actor, job, body.reason, utc_now()))


def _changed(writing: Writing, job: UUID, change: Callable[[Session], None]) -> Response:
    def effect(session: Session) -> Answer:
        change(session)
        session.expire_all()  # the change was a statement, the row in memory is the old one
        return Answer(_document(deliveries.get_job(session, job)))

    return writing.once(effect)


def _document(row: JobRow) -> JobDocument:
    return JobDocument.model_validate(row, from_attributes=True)


def _cells(row: JobDocument) -> tuple[object, ...]:
    done = row.done_at.isoformat() if row.done_at else ""
    return (
        *(row.id, row.kind, row.state, row.attempts, row.next_at.isoformat(), row.last_error),
        *(row.created_at.isoformat(), done),
    )
