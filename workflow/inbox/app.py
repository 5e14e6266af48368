"""The inbox's pages and its JSON: what was sent, to whom, what it says, who signed it. It only shows; nothing can be sent."""

import base64
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from html import escape
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles

from workflow import templating
from workflow.inbox.box import Box, Mail, NoSuchMail

PAGE_SIZE = 25
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

# The letter's own HTML is shown in a frame that may run nothing and load nothing; its inlined styles are its only ones.
# Its links may open the desk's pages, in a tab of their own.
_FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
_PAGE_POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"

Before = Annotated[str, Query(max_length=100, description="The id after which the list goes on.")]
Words = Annotated[str, Query(max_length=200)]


def create_app(box: Box) -> FastAPI:
    """The application over one box of caught mail."""
    app = FastAPI(title="Development inbox", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=templating.static_directory()), name="static")
    pages = templating.environment()
    pages.globals["static"] = _static_address

    def page(request: Request, name: str, *, status: int = 200, **facts: Any) -> HTMLResponse:
        theme = request.cookies.get("theme")  # set by the switch on any page of the product: cookies ignore ports
        common = {"lang": "en", "theme": theme if theme in ("light", "dark") else None}
        return HTMLResponse(pages.get_template(f"pages/inbox/{name}.html").render(common | facts), status_code=status)

    @app.middleware("http")
    async def protect(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        # A page elsewhere whose name was pointed at this machine must not read other people's mail (DNS rebinding).
        if _host_name(request.headers.get("host", "")) not in LOOPBACK_HOSTS:
            return PlainTextResponse("The inbox answers to this machine's own names only.\n", status_code=400)
        response = await go_on(request)
        for name, value in (
            ("Content-Security-Policy", _PAGE_POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        ):
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(NoSuchMail)
    async def missing(request: Request, error: NoSuchMail) -> Response:
        return refusal(request, 404, error.code, error.title, str(error))

    @app.exception_handler(HTTPException)
    @app.exception_handler(404)
    @app.exception_handler(405)
    async def refused(request: Request, error: HTTPException) -> Response:
        return refusal(request, error.status_code, "inbox.refused", "Nothing here", "There is no such page in the inbox.")

    @app.exception_handler(RequestValidationError)
    async def unusable(request: Request, _: RequestValidationError) -> Response:
        return refusal(request, 422, "inbox.query", "Check the address", "Go back to the list and search again.")

    def refusal(request: Request, status: int, code: str, title: str, sentence: str) -> Response:
        if request.url.path.startswith("/api/"):
            problem = {"status": status, "code": code, "title": title, "detail": sentence}
            return JSONResponse(problem, status, media_type="application/problem+json")
        return page(request, "missing", status=status, sentence=sentence)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/")
    def index(request: Request, to: Words = "", q: Words = "", before: Before = "") -> HTMLResponse:
        shown, following = box.page(PAGE_SIZE, to=to, words=q, before=before)
        return page(request, "index", messages=shown, following=following, to=to, q=q, before=before)

    @app.get("/messages/{message}")
    def show(request: Request, message: str) -> HTMLResponse:
        return page(request, "message", mail=box.get(message))

    @app.get("/messages/{message}/html")
    def frame(message: str) -> HTMLResponse:
        # The base element makes links open a tab of their own, outside the frame's sandbox.
        html = '<base target="_blank">' + box.get(message).opened.html
        return HTMLResponse(html, headers={"Content-Security-Policy": _FRAME_POLICY})

    @app.get("/messages/{message}/raw")
    def raw(message: str) -> Response:
        return _download(box.raw(message), f"{message}.eml", "message/rfc822")

    @app.get("/messages/{message}/files/{number}")
    def attachment(message: str, number: int) -> Response:
        files = box.get(message).opened.files
        if not 0 <= number < len(files):
            raise NoSuchMail("This message has no such file. Go back to it and choose one of its files.")
        return _download(files[number].content, files[number].name, "application/octet-stream")

    @app.get("/api/messages")
    def list_json(
        to: Words = "", q: Words = "", before: Before = "", limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> list[dict[str, Any]]:
        return [_summary(mail) for mail in box.page(limit, to=to, words=q, before=before)[0]]

    @app.get("/api/messages/{message}")
    def show_json(message: str) -> dict[str, Any]:
        mail = box.get(message)
        return _summary(mail) | {"text": mail.opened.text, "html": mail.opened.html, "files": list(_files(mail))}

    return app


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _summary(mail: Mail) -> dict[str, Any]:
    opened = mail.opened
    return {
        "id": mail.id,
        "message_id": opened.message_id,
        "from": opened.sender,
        "to": opened.recipient,
        "outer_subject": opened.outer_subject,
        "subject": opened.subject,
        "received_at": mail.received_at.isoformat(),
        "encrypted": opened.encrypted,
        "readable": opened.readable,
        "signed": opened.signed,
        "signature": opened.signature,
        "file_names": [file.name for file in opened.files],
    }


def _files(mail: Mail) -> Iterator[dict[str, str]]:
    for number, file in enumerate(mail.opened.files):
        content = base64.b64encode(file.content).decode("ascii")
        yield {"name": file.name, "content": content, "url": f"/messages/{mail.id}/files/{number}"}


def _download(content: bytes, name: str, media_type: str) -> Response:
    safe = "".join(each for each in name if each.isascii() and (each.isalnum() or each in "-_."))[-100:].lstrip(".") or "file"
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{safe}"'})


def _static_address(name: str) -> str:
    digest = sha256((templating.static_directory() / name).read_bytes()).hexdigest()
    return f"/static/{escape(name)}?v={digest[:12]}"
