"""License Management: the license in force, the next one, the upload, the history. Never closed by the license's state."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workflow.console import current, history, receipts
from workflow.console.current import Held, Situation
from workflow.console.store import InstalledLicense, OutgoingReceipt, RefusedUpload
from workflow.database import reading
from workflow.times import utc_now
from workflow.web.console import shown
from workflow.web.console.access import Administrator, House, Inside
from workflow.web.shared import flash
from workflow.web.shared.flash import FlashKind
from workflow.web.shared.paging import LARGEST_INTEGER, address, cursor_for, instant_from, key_from
from workflow.web.shared.site import site_of

PATH = "/console/license"
UPLOADS = f"{PATH}/uploads"
NEWS_FOR = timedelta(minutes=10)
"""how long "Version 3 is active" stays news when the page is loaded again"""

router = APIRouter()
UploadId = Annotated[str, Path(max_length=60)]


@router.get(PATH)
def show(
    request: Request,
    house: Inside,
    me: Administrator,
    done: Annotated[int | None, Query(le=LARGEST_INTEGER)] = None,
    same: Annotated[int | None, Query(le=LARGEST_INTEGER)] = None,
    before: Annotated[str, Query()] = "",
) -> Response:
    """The page; `done` and `same` name a license that was just activated, or uploaded again."""
    return license_page(request, house, done=done, same=same, before=before)


def license_page(
    request: Request,
    house: House,
    *,
    status: int = 200,
    done: int | None = None,
    same: int | None = None,
    before: str = "",
    refused: RefusedUpload | None = None,
    problem: str = "",
    conflict: str = "",
) -> Response:
    """License Management with what just happened: an activation, a refused upload, or a problem with the form."""
    with reading(house.console.engine) as session:
        situation = current.look(session, house.console, utc_now())
        listed = history.page(session, _key(before))
        return site_of(request).pages.page(
            request,
            "pages/console/license.html",
            status=status,
            situation=situation,
            current=_card(session, situation.current, situation),
            next=_card(session, situation.next, situation),
            done=_recent(session, done, situation.now),
            same=session.get(InstalledLicense, same) if same is not None else None,
            refused=refused,
            refused_receipt=receipts.of_refusal(session, refused.id) if refused else None,
            refused_checks=shown.checks_of(refused.checks) if refused else (),
            problem=problem,
            conflict=conflict,
            history=listed.entries,
            first_page=PATH if before else None,
            next_page=_older(listed.older_than),
            desk_url=house.desk_url,
        )


def back_to_start(request: Request, text: str, kind: FlashKind = FlashKind.WARN) -> Response:
    """License Management with one sentence about what just happened."""
    answer = RedirectResponse(PATH, status_code=303)
    site = site_of(request)
    flash.leave(answer, site.cookies, site.pages.language(request).say(text), kind)
    return answer


def _card(session: Session, held: Held | None, situation: Situation) -> dict[str, object] | None:
    if held is None:
        return None
    return {
        "row": held.row,
        "claims": held.claims,
        "refusal": held.refusal,
        "state": held.state(situation.now),
        "validity": shown.validity_of(held.claims, situation.now) if held.claims else None,
        "key": shown.signing_key(held, situation),
        "receipts": _receipts(session, held.row),
    }


def _receipts(session: Session, row: InstalledLicense) -> tuple[OutgoingReceipt, ...]:
    return tuple(receipts.of_license(session, row.id)) if row.id is not None else ()


def _recent(session: Session, installed_id: int | None, now: datetime) -> InstalledLicense | None:
    row = session.get(InstalledLicense, installed_id) if installed_id is not None else None
    return row if row is not None and now - row.created_at < NEWS_FOR else None


def _key(cursor: str) -> history.Key | None:
    if not cursor:
        return None
    when, reference = key_from(cursor, (str, str))
    return instant_from(when), str(reference)


def _older(than: history.Key | None) -> str | None:
    if than is None:
        return None
    at, reference = than
    return f"{address(PATH, {'before': cursor_for((at.isoformat(), reference))})}#history"
