"""Who may open License Management. Asked through one small interface, so that a platform's own gateway can answer it."""

import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol
from zoneinfo import ZoneInfo

from fastapi import Depends
from starlette.requests import Request

from workflow.console import accounts
from workflow.console.accounts import ConsoleRole, Person
from workflow.console.identity import Console, digest
from workflow.database import reading, transaction
from workflow.errors import Forbidden, Unauthenticated
from workflow.license_file import say
from workflow.settings import ConsoleSettings
from workflow.times import utc_now, wall_now
from workflow.web.console.live import Watcher
from workflow.web.shared.site import site_of

log = logging.getLogger("licdesk.console.access")


class NotAdministrator(Forbidden):
    """Signed in, but not an administrator of the platform."""

    code = "console.not_administrator"
    title = "Only for platform administrators"


class TokenRefused(Unauthenticated):
    """A program without the console's token."""

    code = "console.token"


class People(Protocol):
    """Who sent a request: local accounts, OpenID Connect, or a header that the platform's gateway sets."""

    def of(self, request: Request) -> Person | None:
        """The person, or None when nobody is signed in. Never asks whether the platform is licensed."""


@dataclass(frozen=True)
class LocalAccounts:
    """The console's own accounts and sessions."""

    console: Console

    def of(self, request: Request) -> Person | None:
        """The person behind the session cookie."""
        token = site_of(request).cookies.session_token(request)
        if token is None:
            return None
        wall = wall_now()
        with reading(self.console.engine) as session:
            person = accounts.person_of(session, token, wall)
            stale = person is not None and accounts.needs_touch(session, token, wall)
        if stale:
            with transaction(self.console.engine) as session:
                accounts.touch(session, token, wall)
        return person


@dataclass(frozen=True)
class House:
    """What every request needs of the running console; made once at start."""

    console: Console
    settings: ConsoleSettings
    people: People
    company: str
    zone: str
    desk_url: str | None
    api_token_sha256: str
    watcher: Watcher


def house_of(request: Request) -> House:
    """The console this request came to."""
    house = request.app.state.house
    assert isinstance(house, House)
    return house


def administrator(request: Request) -> Person:
    """The signed-in administrator. Raises Unauthenticated or NotAdministrator; the latter is logged."""
    person = house_of(request).people.of(request)
    if person is None:
        raise Unauthenticated(say("Sign in to see this page."))
    request.state.me = person
    if person.role is not ConsoleRole.ADMINISTRATOR:
        log.warning("%s was refused %s %s", person.address, request.method, request.url.path)
        raise NotAdministrator(say("Ask a platform administrator. License Management is open to them only."))
    return person


def require_token(request: Request) -> None:
    """Lets a program with the console's bearer token in. Raises TokenRefused."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    good = hmac.compare_digest(digest(token.strip().encode()), house_of(request).api_token_sha256)
    if scheme.lower() != "bearer" or not good:
        raise TokenRefused("Send `Authorization: Bearer TOKEN` with the token in the console's file api-token.")


Inside = Annotated[House, Depends(house_of)]
Administrator = Annotated[Person, Depends(administrator)]


def page_context(request: Request) -> Mapping[str, object]:
    """What the console's shell shows on every page. Reads no database: an error page must not fail for the same reason."""
    house = house_of(request)
    return {
        "me": getattr(request.state, "me", None),
        "identity": house.console.identity,
        "company": house.company,
        "zone": house.zone,
        "zone_words": zone_words(house.zone, utc_now()),
    }


def zone_words(zone: str, at: datetime) -> str:
    """Asia/Shanghai (UTC+8)"""
    offset = at.astimezone(ZoneInfo(zone)).utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset else 0
    hours, rest = divmod(abs(minutes), 60)
    difference = f"{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}" if minutes else ""
    return zone if zone == "UTC" else f"{zone} (UTC{difference})"
