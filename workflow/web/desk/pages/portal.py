"""The portal: what a link in a mail leads to. Looking changes nothing; a button asks for a code, another one downloads."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.domain.roles import Actor, Role
from workflow.errors import TooMany
from workflow.license_file import file_name
from workflow.services import portal
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import House, Inside, Me, Visitor, network_of
from workflow.web.desk.pages.application import license_file_response
from workflow.web.shared.answers import go_on
from workflow.web.shared.flash import FlashKind
from workflow.web.shared.forms import Posted
from workflow.web.shared.site import site_of

router = APIRouter()


@router.get("/d/{token}")
def show(request: Request, house: Inside, visitor: Visitor, token: str) -> Response:
    """Whose file it is, until when, and the two ways to it. Mail scanners open links, so this changes nothing."""
    return _page(request, house, visitor, token)


@router.post("/d/{token}/code")
def ask(request: Request, house: Inside, token: str, form: Posted) -> Response:
    """Sends a code to the mailbox that the link was sent to."""
    back = f"/d/{token}#code"
    try:
        with transaction(house.engine) as session:
            times = {"now": utc_now(), "wall": wall_now()}
            portal.ask_for_code(session, house.desk.policy, token, _browser(request), **times, network=network_of(request))
    except TooMany as error:
        return go_on(request, back, str(error), FlashKind.WARN)
    return go_on(request, back, "A code is on its way to the same mailbox. It can be used for 10 minutes.")


@router.post("/d/{token}/file")
def download(request: Request, house: Inside, visitor: Visitor, token: str, form: Posted) -> Response:
    """The file, against the right code or for a signed-in administrator of this customer."""
    actor: Actor | None = None
    if form.text("code") or visitor is None:
        with transaction(house.engine) as session:  # a wrong code is counted, so this commits whatever comes out
            right = portal.check_code(session, house.desk.policy, token, _browser(request), form.text("code"), wall=wall_now())
            left = 0 if right else portal.tries_left(session, token, wall_now())
        if not right:
            return _page(request, house, visitor, token, error=str(portal.WrongCode(left)), status=422)
    else:
        actor = visitor.actor
    with transaction(house.engine) as session:
        opened = portal.download(
            session, house.desk.policy, token, actor=actor, now=utc_now(), wall=wall_now(), network=network_of(request)
        )
        name, content = file_name(opened.issued.license_id, opened.issued.version), opened.issued.envelope
    return license_file_response(name, content)


def _page(request: Request, house: House, visitor: Me | None, token: str, *, error: str = "", status: int = 200) -> Response:
    with reading(house.engine) as session:
        opened = portal.open_link(session, token, wall_now())
    at, domain = opened.recipient.address.split("@", 1)
    own = visitor is not None and Role.ADMINISTRATOR in visitor.actor.roles and visitor.actor.tenant == opened.tenant.id
    return site_of(request).pages.page(
        request,
        "pages/desk/portal.html",
        status=status,
        token=token,
        opened=opened,
        file=file_name(opened.issued.license_id, opened.issued.version),
        mailbox=f"{at[:1]}…@{domain}",
        own=own,
        takes_code=portal.takes_code(house.desk.policy, opened),
        error=error,
        mailbox_help=house.settings.contact_mailbox,
    )


def _browser(request: Request) -> str:
    """What a code is bound to: the cookie that every form of this browser is bound to as well."""
    cookies = site_of(request).cookies
    return cookies.session_token(request) or cookies.visitor_token(request) or ""
