"""Turns errors into answers: a page in the application's shell, or RFC 9457 problem details for the API.

The only place that knows which error family is which HTTP status.
"""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from sqlite3 import SQLITE_ERROR
from urllib.parse import quote, urlsplit

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workflow.database import AWAY, DatabaseAway
from workflow.errors import (
    Conflict,
    DeskError,
    Forbidden,
    Invalid,
    Misconfigured,
    NotFound,
    Problem,
    Stale,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from workflow.license_file import say, sentence_of
from workflow.web.shared.templates import Pages

STATUS_OF_FAMILY: tuple[tuple[type[DeskError], int], ...] = (
    (NotFound, 404),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (Stale, 412),  # before its family
    (Conflict, 409),
    (Invalid, 422),
    (TooMany, 429),
    (Unavailable, 503),
    (Misconfigured, 500),
)
UNEXPECTED = say("Something failed on our side. Nothing you sent was lost by looking at this page. Try again in a minute.")
WORDS: dict[int, tuple[str, str]] = {
    400: (say("This request can't be read"), say("Go back and try it again from the page.")),
    404: (say("Page not found"), say("Check the address, or start again from the home page.")),
    405: (say("Not possible here"), say("This address does not take that kind of request. Go back and use the page.")),
    413: (say("Too large"), say("Send less.")),
    500: (say("Something failed"), UNEXPECTED),
}

_SHAPE_WORDS = {
    "extra_forbidden": "There is no field of this name. Correct its spelling, or leave it out.",
    "missing": "This field is missing. Add it.",
}
"""where the validator's own sentence says less than what to do"""

RETRY_AFTER = 60
"""seconds after which a program should come back when the database was away"""

log = logging.getLogger("licdesk.web")


def status_of(error: DeskError) -> int:
    """The HTTP status of an error's family; 500 for one that belongs to none."""
    return next((status for family, status in STATUS_OF_FAMILY if isinstance(error, family)), 500)


def pointer(field: str) -> str:
    """`recipients.0.address` as the JSON pointer `#/recipients/0/address`."""
    return "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in field.split(".") if part)


def document(status: int, title: str, detail: str, code: str, reference: str, errors: Sequence[Problem] = ()) -> Response:
    """Problem details as RFC 9457 has them, with our stable `code`, a `reference` and one entry for each field."""
    body: dict[str, object] = {
        "type": f"urn:licdesk:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "reference": reference,
    }
    if errors:
        body["errors"] = [{"pointer": pointer(each.field), "code": each.code, "detail": each.message} for each in errors]
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


def reference_of(request: Request) -> str:
    """What the person can quote, and what the log has."""
    return str(getattr(request.state, "reference", "none"))


def return_path(request: Request) -> str:
    """Where a person wanted to be: this page, or the page whose form was sent. Always a path of this site."""
    if request.method in ("GET", "HEAD"):
        query = f"?{request.url.query}" if request.url.query else ""
        return safe_path(request.url.path + query)
    came_from = urlsplit(request.headers.get("referer", ""))
    if came_from.netloc != request.headers.get("host"):
        return "/"
    return safe_path(came_from.path + (f"?{came_from.query}" if came_from.query else ""))


def safe_path(path: str, otherwise: str = "/") -> str:
    """`path` when it stays on this site: `//evil.example` and `/\\evil.example` are other sites to a browser."""
    stays = path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path and path.isprintable()
    return path if stays else otherwise


class ErrorAnswers:
    """The error handlers of one application: problem details below `api_prefix`, pages elsewhere."""

    def __init__(self, pages: Pages, *, api_prefix: str = "/api/", sign_in: str | None = "/sign-in") -> None:
        self.pages = pages
        self.api_prefix = api_prefix
        self.sign_in = sign_in

    def install(self, app: FastAPI) -> None:
        """Registers the handlers."""
        app.add_exception_handler(DeskError, self.desk_error)
        app.add_exception_handler(RequestValidationError, self.validation_error)
        app.add_exception_handler(HTTPException, self.http_error)
        for each in AWAY:
            app.add_exception_handler(each, self.database_away)
        # Innermost layer: the framework's own place for unexpected errors is outside of the security headers.
        app.add_middleware(LastResort, answers=self)

    def desk_error(self, request: Request, error: Exception) -> Response:
        """An expected refusal: its family's status, its own sentence."""
        assert isinstance(error, DeskError)
        status = status_of(error)
        if status >= 500:
            log.error("%s %s answered %d %s: %s", request.method, request.url.path, status, error.code, error)
        if isinstance(error, Unauthenticated) and self.sign_in is not None and not self._is_api(request):
            back = return_path(request)
            return RedirectResponse(
                self.sign_in if back == "/" else f"{self.sign_in}?next={quote(back, safe='/')}", status_code=303
            )
        problems = error.problems if isinstance(error, Invalid) else ()
        zone = "UTC" if self._is_api(request) else str(self.pages.context(request).get("zone", "UTC"))
        detail = sentence_of(error) if self._is_api(request) else error.told(zone)
        answer = self._answer(request, status, error.title, detail, error.code, problems)
        if isinstance(error, TooMany):
            answer.headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, Unauthenticated):
            answer.headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, section 15.5.2 wants one with every 401
        return answer

    def validation_error(self, request: Request, error: Exception) -> Response:
        """Input of the wrong shape. On a page only the address can be: then there is no such page."""
        assert isinstance(error, RequestValidationError)
        if not self._is_api(request):
            return self.http_error(request, HTTPException(404))
        problems = [
            Problem(
                ".".join(str(part) for part in each["loc"] if part != "body") or "body",
                f"request.{each['type']}",
                _SHAPE_WORDS.get(each["type"]) or _sentence(str(each["msg"])),
            )
            for each in error.errors()
        ]
        return self._answer(
            request, 422, "There is a problem", "Correct the fields listed under errors.", "request.malformed", problems
        )

    def http_error(self, request: Request, error: Exception) -> Response:
        """What the framework itself refuses: unknown address, wrong method, body too large."""
        assert isinstance(error, HTTPException)
        title, detail = WORDS.get(error.status_code, (HTTPStatus(error.status_code).phrase, ""))
        if error.detail and error.detail != HTTPStatus(error.status_code).phrase:
            detail = error.detail
        answer = self._answer(request, error.status_code, title, detail, f"http.{error.status_code}")
        for name, value in (error.headers or {}).items():
            answer.headers[name] = value
        return answer

    def database_away(self, request: Request, error: Exception) -> Response:
        """No bug, and over without us: the person is told to try again, the log says what the database said.

        SQLite's plain error (no such table) has the same class and is no such thing.
        """
        if getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == SQLITE_ERROR:
            return self.unexpected(request, error)
        log.error("%s %s failed, reference %s", request.method, request.url.path, reference_of(request), exc_info=error)
        answer = self.desk_error(request, DatabaseAway())
        answer.headers["Retry-After"] = str(RETRY_AFTER)
        return answer

    def unexpected(self, request: Request, error: Exception) -> Response:
        """A bug: the person gets a reference, the log gets the reference and the error. Details stay inside."""
        log.error("%s %s failed, reference %s", request.method, request.url.path, reference_of(request), exc_info=error)
        return self._answer(request, 500, *WORDS[500], "unexpected")

    def _is_api(self, request: Request) -> bool:
        return request.url.path.startswith(self.api_prefix)

    def _answer(
        self, request: Request, status: int, title: str, detail: str, code: str, problems: Sequence[Problem] = ()
    ) -> Response:
        reference = reference_of(request)
        if self._is_api(request):
            return document(status, title, detail, code, reference, problems)
        return self.pages.page(
            request,
            "pages/error.html",
            status=status,
            number=status,
            title=title,
            detail=detail,
            code=code,
            reference=reference,
            problems=problems,
        )


class LastResort:
    """Answers for whatever the application let slip. An answer that has begun can only be broken off.

    Pages never see an address with a NUL in it: none has one, and PostgreSQL cannot look it up. The API names the field itself.
    """

    def __init__(self, app: ASGIApp, *, answers: ErrorAnswers) -> None:
        self.app = app
        self.answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and catches what nobody else did."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if not request.url.path.startswith(self.answers.api_prefix) and _holds_nul(scope):
            await self.answers.http_error(request, HTTPException(404))(scope, receive, send)
            return
        begun = False

        async def noticing(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noticing)
        except Exception as error:  # the edge of the process: nothing above could do better
            if begun:
                raise
            answer = self.answers.unexpected(request, error)
            await answer(scope, receive, send)


def _holds_nul(scope: Scope) -> bool:
    return "\0" in scope["path"] or b"%00" in scope["query_string"]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
