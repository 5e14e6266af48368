"""The letters as their readers get them, with sample data, for operators. Nothing is sent from here."""

from functools import cache
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from workflow.errors import NotFound
from workflow.mail.messages import Letter
from workflow.mail.samples import TITLES, every_letter
from workflow.web.desk.access import Operator
from workflow.web.shared.headers import FRAMED_HEADERS
from workflow.web.shared.site import site_of

router = APIRouter(prefix="/settings/letters")
LANGUAGES = (("en", "English"), ("zh", "中文"))


@router.get("")
def show(
    request: Request,
    me: Operator,
    letter: Annotated[str, Query()] = "license_delivery",
    language: Annotated[str, Query()] = "en",
) -> Response:
    """One letter, and the list of all."""
    return site_of(request).pages.page(
        request,
        "pages/desk/letters.html",
        shown=_letter(letter, language),
        chosen=letter,
        language=language,
        languages=LANGUAGES,
        titles=TITLES,
    )


@router.get("/{name}/{language}")
def frame(me: Operator, name: str, language: str) -> Response:
    """The letter's HTML alone, for a frame: its inline styles count there, and nothing in it runs, loads or leads away."""
    return HTMLResponse(_letter(name, language).html, headers=dict(FRAMED_HEADERS))


@cache
def _letters(language: str) -> dict[str, Letter]:
    return every_letter(language)


def _letter(name: str, language: str) -> Letter:
    if language not in dict(LANGUAGES) or name not in _letters(language):
        raise NotFound("There is no such letter. Choose one from the list.")
    return _letters(language)[name]
