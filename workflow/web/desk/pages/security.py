"""A person's own credentials: password, second factor, the browsers that are signed in. Each change asks for the password."""

from collections.abc import Sequence
from uuid import UUID

import segno
from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workflow.database import reading, transaction
from workflow.db.queries import credentials
from workflow.errors import Invalid, Problem
from workflow.services import accounts, confirming, second_factor, sessions
from workflow.services.secrets import hash_of, hash_password
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import House, Inside, Me, SignedIn
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import FieldErrors, Posted
from workflow.web.shared.site import site_of

router = APIRouter(prefix="/profile/security")
PAGE = "/profile/security"


@router.get("")
def show(request: Request, house: Inside, me: SignedIn) -> Response:
    """The page."""
    return _page(request, house, me)


@router.post("/password")
def change_password(request: Request, house: Inside, me: SignedIn, form: Posted) -> Response:
    """A new password for somebody who knows the old one; other browsers are signed out."""
    try:
        accounts.require_length(form.secret("new_password"), "new_password")
        confirming.check_own_password(house.engine, me.person_id, form.secret("password"), wall_now())
    except Invalid as error:
        return _page(request, house, me, problems=error.problems, form="password", status=422)
    hashed = hash_password(form.secret("new_password"))
    with transaction(house.engine) as session:
        accounts.change_own_password(session, me.actor, hashed, me.token, utc_now())
    return go_on(request, PAGE, "Your password is changed. Other browsers were signed out.")


@router.post("/second-factor/start")
def start(request: Request, house: Inside, me: SignedIn, form: Posted) -> Response:
    """Makes the secret that an app is shown next."""
    try:
        confirming.check_own_password(house.engine, me.person_id, form.secret("password"), wall_now())
    except Invalid as error:
        return _page(request, house, me, problems=error.problems, form="start", status=422)
    with transaction(house.engine) as session:
        second_factor.start(session, me.actor, wall_now())
    return RedirectResponse(f"{PAGE}/second-factor", status_code=303)


@router.get("/second-factor")
def enrol(request: Request, house: Inside, me: SignedIn) -> Response:
    """The secret as a QR code and in letters, and a field for the first code."""
    return _enrolment(request, house, me)


@router.post("/second-factor")
def confirm(request: Request, house: Inside, me: SignedIn, form: Posted) -> Response:
    """The app works: the second factor counts from now on. The recovery codes are shown, this once."""
    try:
        with transaction(house.engine) as session:
            codes = second_factor.confirm(session, me.actor, form.text("code"), now=utc_now(), wall=wall_now())
    except second_factor.WrongSecondFactor as error:
        return _enrolment(request, house, me, error=str(error), status=422)
    return _codes(request, codes, first=True)


@router.post("/second-factor/codes")
def renew_codes(request: Request, house: Inside, me: SignedIn, form: Posted) -> Response:
    """New recovery codes, shown this once."""
    try:
        confirming.check_own_password(house.engine, me.person_id, form.secret("password"), wall_now())
    except Invalid as error:
        return _page(request, house, me, problems=error.problems, form="codes", status=422)
    with transaction(house.engine) as session:
        codes = second_factor.renew_recovery_codes(session, me.actor, utc_now())
    return _codes(request, codes, first=False)


@router.post("/second-factor/off")
def turn_off(request: Request, house: Inside, me: SignedIn, form: Posted) -> Response:
    """Takes the second factor away, for a code of it."""
    try:
        second_factor.prove(house.engine, me.person_id, form.text("code"), wall_now())
    except Invalid as error:
        return _page(request, house, me, problems=error.problems, form="off", status=422)
    with transaction(house.engine) as session:
        second_factor.turn_off(session, me.actor, me.person_id, utc_now())
    return go_on(request, PAGE, "Your second factor is turned off.")


@router.post("/sessions/{session_id}/end")
def end_session(request: Request, house: Inside, me: SignedIn, session_id: UUID, form: Posted) -> Response:
    """Signs another browser out."""
    with transaction(house.engine) as session:
        sessions.end_own(session, me.actor, session_id)
    return go_on(request, f"{PAGE}#sessions", "That browser is signed out.")


def _page(
    request: Request, house: House, me: Me, *, problems: Sequence[Problem] = (), form: str = "", status: int = 200
) -> Response:
    with reading(house.engine) as session:
        here = hash_of(me.token)
        browsers = [(each, each.token_hash == here) for each in credentials.sessions_of(session, me.person_id, wall_now())]
        is_on = second_factor.is_on(session, me.person_id)
        codes_left = credentials.count_recovery_codes(session, me.person_id)
    return site_of(request).pages.page(
        request,
        "pages/desk/security.html",
        status=status,
        browsers=browsers,
        is_on=is_on,
        codes_left=codes_left,
        demanded=house.settings.second_factor_for_prod,
        shortest=accounts.SHORTEST_PASSWORD,
        form=form,
        errors=FieldErrors.of(problems),
        summary=[(f"{form}-{each.field}", each.message) for each in problems],
    )


def _enrolment(request: Request, house: House, me: Me, *, error: str = "", status: int = 200) -> Response:
    try:
        with reading(house.engine) as session:
            shown = second_factor.enrolment(session, me.person_id, me.email, house.settings.contact_name)
    except second_factor.NotStarted:
        return RedirectResponse(PAGE, status_code=303)
    return site_of(request).pages.page(
        request, "pages/desk/second_factor.html", status=status, secret=shown.secret, qr=_qr(shown.uri), error=error
    )


def _codes(request: Request, codes: Sequence[str], *, first: bool) -> Response:
    # Shown in the answer itself: a redirect would have to carry the codes in a cookie or an address.
    return site_of(request).pages.page(request, "pages/desk/recovery_codes.html", status=201, codes=codes, first=first)


def _qr(address: str) -> Markup:
    """A QR code (ISO/IEC 18004) as inline SVG, dark on light in every theme: cameras read no other."""
    drawn = segno.make(address, error="m", micro=False).svg_inline(
        border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None, omitsize=True
    )
    return Markup(drawn)  # noqa: S704  (drawn here, of squares only)
