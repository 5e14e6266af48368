"""The inbox's pages and its JSON: what was sent, to whom, what it says, who signed it."""

import base64
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles

from workflow import templating
from workflow.errors import NotFound
from workflow.inbox.maildir import Caught, Maildir
from workflow.inbox.opening import Keyring, Opened, open_message

# The letter's own HTML is shown in a frame that may run nothing and load nothing; its inlined styles are its only ones.
_FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
_PAGE_POLICY = "default-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"


def create_app(mail: Maildir, keyring: Keyring) -> FastAPI:
    """The application over one Maildir and one set of demo keys."""
    app = FastAPI(title="Development inbox", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=templating.static_directory()), name="static")
    pages = templating.environment()

    def page(name: str, **facts: Any) -> HTMLResponse:
        html = pages.get_template(f"pages/inbox/{name}.html").render(facts)
        return HTMLResponse(html, headers={"Content-Security-Policy": _PAGE_POLICY, "X-Content-Type-Options": "nosniff"})

    def opened(message: str) -> tuple[Caught, Opened]:
        try:
            caught = mail.get(message)
        except NotFound as error:
            raise HTTPException(404, str(error)) from error
        return caught, open_message(caught.raw, keyring)

    @app.exception_handler(HTTPException)
    async def refuse(request: Request, error: HTTPException) -> Response:
        if request.url.path.startswith("/api/"):
            return PlainTextResponse(str(error.detail), error.status_code)
        response = page("missing", sentence=str(error.detail))
        response.status_code = error.status_code
        return response

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/")
    def index(to: str = "") -> HTMLResponse:
        listed = [(caught, open_message(caught.raw, keyring)) for caught in mail.latest()]
        people = sorted({str(each.outer["To"]) for _, each in listed})
        shown = [(caught, each) for caught, each in listed if not to or to in str(each.outer["To"])]
        return page("index", messages=shown, people=people, chosen=to)

    @app.get("/messages/{message}")
    def show(message: str) -> HTMLResponse:
        caught, each = opened(message)
        return page("message", caught=caught, message=each)

    @app.get("/messages/{message}/html")
    def frame(message: str) -> HTMLResponse:
        _, each = opened(message)
        return HTMLResponse(each.html, headers={"Content-Security-Policy": _FRAME_POLICY})

    @app.get("/messages/{message}/raw")
    def raw(message: str) -> Response:
        caught, _ = opened(message)
        return _download(caught.raw, f"{caught.id}.eml", "message/rfc822")

    @app.get("/messages/{message}/files/{number}")
    def attachment(message: str, number: int) -> Response:
        _, each = opened(message)
        if not 0 <= number < len(each.files):
            raise HTTPException(404, "This message has no such file.")
        found = each.files[number]
        return _download(found.content, found.name, "application/octet-stream")

    @app.get("/api/messages")
    def list_json(to: str = "") -> list[dict[str, Any]]:
        return [
            _summary(caught, each)
            for caught in mail.latest()
            for each in [open_message(caught.raw, keyring)]
            if not to or to in str(each.outer["To"])
        ]

    @app.get("/api/messages/{message}")
    def show_json(message: str) -> dict[str, Any]:
        caught, each = opened(message)
        files = [{"name": file.name, "content": base64.b64encode(file.content).decode()} for file in each.files]
        return _summary(caught, each) | {"text": each.text, "html": each.html, "files": files}

    return app


def _summary(caught: Caught, each: Opened) -> dict[str, Any]:
    return {
        "id": caught.id,
        "message_id": str(each.outer["Message-ID"]).strip(),
        "from": str(each.outer["From"]),
        "to": str(each.outer["To"]),
        "outer_subject": str(each.outer["Subject"]),
        "subject": each.subject,
        "received_at": caught.received_at.isoformat(),
        "encrypted": each.encrypted,
        "signed": each.signed,
        "signature": each.signature,
        "file_names": [file.name for file in each.files],
    }


def _download(content: bytes, name: str, media_type: str) -> Response:
    safe = "".join(c for c in name if c.isalnum() or c in "-_.") or "file"
    headers = {"Content-Disposition": f'attachment; filename="{safe}"', "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=media_type, headers=headers)
