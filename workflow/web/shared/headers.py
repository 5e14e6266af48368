"""Middleware around every answer: known hosts only, a reference for each request, and the security headers."""

import logging
import secrets
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workflow.logs import FACTS, concerning, write_json

REFERENCE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U, so it can be read over the phone
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

# 'self' only: no inline style or script anywhere, so an injected one does nothing.
CONTENT_SECURITY_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # "no-referrer" would turn the Origin of our own forms into "null", which the origin check refuses.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
FRAMED_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox",
    "X-Frame-Options": "SAMEORIGIN",
}
"""For a document that our own pages show in a frame: it has inline styles, and nothing in it runs, loads, posts or leads away,
also when somebody opens it by itself."""
ONE_YEAR = 31_536_000

log = logging.getLogger("licdesk.web")


def new_reference() -> str:
    """What a person quotes when something went wrong: 4-4 characters, found again in the log."""
    drawn = "".join(secrets.choice(REFERENCE_ALPHABET) for _ in range(8))
    return f"{drawn[:4]}-{drawn[4:]}"


def log_requests_as_json() -> None:
    """This server logs as JSON; the lines of uvicorn about each request give way to our own, which know its reference."""
    write_json()
    logging.getLogger("uvicorn.access").disabled = True


def known_hosts(public_url: str, others: Iterable[str] = ()) -> frozenset[str]:
    """The host names an application answers to: that of its public address, and those named besides."""
    names = {(urlsplit(public_url).hostname or "").lower(), *(each.lower() for each in others)}
    if names & LOOPBACK_NAMES:
        names |= LOOPBACK_NAMES
    return frozenset(names - {""})


class RequestReference:
    """Gives each request a reference: `request.state.reference`, and the answer's X-Request-ID."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with its reference."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        reference = new_reference()
        scope.setdefault("state", {})["reference"] = reference

        status, began = 0, time.monotonic()

        async def with_reference(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = reference
            await send(message)

        with concerning(request=reference):
            try:
                await self.app(scope, receive, with_reference)
            finally:
                # The route and not the address: some addresses are secrets (a portal link, a link to choose a password).
                route = getattr(scope.get("route"), "path", "")
                facts = {
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "seconds": round(time.monotonic() - began, 4),
                }
                log.info("request", extra={FACTS: facts})


class SecurityHeaders:
    """Puts the security headers on every answer, and keeps pages out of caches unless a route says otherwise."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.headers = dict(SECURITY_HEADERS)
        if https:
            self.headers["Strict-Transport-Security"] = f"max-age={ONE_YEAR}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and completes the answer's headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                framed = "X-Frame-Options" in headers  # such an answer says itself who may show it, and what it may do
                for name, value in self.headers.items():
                    if not (framed and name in FRAMED_HEADERS):
                        headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)


class KnownHosts:
    """Answers 400 to a Host that is not ours: links and the origin check rely on that header."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes requests to a known host on."""
        if scope["type"] == "http" and not self._known(Headers(scope=scope)):
            refusal = PlainTextResponse("This server does not answer to that host name.\n", status_code=400)
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _known(self, headers: Headers) -> bool:
        given = headers.getlist("host")
        if len(given) != 1:
            return False
        try:
            return (urlsplit(f"//{given[0]}").hostname or "").lower() in self.hosts
        except ValueError:
            return False
