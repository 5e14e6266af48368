"""An upload from the file to the decision: taken in, shown check by check, previewed, activated or scheduled."""

from functools import partial
from typing import assert_never

from fastapi import APIRouter
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workflow.console import changes, current, install, revocation_uploads, uploads
from workflow.console.accounts import Person
from workflow.console.store import RefusedUpload, RevocationUpload, StagedUpload
from workflow.database import reading, transaction
from workflow.license_file import LicenseRefused, State, say, sentence_of
from workflow.times import utc_now, wall_now
from workflow.web.console import shown
from workflow.web.console.access import Administrator, House, Inside
from workflow.web.console.pages.deciding import decided, no_longer_usable
from workflow.web.console.pages.license_page import PATH, UPLOADS, UploadId, back_to_start, license_page
from workflow.web.console.pages.revocation_list import in_use_already, list_page
from workflow.web.console.upload_form import Sent, UploadUnusable, sent_license
from workflow.web.shared.flash import FlashKind
from workflow.web.shared.forms import Posted
from workflow.web.shared.site import site_of

RAN_OUT = say("This upload ran out after 30 minutes. Upload the file again.")

router = APIRouter()


@router.post(UPLOADS)
async def upload(request: Request, house: Inside, me: Administrator) -> Response:
    """Takes a file in and leads to its result. The person is known before the body is read."""
    try:
        sent = await sent_license(request)
    except UploadUnusable as problem:
        return await run_in_threadpool(license_page, request, house, status=422, problem=sentence_of(problem))
    return await run_in_threadpool(_take_in, request, house, me, sent)


@router.get(UPLOADS)
def start() -> Response:
    """Somebody came back to where the form was sent, by the language switch or by hand."""
    return RedirectResponse(PATH, status_code=303)


@router.get(f"{UPLOADS}/{{upload_id}}/activate")
def decide_again(upload_id: UploadId) -> Response:
    """The same, from the address of the button: back to the preview."""
    return RedirectResponse(f"{UPLOADS}/{upload_id}", status_code=303)


@router.get(f"{UPLOADS}/{{upload_id}}")
def show(request: Request, house: Inside, me: Administrator, upload_id: UploadId) -> Response:
    """The preview of a file that passed, or why a file was refused."""
    with reading(house.console.engine) as session:
        staged = uploads.find_staged(session, upload_id, me.address)
        listed = None if staged else revocation_uploads.find_staged(session, upload_id, me.address)
        refused = None if staged or listed else uploads.get_refused(session, upload_id)
    if listed is not None:
        return _list(request, house, listed)
    if staged is None:
        return license_page(request, house, refused=refused)
    if staged.installed_id is not None:
        return _done(staged.installed_id)
    if staged.until <= wall_now():
        return back_to_start(request, RAN_OUT)
    return _preview(request, house, staged)


@router.post(f"{UPLOADS}/{{upload_id}}/activate")
def activate(request: Request, house: Inside, me: Administrator, upload_id: UploadId, form: Posted) -> Response:
    """Activates or schedules, then goes back to License Management. A second click finds the work done."""

    def decide(session: Session) -> int | None:
        row = install.activate(
            session,
            house.console,
            upload_id,
            me.address,
            seen_generation=form.integer("generation") or 0,
            acknowledged=form.checked("acknowledged"),
            now=utc_now(),
            wall=wall_now(),
        )
        return row.id

    try:
        return decided(request, house, decide, partial(_preview_again, request, house, me, upload_id), _done)
    except install.AlreadyUsed as before:
        return _done(before.installed_id)


def _done(installed_id: int | None) -> Response:
    return RedirectResponse(f"{PATH}?done={installed_id}", status_code=303)


def _list(request: Request, house: House, listed: RevocationUpload) -> Response:
    if listed.taken_at is not None:
        return RedirectResponse(PATH, status_code=303)
    if listed.until <= wall_now():
        return back_to_start(request, RAN_OUT)
    return list_page(request, house, listed)


def _take_in(request: Request, house: House, me: Person, sent: Sent) -> Response:
    now, wall = utc_now(), wall_now()
    with transaction(house.console.engine) as session:
        if sent.is_too_large:
            outcome: uploads.Outcome | revocation_uploads.Outcome = uploads.refuse_too_large(
                session, sent.name, sent.size, me.address, now
            )
        else:
            take_in = revocation_uploads.take_in if revocation_uploads.is_list(sent.content) else uploads.take_in
            outcome = take_in(session, house.console, sent.content, sent.name, me.address, now, wall)
    match outcome:
        case uploads.AlreadyInstalled():
            return RedirectResponse(f"{PATH}?same={outcome.row.id}", status_code=303)
        case revocation_uploads.AlreadyInUse():
            return back_to_start(request, in_use_already(outcome.sequence), FlashKind.INFO)
        case RefusedUpload():
            return RedirectResponse(f"{UPLOADS}/{outcome.id}#upload-result", status_code=303)
        case StagedUpload() | RevocationUpload():
            return RedirectResponse(f"{UPLOADS}/{outcome.id}", status_code=303)
        case _:
            assert_never(outcome)


def _preview_again(
    request: Request, house: House, me: Person, upload_id: str, *, status: int, problem: str = "", conflict: str = ""
) -> Response:
    with reading(house.console.engine) as session:
        staged = uploads.find_staged(session, upload_id, me.address)
    if staged is None:
        raise uploads.NoSuchUpload
    return _preview(request, house, staged, status=status, problem=problem, conflict=conflict)


def _preview(
    request: Request, house: House, staged: StagedUpload, *, status: int = 200, problem: str = "", conflict: str = ""
) -> Response:
    with reading(house.console.engine) as session:
        situation = current.look(session, house.console, utc_now())
        try:
            verified = uploads.verify_new(session, house.console, situation, staged.raw)
        except LicenseRefused as refused:
            return no_longer_usable(request, house, staged.file_name, refused, status=status, conflict=conflict)
    if verified.already_installed:
        return back_to_start(request, install.ALREADY_THERE)
    compared, lost = install.preview(situation, verified), install.takes_away(situation, verified)
    checked = tuple(each for each in shown.checks_of(staged.checks))
    return site_of(request).pages.page(
        request,
        "pages/console/preview.html",
        status=status,
        staged=staged,
        situation=situation,
        claims=verified.claims,
        validity=shown.validity_of(verified.claims, situation.now),
        later=verified.state is State.SCHEDULED,
        in_grace=verified.state is State.GRACE,
        changes=compared,
        losses=[(each, changes.in_use(each, verified.claims, situation.use)) for each in lost],
        gap_days=changes.gap_days(situation.claims, verified.claims),
        checks=checked,
        passed=sum(each.kind == "pass" for each in checked),
        notes=tuple(each for each in checked if each.kind == "note"),
        problem=problem,
        conflict=conflict,
    )
