"""The button on a preview, for a license and for a revocation list alike: what it did, or the page again with the reason."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from workflow.console import install, publishing
from workflow.database import transaction
from workflow.license_file import LicenseRefused, say, sentence_of
from workflow.license_file.wording import joined
from workflow.web.console.access import House
from workflow.web.console.pages.license_page import back_to_start, license_page

_Made = TypeVar("_Made")


class PreviewAgain(Protocol):
    """Shows the preview once more: with a problem of the form, or with what somebody else did meanwhile."""

    def __call__(self, *, status: int, problem: str = "", conflict: str = "") -> Response:
        """The page."""


def decided(
    request: Request,
    house: House,
    decide: Callable[[Session], _Made],
    preview_again: PreviewAgain,
    done: Callable[[_Made], Response],
) -> Response:
    """Takes the decision in one transaction and tells every process; where it cannot be taken, nothing is changed.

    `decide` returns a plain value, which outlives the transaction. What a second click is told is the caller's business.
    """
    try:
        with transaction(house.console.engine) as session:
            made = decide(session)
    except install.UploadRanOut as late:
        return back_to_start(request, sentence_of(late))
    except install.NotAcknowledged as missing:
        return preview_again(status=422, problem=sentence_of(missing))
    except install.SomeoneWasQuicker as conflict:
        return preview_again(status=409, conflict=sentence_of(conflict))
    publishing.publish(house.console)
    return done(made)


def no_longer_usable(
    request: Request, house: House, file_name: str, refused: LicenseRefused, *, status: int, conflict: str
) -> Response:
    """Instead of the preview, when the file that waited would be refused by now."""
    late = say("%(file)s can no longer be used. %(problem)s", file=file_name, problem=sentence_of(refused))
    if conflict:
        return license_page(request, house, status=status, conflict=joined((conflict, late)))
    return back_to_start(request, late)
