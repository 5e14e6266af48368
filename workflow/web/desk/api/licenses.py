"""Licenses: listed, read version by version, fetched as files, renewed."""

import json
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.db.queries import directory, licenses
from workflow.db.queries.licenses import ListedLicense
from workflow.domain.application import Standing
from workflow.domain.terms import MAX_COUNT, EnvironmentName
from workflow.license_file import file_name
from workflow.services import applications as applying
from workflow.services import delivery
from workflow.times import utc_now
from workflow.web.desk.api.caller import Applicant, Downloader, Inside, Reader
from workflow.web.desk.api.listing import Listing, Source, Wanted
from workflow.web.desk.api.request_body import Strict
from workflow.web.desk.api.shapes import (
    BASE,
    ApplicationDocument,
    LicenseSummary,
    application_document,
    license_summary,
)
from workflow.web.desk.api.writing import Answer, Writing, etag
from workflow.web.shared.paging import cursor_for, time_and_id

router = APIRouter(tags=["licenses"])
CSV_HEAD = (
    "License ID",
    "Version",
    "Standing",
    "Company",
    "Environment",
    "First day",
    "Last usable day",
    "Time zone",
    "Application",
)
Version = Annotated[int, Path(ge=1, le=MAX_COUNT)]
KnownFile = Annotated[str | None, Header(alias="If-None-Match", description="The ETag of the file that the caller has.")]


class LicenseDocument(BaseModel):
    """All versions under one License ID that the caller may see, newest first."""

    license_id: str
    company: str
    tenant_id: str
    environment: str
    in_force: int | None = Field(description="The version the platform runs on, as far as this desk was told.")
    versions: list[LicenseSummary]


class RenewalBody(Strict):
    """Which license to renew, and for how long. Without days it stays a draft to be looked at."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"license_id": "PROD-7Q2MX-4TBK9-HZ0CE", "first_day": "2027-11-24", "last_day": "2028-11-30"}]
        }
    )

    license_id: str = Field(max_length=40)
    first_day: date | None = Field(default=None, description="With `last_day`: the renewal is submitted at once.")
    last_day: date | None = None
    contract_reference: str = ""
    note: str = Field(default="", description="For the approvers.")


@router.get("/licenses", response_model=Listing[LicenseSummary], summary="List licenses")
def list_licenses(
    request: Request,
    response: Response,
    house: Inside,
    who: Reader,
    wanted: Wanted,
    standing: Annotated[Standing | None, Query()] = None,
    environment: Annotated[EnvironmentName | None, Query()] = None,
    search: Annotated[str, Query(max_length=100, description="Part of the License ID or of the company's name.")] = "",
) -> Listing[LicenseSummary] | Response:
    """Those the caller may see, the latest end first. `Accept: text/csv` gives all of them as CSV."""

    def read(cursor: str, limit: int) -> list[ListedLicense]:
        with reading(house.engine) as session:
            return directory.page_of_licenses(
                session,
                who.actor,
                search=search.strip(),
                standing=standing or "",
                environment=environment or "",
                after=time_and_id(cursor) if cursor else None,
                limit=limit,
            )

    source = Source("licenses", read, _cursor, license_summary, CSV_HEAD, _cells)
    return source.answer(request, wanted, response)


@router.get("/licenses/{license_id}", summary="Read a license")
def show(house: Inside, who: Reader, license_id: str) -> LicenseDocument:
    """Every version under a License ID."""
    with reading(house.engine) as session:
        found = directory.versions_visible_to(session, who.actor, license_id)
        newest = found[0]
        current = licenses.in_force(session, newest.environment.id)
    return LicenseDocument(
        license_id=license_id,
        company=newest.tenant.company,
        tenant_id=newest.tenant.tenant_id,
        environment=newest.environment.name,
        in_force=current.version if current is not None and current.standing == Standing.ACTIVATED else None,
        versions=[license_summary(each) for each in found],
    )


@router.get(
    "/licenses/{license_id}/versions/{version}/file",
    summary="Fetch a license file",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The very bytes that were signed."},
        304: {"description": "The caller has them already, by `If-None-Match`."},
    },
)
def file(house: Inside, who: Downloader, license_id: str, version: Version, known: KnownFile = None) -> Response:
    """The `.lic` file. Fetching it changes nothing about the license and proves no delivery; that the bytes were handed out,
    and to whom, is noted in the application's history. Where none are (304), nothing is noted. A browser's session sends its
    form token in `X-CSRF-Token` here, too."""
    with transaction(house.engine) as session:
        found = directory.version_visible_to(session, who.actor, license_id, version)
        tag = f'"{found.issued.envelope_sha256}"'
        if known is not None and tag in (each.strip() for each in known.split(",")):
            return Response(status_code=304, headers={"ETag": tag})
        issued = delivery.record_download(session, who.actor, house.desk.policy, found.application, "api", utc_now())
        name, content = file_name(license_id, version), issued.envelope
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "ETag": tag}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.post("/renewals", status_code=201, response_model=ApplicationDocument, tags=["applications"], summary="Start a renewal")
def renew(request: Request, house: Inside, who: Applicant, writing: Writing, body: RenewalBody) -> Response:
    """A new application with everything filled in from the newest version. Both days given, it is submitted at once."""

    def effect(session: Session) -> Answer:
        now = utc_now()
        newest = applying.version_to_renew(session, who.actor, body.license_id)
        draft = applying.start_renewal(session, who.actor, newest, now)
        raw = _with_changes(json.loads(draft.draft), body)
        applying.save_draft(session, who.actor, raw, now, application=draft)
        if body.first_day is not None and body.last_day is not None:
            applying.submit(session, who.actor, house.desk, draft, draft.version, now)
        headers = {"Location": f"{BASE}/applications/{draft.number}", **etag(draft)}
        return Answer(application_document(session, request, draft), 201, headers)

    return writing.once(effect)


def _with_changes(raw: dict[str, Any], body: RenewalBody) -> dict[str, Any]:
    days = {"first_day": body.first_day, "last_day": body.last_day}
    raw["validity"].update({name: day.isoformat() for name, day in days.items() if day is not None})
    return raw | {"contract_reference": body.contract_reference, "note": body.note}


def _cursor(listed: ListedLicense) -> str:
    return cursor_for((listed.issued.valid_until.isoformat(), str(listed.issued.id)))


def _cells(row: LicenseSummary) -> tuple[object, ...]:
    return (
        *(row.license_id, row.version, row.standing, row.company, row.environment),
        *(row.first_day, row.last_day, row.time_zone, row.application),
    )
