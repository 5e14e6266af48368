"""The language of the pages, as a person chose it; works before sign-in, too."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workflow.languages import find
from workflow.web.shared.forms import Posted
from workflow.web.shared.languages import COOKIE
from workflow.web.shared.problems import return_path
from workflow.web.shared.site import site_of

REMEMBERED = 365 * 24 * 3600
"""seconds"""

router = APIRouter()


@router.post("/console/language")
def choose(request: Request, form: Posted) -> Response:
    """Remembers the language in this browser and goes back to the page that the button was on."""
    site = site_of(request)
    answer = RedirectResponse(return_path(request), status_code=303)
    language = find(form.text("language"), site.pages.languages)
    if language is not None:
        site.cookies.put(answer, COOKIE, language.tag, max_age=REMEMBERED)
    return answer
