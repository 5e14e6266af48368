"""Choosing a password without the old one: the page that asks for a link, and the page the link leads to."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.db.tables import Person
from workflow.errors import Invalid
from workflow.services import one_time_links
from workflow.services.accounts import SHORTEST_PASSWORD
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import Inside, network_of
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import Posted
from workflow.web.shared.site import site_of

router = APIRouter()


@router.get("/forgot")
def forgot(request: Request) -> Response:
    """Asks for the address of somebody who forgot the password."""
    return _forgot_form(request)


@router.post("/forgot")
def ask_for_link(request: Request, house: Inside, form: Posted) -> Response:
    """Mails a link, if anybody has this address. The answer is the same for any address."""
    email = form.text("email")
    if not email:
        return _forgot_form(request, error="Enter your e-mail address.", status=422)
    with transaction(house.engine) as session:
        one_time_links.forgot(session, email, now=utc_now(), wall=wall_now())
    return _forgot_form(request, email=email, asked=True)


@router.get(one_time_links.PATH + "/{token}")
def open_link(request: Request, house: Inside, token: str) -> Response:
    """Whose account it is, and a field for the password. Nothing happens on GET: mail scanners open links."""
    with reading(house.engine) as session:
        _, person = one_time_links.open_link(session, token, wall_now())
    return _welcome(request, person)


@router.post(one_time_links.PATH + "/{token}")
def choose(request: Request, house: Inside, token: str, form: Posted) -> Response:
    """Uses the link up, and leads to sign-in: a second factor is asked for there, also after a reset."""
    try:
        one_time_links.choose_password(
            house.engine, token, form.secret("password"), now=utc_now(), wall=wall_now(), network=network_of(request)
        )
    except Invalid as error:
        with reading(house.engine) as session:
            _, person = one_time_links.open_link(session, token, wall_now())
        return _welcome(request, person, error=str(error), status=422)
    return go_on(request, "/sign-in", "Your password is set. Sign in with it.")


def _forgot_form(request: Request, *, email: str = "", error: str = "", asked: bool = False, status: int = 200) -> Response:
    return site_of(request).pages.page(request, "pages/desk/forgot.html", status=status, email=email, error=error, asked=asked)


def _welcome(request: Request, person: Person, *, error: str = "", status: int = 200) -> Response:
    return site_of(request).pages.page(
        request,
        "pages/desk/welcome.html",
        status=status,
        person=person,
        first=person.password_hash is None,
        error=error,
        shortest=SHORTEST_PASSWORD,
    )
