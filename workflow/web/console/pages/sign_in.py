"""Signing in and out of the console. Never depends on the license."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workflow.console import accounts
from workflow.database import reading, transaction
from workflow.license_file import say, sentence_of
from workflow.times import wall_now
from workflow.web.console.access import Inside
from workflow.web.shared import flash
from workflow.web.shared.forms import Posted
from workflow.web.shared.problems import safe_path
from workflow.web.shared.site import site_of

HOME = "/console/license"

router = APIRouter()


@router.get("/")
@router.get("/console")
def home() -> Response:
    """License Management is the only page there is."""
    return RedirectResponse(HOME, status_code=303)


@router.get("/console/sign-in")
def show(request: Request, house: Inside, back_to: Annotated[str, Query(alias="next")] = HOME) -> Response:
    """The form; a person who is signed in already goes straight on."""
    back = safe_path(back_to, HOME)
    token = site_of(request).cookies.session_token(request)
    if token is not None:
        with reading(house.console.engine) as session:
            if accounts.person_of(session, token, wall_now()) is not None:
                return RedirectResponse(back, status_code=303)
    return _form(request, back, ended=token is not None)


@router.post("/console/sign-in")
def sign_in(request: Request, house: Inside, form: Posted) -> Response:
    """Starts a session and goes to the page that was asked for."""
    address, back = form.text("email"), safe_path(form.text("next") or HOME, HOME)
    if not address or not form.secret("password"):
        message = say("Enter your e-mail address.") if not address else say("Enter your password.")
        return _form(request, back, email=address, error=message, on="password" if address else "email", status=422)
    network = request.client.host if request.client else "unknown"
    try:
        token = accounts.sign_in(house.console.engine, address, form.secret("password"), network, wall_now())
    except accounts.WrongCredentials as error:
        return _form(request, back, email=address, error=sentence_of(error), on="email", status=401)
    except accounts.TooManyAttempts as error:
        answer = _form(request, back, email=address, error=sentence_of(error), on="email", status=429)
        answer.headers["Retry-After"] = str(error.retry_after)
        return answer
    answer = RedirectResponse(back, status_code=303)
    site_of(request).cookies.start_session(answer, token)
    return answer


@router.post("/console/sign-out")
def sign_out(request: Request, house: Inside, form: Posted) -> Response:
    """Ends the session on the server, then takes the cookie."""
    cookies = site_of(request).cookies
    token = cookies.session_token(request)
    if token is not None:
        with transaction(house.console.engine) as session:
            accounts.sign_out(session, token)
    answer = RedirectResponse("/console/sign-in", status_code=303)
    cookies.end_session(answer)
    flash.leave(answer, cookies, site_of(request).pages.language(request).say(say("You are signed out.")))
    return answer


def _form(
    request: Request, back: str, *, email: str = "", error: str = "", on: str = "", ended: bool = False, status: int = 200
) -> Response:
    return site_of(request).pages.page(
        request,
        "pages/console/sign_in.html",
        status=status,
        next=back,
        email=email,
        error=error,
        error_on=on,
        ended=ended,
    )
