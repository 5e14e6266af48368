"""Names and attributes of the cookies of one application.

Cookies ignore ports, so two applications on one host need names of their own.
"""

import secrets
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

THEME = "theme"
VISITOR_BYTES = 32


@dataclass(frozen=True)
class Cookies:
    """The cookies of one application: `prefix` keeps desk and console apart on one host.

    With `secure` every name gets the `__Host-` prefix: the browser then refuses the cookie from a subdomain or over
    plain HTTP, so a neighbor cannot plant a session.
    """

    prefix: str
    secure: bool = True

    @property
    def session(self) -> str:
        """Name of the cookie that holds the session token."""
        return self._name("session")

    @property
    def visitor(self) -> str:
        """Name of the cookie that binds forms to a browser nobody has signed in with."""
        return self._name("visitor")

    @property
    def flash(self) -> str:
        """Name of the cookie that carries one message over a redirect."""
        return self._name("flash")

    def session_token(self, request: Request) -> str | None:
        """The session token the browser sent, if any. It proves nothing until looked up."""
        return request.cookies.get(self.session) or None

    def visitor_token(self, request: Request) -> str | None:
        """The visitor token the browser sent, if any."""
        return request.cookies.get(self.visitor) or None

    def start_session(self, response: Response, token: str) -> None:
        """Gives the browser a session. The server decides how long it lives, so the cookie has no end of its own."""
        self.put(response, self.session, token)
        self.drop(response, self.visitor)

    def end_session(self, response: Response) -> None:
        """Takes the session from the browser."""
        self.drop(response, self.session)

    def put(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        """Sets a cookie no script can read and no other site's form can send."""
        response.set_cookie(name, value, max_age=max_age, path="/", secure=self.secure, httponly=True, samesite="lax")

    def drop(self, response: Response, name: str) -> None:
        """Makes the browser forget a cookie."""
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")

    def _name(self, what: str) -> str:
        return f"{'__Host-' if self.secure else ''}{self.prefix}_{what}"


def new_visitor_token() -> str:
    """A fresh value for the visitor cookie."""
    return secrets.token_urlsafe(VISITOR_BYTES)
