"""Applications: listed, applied for, read, revised, taken back."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading
from workflow.db.queries import applications as queries
from workflow.db.queries.applications import ListedApplication, Page
from workflow.db.tables import Application
from workflow.domain.application import Status
from workflow.domain.terms import MAX_NOTE, EnvironmentName
from workflow.services import applications
from workflow.times import utc_now
from workflow.web.desk.api.caller import Applicant, Inside, Reader
from workflow.web.desk.api.listing import Listing, Source, Wanted
from workflow.web.desk.api.request_body import ApplicationBody, Strict
from workflow.web.desk.api.shapes import (
    BASE,
    ApplicationDocument,
    ApplicationSummary,
    application_document,
    summary_of,
)
from workflow.web.desk.api.writing import Answer, Writing, etag
from workflow.web.shared.paging import cursor_for, time_and_id

router = APIRouter(tags=["applications"])
CSV_HEAD = ("Application", "Status", "Company", "Environment", "Request", "Owner", "Submitted", "Updated")
Submit = Annotated[bool, Query(description="False keeps a draft, complete or not.")]


class WithdrawBody(Strict):
    """Why it is taken back."""

    comment: str = Field(default="", max_length=MAX_NOTE)


@router.get("/applications", response_model=Listing[ApplicationSummary], summary="List applications")
def list_applications(
    request: Request,
    response: Response,
    house: Inside,
    who: Reader,
    wanted: Wanted,
    status: Annotated[Status | None, Query()] = None,
    environment: Annotated[EnvironmentName | None, Query()] = None,
    search: Annotated[str, Query(max_length=100, description="Part of the number or of the company's name.")] = "",
) -> Listing[ApplicationSummary] | Response:
    """Those the caller may see, last changed first. `Accept: text/csv` gives all of them as CSV."""

    def read(cursor: str, limit: int) -> list[ListedApplication]:
        after = time_and_id(cursor) if cursor else None
        with reading(house.engine) as session:
            return queries.list_applications(
                session, who.actor, Page(search.strip(), status or "", environment or "", after, limit)
            )

    source = Source("applications", read, _cursor, summary_of, CSV_HEAD, _cells)
    return source.answer(request, wanted, response)


@router.post("/applications", status_code=201, response_model=ApplicationDocument, summary="Apply for a license")
def apply(
    request: Request, house: Inside, who: Applicant, writing: Writing, body: ApplicationBody, submit: Submit = True
) -> Response:
    """Submits an application, or keeps a draft. Everything that needs fixing is listed under `errors`, field by field."""

    def effect(session: Session) -> Answer:
        now, raw = utc_now(), body.stated()
        if submit:
            made = applications.apply(session, who.actor, house.desk, raw, now)
        else:
            made = applications.save_draft(session, who.actor, raw, now)
        return _created(session, request, made)

    return writing.once(effect)


@router.get("/applications/{number}", summary="Read an application")
def show(request: Request, response: Response, house: Inside, who: Reader, number: str) -> ApplicationDocument:
    """Everything about one application. Its ETag is what If-Match wants."""
    with reading(house.engine) as session:
        application = queries.get_visible(session, who.actor, number)
        response.headers.update(etag(application))
        return application_document(session, request, application)


@router.put("/applications/{number}", response_model=ApplicationDocument, summary="Revise an application")
def revise(
    request: Request,
    house: Inside,
    who: Applicant,
    writing: Writing,
    number: str,
    body: ApplicationBody,
    submit: Submit = True,
) -> Response:
    """Replaces the answers and submits them: a draft, one that was sent back, or one that still waits for its decision.

    If-Match is needed. Approvals of other licensed content do not count for the new revision.
    """

    def effect(session: Session) -> Answer:
        application = queries.get_visible(session, who.actor, number)
        writing.require_match(session, application, always=True)
        now = utc_now()
        applications.save_draft(session, who.actor, body.stated(), now, application=application)
        if submit:
            applications.submit(session, who.actor, house.desk, application, application.version, now)
        return _shown(session, request, application)

    return writing.once(effect)


@router.post("/applications/{number}/withdraw", response_model=ApplicationDocument, summary="Withdraw an application")
def withdraw(request: Request, who: Applicant, writing: Writing, number: str, body: WithdrawBody) -> Response:
    """Takes it back before anything is issued."""

    def effect(session: Session) -> Answer:
        application = queries.get_visible(session, who.actor, number)
        writing.require_match(session, application)
        applications.withdraw(session, who.actor, application, application.version, body.comment, utc_now())
        return _shown(session, request, application)

    return writing.once(effect)


def _created(session: Session, request: Request, made: Application) -> Answer:
    headers = {"Location": f"{BASE}/applications/{made.number}", **etag(made)}
    return Answer(application_document(session, request, made), 201, headers)


def _shown(session: Session, request: Request, application: Application) -> Answer:
    return Answer(application_document(session, request, application), headers=etag(application))


def _cursor(listed: ListedApplication) -> str:
    key: tuple[datetime, UUID] = (listed.application.updated_at, listed.application.id)
    return cursor_for((key[0].isoformat(), str(key[1])))


def _cells(row: ApplicationSummary) -> tuple[object, ...]:
    submitted = row.submitted_at.isoformat() if row.submitted_at else ""
    return (
        *(row.number, row.status.value, row.company, row.environment, row.request, row.owner),
        *(submitted, row.updated_at.isoformat()),
    )
