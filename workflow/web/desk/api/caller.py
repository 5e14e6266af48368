"""Who calls: the person behind a bearer token, or behind the session of a browser that also sends its form token."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from workflow.database import AWAY, reading, transaction
from workflow.db.tables import Person
from workflow.domain.roles import Actor, Permission, may, require
from workflow.errors import Unauthenticated
from workflow.services import tokens
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import House, house_of, network_of, signed_in
from workflow.web.shared import csrf
from workflow.web.shared.problems import reference_of
from workflow.web.shared.site import site_of

READS = frozenset({"GET", "HEAD", "OPTIONS"})

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A personal token: made on the profile page, or with `licdesk users token`.",
)


@dataclass(frozen=True)
class Caller:
    """The person a request is made for."""

    actor: Actor
    person_id: UUID
    name: str
    email: str

    def may(self, permission: Permission) -> bool:
        """Whether a role of this person allows it."""
        return may(self.actor, permission)


def caller(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> Caller:
    """Who calls. Raises Unauthenticated; ForeignOrigin or StaleForm when a session writes without its form token."""
    if credentials is not None:
        return _of_token(request, credentials.credentials)
    site = site_of(request)
    if site.cookies.session_token(request) is None:
        raise Unauthenticated("Send a token in the header Authorization: Bearer. Your profile page makes one.")
    if request.method not in READS:
        _require_form_token(request)
    me = signed_in(request)
    return Caller(replace(me.actor, channel="api"), me.person_id, me.name, me.email)


def any_caller(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> Caller | None:
    """Who calls, or None when nobody says so: for what is public and tells some people more."""
    if credentials is None and site_of(request).cookies.session_token(request) is None:
        return None
    return caller(request, credentials)


def allowed(*permissions: Permission) -> Callable[[Caller], Caller]:
    """A dependency that lets only people with one of these permissions in. Raises MissingRole for the first."""

    def check(who: Annotated[Caller, Depends(caller)]) -> Caller:
        if not any(who.may(each) for each in permissions):
            require(who.actor, permissions[0])
        return who

    return check


def on_purpose(request: Request, who: Annotated[Caller, Depends(allowed(Permission.DOWNLOAD_FILE))]) -> Caller:
    """Whoever may take a license file, and means to: what a browser loads by itself (a link ahead of time, a picture of another
    site) carries no token. Raises ForeignOrigin or StaleForm."""
    if "authorization" not in request.headers:
        _require_form_token(request)
    return who


def _require_form_token(request: Request) -> None:
    site = site_of(request)
    csrf.check_origin(request, site.scheme)
    csrf.check_token(request, site.cookies, request.headers.get(csrf.HEADER, ""))


def _of_token(request: Request, token: str) -> Caller:
    house, wall = house_of(request), wall_now()
    with reading(house.engine) as session:
        actor, person = tokens.actor_for_token(session, token, now=utc_now(), wall=wall)
        unused = tokens.token_needs_touch(session, token, wall)
    if unused:
        with suppress(*AWAY), transaction(house.engine) as session:  # reading goes on while nothing can be written
            tokens.touch_token(session, token, wall)
    return _caller(replace(actor, request_id=reference_of(request), network=network_of(request)), person)


def _caller(actor: Actor, person: Person) -> Caller:
    return Caller(actor, person.id, person.name, person.email)


Inside = Annotated[House, Depends(house_of)]
Anyone = Annotated[Caller | None, Depends(any_caller)]
Known = Annotated[Caller, Depends(caller)]
Reader = Annotated[Caller, Depends(allowed(Permission.READ_ALL, Permission.READ_OWN))]
Applicant = Annotated[Caller, Depends(allowed(Permission.APPLY))]
Approver = Annotated[Caller, Depends(allowed(Permission.DECIDE))]
Operator = Annotated[Caller, Depends(allowed(Permission.OPERATE))]
OperationsReader = Annotated[Caller, Depends(allowed(Permission.READ_OPERATIONS))]
CustomerEditor = Annotated[Caller, Depends(allowed(Permission.EDIT_CUSTOMERS))]
AuditReader = Annotated[Caller, Depends(allowed(Permission.READ_AUDIT))]
Downloader = Annotated[Caller, Depends(on_purpose)]
