"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workflow.database import reading, transaction
from workflow.errors import Unauthenticated
from workflow.services import sessions
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import House, Inside, network_of
from workflow.web.shared import flash
from workflow.web.shared.forms import Posted
from workflow.web.shared.problems import safe_path
from workflow.web.shared.site import site_of

router = APIRouter()


@router.get("/sign-in")
def show(request: Request, house: Inside, back_to: Annotated[str, Query(alias="next")] = "/") -> Response:
    """The form; a person who is signed in already goes straight on."""
    back = safe_path(back_to)
    token = site_of(request).cookies.session_token(request)
    if token is not None and _is_alive(house, token):
        return RedirectResponse(back, status_code=303)
    return _form(request, house, back, ended=token is not None)


@router.post("/sign-in")
def sign_in(request: Request, house: Inside, form: Posted) -> Response:
    """Starts a session and goes to the page that was asked for."""
    email, back = form.text("email"), safe_path(form.text("next") or "/")
    if not email or not form.secret("password"):
        message = "Enter your e-mail address." if not email else "Enter your password."
        return _form(request, house, back, email=email, error=message, on="password" if email else "email", status=422)
    try:
        token, _person = sessions.sign_in(
            house.engine, email, form.secret("password"), now=utc_now(), wall=wall_now(), network=network_of(request)
        )
    except sessions.WrongCredentials as error:
        return _form(request, house, back, email=email, error=str(error), on="email", status=401)
    except sessions.SignInThrottled as error:
        answer = _form(request, house, back, email=email, error=str(error), on="email", status=429)
        answer.headers["Retry-After"] = str(error.retry_after)
        return answer
    answer = RedirectResponse(back, status_code=303)
    site_of(request).cookies.start_session(answer, token)
    return answer


@router.post("/sign-out")
def sign_out(request: Request, house: Inside, form: Posted) -> Response:
    """Ends the session on the server, then takes the cookie."""
    cookies = site_of(request).cookies
    token = cookies.session_token(request)
    if token is not None:
        with transaction(house.engine) as session:
            sessions.sign_out(session, token)
    answer = RedirectResponse("/sign-in", status_code=303)
    cookies.end_session(answer)
    flash.leave(answer, cookies, "You are signed out.")
    return answer


def _is_alive(house: House, token: str) -> bool:
    try:
        with reading(house.engine) as session:
            sessions.actor_for_session(session, token, now=utc_now(), wall=wall_now())
    except Unauthenticated:
        return False
    return True


def _form(
    request: Request,
    house: House,
    back: str,
    *,
    email: str = "",
    error: str = "",
    on: str = "",
    ended: bool = False,
    status: int = 200,
) -> Response:
    return site_of(request).pages.page(
        request,
        "pages/desk/sign_in.html",
        status=status,
        next=back,
        email=email,
        error=error,
        error_on=on,
        ended=ended,
        help_mailbox=house.settings.contact_mailbox,
    )
