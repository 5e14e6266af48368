"""Proof that a form came from our own page: a token derived from the session, and an exact Origin check."""

import hmac
from hashlib import sha256

from starlette.requests import Request

from workflow.errors import Forbidden
from workflow.license_file import say
from workflow.web.shared.cookies import Cookies

FIELD = "csrf"
HEADER = "X-CSRF-Token"


class ForeignOrigin(Forbidden):
    """A form of another site, or a program that pretends to be a browser."""

    code = "request.foreign_origin"


class StaleForm(Forbidden):
    """The form was made for another session, or carries no token."""

    code = "request.stale_form"


def token_for(secret: str) -> str:
    """The form token of a session or visitor. Nothing is stored: who cannot read the cookie cannot make it."""
    return hmac.new(secret.encode(), b"form token", sha256).hexdigest()


def check_origin(request: Request, scheme: str) -> None:
    """Raises ForeignOrigin unless Origin is exactly this application.

    Browsers send Origin with every POST, so its absence is refused as well. The Host header was compared with the
    known names before; the scheme comes from the settings because a proxy may have taken TLS off.
    """
    expected = f"{scheme}://{request.headers.get('host', '')}"
    if request.headers.get("origin", "").lower() != expected.lower():
        raise ForeignOrigin(say("This request did not come from this site's own page. Open the page here and send it again."))


def check_token(request: Request, cookies: Cookies, submitted: str) -> None:
    """Raises StaleForm unless `submitted` belongs to the session (before sign-in: to the visitor) of the request."""
    secret = cookies.session_token(request) or cookies.visitor_token(request)
    if secret is None or not hmac.compare_digest(token_for(secret).encode(), submitted.encode()):
        raise StaleForm(say("This page was opened before you signed in or out. Reload it and send it again."))
