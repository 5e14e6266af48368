"""Signing in and out, and the second factor between them."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workflow.database import reading, transaction
from workflow.errors import Unauthenticated
from workflow.services import sessions
from workflow.services.second_factor import SecondFactorThrottled, WrongSecondFactor
from workflow.services.sessions import Where
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import House, Inside, network_of
from workflow.web.desk.shown.people import browser_words
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
    if token is not None and _waits_for_code(house, token):
        return _code_form(request, back)
    return _form(request, house, back, ended=token is not None)


@router.post("/sign-in")
def sign_in(request: Request, house: Inside, form: Posted) -> Response:
    """Starts a session and goes to the page that was asked for."""
    email, back = form.text("email"), safe_path(form.text("next") or "/")
    if not email or not form.secret("password"):
        message = "Enter your e-mail address." if not email else "Enter your password."
        return _form(request, house, back, email=email, error=message, on="password" if email else "email", status=422)
    try:
        entry = sessions.sign_in(
            house.engine,
            email,
            form.secret("password"),
            now=utc_now(),
            wall=wall_now(),
            where=Where(browser_words(request.headers.get("user-agent", "")), network_of(request)),
        )
    except sessions.WrongCredentials as error:
        return _form(request, house, back, email=email, error=str(error), on="email", status=401)
    except sessions.SignInThrottled as error:
        answer = _form(request, house, back, email=email, error=str(error), on="email", status=429)
        answer.headers["Retry-After"] = str(error.retry_after)
        return answer
    following = f"/sign-in?next={quote(back, safe='/')}" if entry.waits_for_code else back
    answer = RedirectResponse(following, status_code=303)
    site_of(request).cookies.start_session(answer, entry.token)
    return answer


@router.post("/sign-in/code")
def enter_code(request: Request, house: Inside, form: Posted) -> Response:
    """Opens the session that the password has promised."""
    back, cookies = safe_path(form.text("next") or "/"), site_of(request).cookies
    token = cookies.session_token(request) or ""
    try:
        opened = sessions.enter_code(
            house.engine, token, form.text("code"), now=utc_now(), wall=wall_now(), network=network_of(request)
        )
    except sessions.SessionEnded:
        return _form(request, house, back, ended=True, status=401)
    except WrongSecondFactor as error:
        return _code_form(request, back, error=str(error), status=401)
    except SecondFactorThrottled as error:
        throttled = _code_form(request, back, error=str(error), status=429)
        throttled.headers["Retry-After"] = str(error.retry_after)
        return throttled
    answer = RedirectResponse(back, status_code=303)
    cookies.start_session(answer, opened)
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


def _waits_for_code(house: House, token: str) -> bool:
    with reading(house.engine) as session:
        return sessions.waits_for_code(session, token, wall_now())


def _code_form(request: Request, back: str, *, error: str = "", status: int = 200) -> Response:
    return site_of(request).pages.page(request, "pages/desk/sign_in_code.html", status=status, next=back, error=error)


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
