"""Receipts of platforms. The signature is the only credential, so every sender gets the same answer, whatever becomes of it."""

import logging
from datetime import timedelta

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool

from workflow.database import reading, transaction
from workflow.db.queries import throttle
from workflow.errors import TooMany
from workflow.license_file import LicenseRefused
from workflow.services import receipts
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import House, house_of

log = logging.getLogger("licdesk.receipts")
router = APIRouter()

MEDIA_TYPE = "application/octet-stream"
PER_MINUTE = 600
"""For all senders together: a flood must not fill the disk, and no platform sends more than a few a day."""


class TooManyReceipts(TooMany):
    """More receipts in a minute than all platforms together send in a day."""

    code = "receipts.too_many"


@router.post(
    "/receipts",
    status_code=202,
    tags=["receipts"],
    summary="Take a platform's receipt",
    response_class=Response,
    responses={429: {"description": "Too many in this minute; Retry-After says when to send it again."}},
    openapi_extra={"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
async def take(request: Request) -> Response:
    """Takes the bytes of a `.lrc` file. Always 202: what was not issued here, or is not well signed, is not kept."""
    await run_in_threadpool(_keep, house_of(request), await request.body())
    return Response(status_code=202)


def _keep(house: House, raw: bytes) -> None:
    with reading(house.engine) as session:
        try:
            if not receipts.concerns_us(session, raw):  # costs no write: a flood of rubbish must not hold up the desk
                return
        except LicenseRefused as refused:
            log.info("a receipt was refused: %s", refused.code)
            return
    with transaction(house.engine) as session:
        if throttle.count(session, "receipts", timedelta(minutes=1), wall_now()) > PER_MINUTE:
            raise TooManyReceipts("The desk takes no more receipts in this minute. Send it again later.")
    try:
        with transaction(house.engine) as session:
            receipts.record_receipt(session, raw, utc_now())
    except IntegrityError:
        log.info("a receipt arrived twice at once; the first one counts")
