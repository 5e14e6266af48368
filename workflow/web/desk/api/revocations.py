"""Revocations: a license called back by operators, and the newest signed list of all that were."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from workflow.database import reading
from workflow.db.queries import directory, revocations
from workflow.db.tables import IssuedLicense, Revocation
from workflow.errors import NotFound
from workflow.services import revocations as revoking
from workflow.times import utc_now
from workflow.web.desk.api.caller import Inside, Operator, Reader
from workflow.web.desk.api.licenses import Version
from workflow.web.desk.api.request_body import Strict
from workflow.web.desk.api.writing import Answer, Writing

router = APIRouter(tags=["licenses"])


class RevocationBody(Strict):
    """Why a license is called back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "It named one module too many."}]})

    reason: str = Field(default="", description="Every customer can read it. The first operator's reason stands.")


class RevocationDocument(BaseModel):
    """A license that is called back, or waits for a second operator's word."""

    license_id: str
    version: int
    state: Literal["asked", "revoked"]
    reason: str
    asked_by: str
    asked_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None


@router.post(
    "/licenses/{license_id}/versions/{version}/revocation",
    status_code=201,
    response_model=RevocationDocument,
    summary="Revoke a license",
)
def revoke(who: Operator, writing: Writing, license_id: str, version: Version, body: RevocationBody) -> Response:
    """Operators only. DEV and UAT at once; PROD when a second operator sends the same. Platforms learn of it from the next
    revocation list, which `licdesk revocations publish` signs."""

    def effect(session: Session) -> Answer:
        found = directory.version_visible_to(session, who.actor, license_id, version)
        made = revoking.revoke(session, who.actor, found.application, found.issued, body.reason, utc_now())
        return Answer(_document(made, found.issued), 201)

    return writing.once(effect)


@router.get("/licenses/{license_id}/versions/{version}/revocation", summary="Whether a license is called back")
def show(house: Inside, who: Reader, license_id: str, version: Version) -> RevocationDocument:
    """Who asked for it and who confirmed it, when and why. Not found when nobody did."""
    with reading(house.engine) as session:
        found = directory.version_visible_to(session, who.actor, license_id, version)
        made = revocations.find_revocation(session, found.issued)
        if made is None:
            raise NotFound(f"Nobody asked for version {version} of {license_id[:40]} to be revoked.")
        return _document(made, found.issued)


@router.get(
    "/revocations",
    summary="Fetch the revocation list",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The newest list, as it was signed."},
        404: {
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            "description": "No list was published yet: nothing is called back.",
        },
    },
)
def newest_list(house: Inside) -> Response:
    """The newest `.lrl` file. Needs no token: every license file carries the same list, and its signature says whose it is."""
    with reading(house.engine) as session:
        newest = revocations.newest_list(session)
    if newest is None:
        raise NotFound("No revocation list was published yet: nothing is called back.")
    headers = {
        "Content-Disposition": f'attachment; filename="revocations-{newest.sequence}.lrl"',
        "ETag": f'"{newest.payload_sha256}"',
    }
    return Response(newest.envelope, media_type="application/octet-stream", headers=headers)


def _document(made: Revocation, issued: IssuedLicense) -> RevocationDocument:
    return RevocationDocument(
        license_id=issued.license_id,
        version=issued.version,
        state="revoked" if made.confirmed_at else "asked",
        reason=made.reason,
        asked_by=made.asked_by_name,
        asked_at=made.asked_at,
        confirmed_by=made.confirmed_by_name,
        confirmed_at=made.confirmed_at,
    )
