"""Answers that many handlers give."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workflow.web.shared import flash
from workflow.web.shared.flash import FlashKind
from workflow.web.shared.site import site_of


def go_on(request: Request, path: str, message: str, kind: FlashKind = FlashKind.OK) -> Response:
    """Leads the browser to a page of this site after a POST (303), where it shows the message once."""
    answer = RedirectResponse(path, status_code=303)
    flash.leave(answer, site_of(request).cookies, message, kind)
    return answer
