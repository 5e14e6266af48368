"""A revocation list on License Management: what it stops here, and the button that puts it in use."""

from functools import partial

from fastapi import APIRouter
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workflow.console import current, revocation_uploads, uploads
from workflow.console.accounts import Person
from workflow.console.store import RevocationUpload
from workflow.database import reading
from workflow.license_file import LicenseRefused, say, sentence_of
from workflow.times import utc_now, wall_now
from workflow.web.console.access import Administrator, House, Inside
from workflow.web.console.pages.deciding import decided, no_longer_usable
from workflow.web.console.pages.license_page import UPLOADS, UploadId, back_to_start
from workflow.web.shared.flash import FlashKind
from workflow.web.shared.forms import Posted
from workflow.web.shared.site import site_of

router = APIRouter()


@router.get(f"{UPLOADS}/{{upload_id}}/use")
def decide_again(upload_id: UploadId) -> Response:
    """Somebody came back to the address of the button: to the preview."""
    return RedirectResponse(f"{UPLOADS}/{upload_id}", status_code=303)


@router.post(f"{UPLOADS}/{{upload_id}}/use")
def use(request: Request, house: Inside, me: Administrator, upload_id: UploadId, form: Posted) -> Response:
    """Puts the list in use, then goes back to License Management. A second click finds the work done."""

    def decide(session: Session) -> int:
        taken = revocation_uploads.confirm(
            session,
            house.console,
            upload_id,
            me.address,
            seen_generation=form.integer("generation") or 0,
            acknowledged=form.checked("acknowledged"),
            now=utc_now(),
            wall=wall_now(),
        )
        return taken.sequence

    def done(sequence: int) -> Response:
        said = say("Revocation list number %(n)s is in use. What it names counts no more.", n=sequence)
        return back_to_start(request, said, FlashKind.OK)

    try:
        return decided(request, house, decide, partial(_preview_again, request, house, me, upload_id), done)
    except revocation_uploads.ListTaken as before:
        return back_to_start(request, sentence_of(before), FlashKind.INFO)


def list_page(
    request: Request, house: House, staged: RevocationUpload, *, status: int = 200, problem: str = "", conflict: str = ""
) -> Response:
    """The preview of a list that waits for its uploader's decision."""
    with reading(house.console.engine) as session:
        situation = current.look(session, house.console, utc_now())
        try:
            preview = revocation_uploads.preview(session, situation, staged.raw)
        except LicenseRefused as refused:
            return no_longer_usable(request, house, staged.file_name, refused, status=status, conflict=conflict)
    if preview.listed is situation.revocations:
        return back_to_start(request, in_use_already(staged.sequence), FlashKind.INFO)
    return site_of(request).pages.page(
        request,
        "pages/console/revocation_list.html",
        status=status,
        staged=staged,
        situation=situation,
        preview=preview,
        content=preview.listed.content,
        problem=problem,
        conflict=conflict,
    )


def in_use_already(sequence: int) -> str:
    """What is said when the list that counts is uploaded again."""
    return say("Revocation list number %(n)s is in use already. Nothing was changed.", n=sequence)


def _preview_again(
    request: Request, house: House, me: Person, upload_id: str, *, status: int, problem: str = "", conflict: str = ""
) -> Response:
    with reading(house.console.engine) as session:
        staged = revocation_uploads.find_staged(session, upload_id, me.address)
    if staged is None:
        raise uploads.NoSuchUpload
    return list_page(request, house, staged, status=status, problem=problem, conflict=conflict)
