"""Who is asking: the session behind the cookie, the person behind the session, and what their roles let them see."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from sqlalchemy import Engine
from sqlmodel import Session
from starlette.requests import Request

from workflow.database import AWAY, reading, transaction
from workflow.db.queries import overview
from workflow.db.queries.applications import NOTHING_LENT, Lent
from workflow.domain.roles import Actor, Permission, Role, may, require
from workflow.errors import Unauthenticated
from workflow.services import delegations, policies, sessions
from workflow.services.desk import Desk
from workflow.settings import DeskSettings
from workflow.times import utc_now, wall_now
from workflow.web.desk.shown.terms import zone_words
from workflow.web.shared.problems import reference_of
from workflow.web.shared.site import site_of

SHORTCUTS_OFF = "shortcuts"
BACKGROUND = "X-Background"
"""Sent by app.js with what nobody asked for: timers, and the answer to an event."""
ROLE_WORDS: Mapping[Role, str] = {
    Role.LIAISON: "Business liaison",
    Role.APPROVER: "Approver",
    Role.ADMINISTRATOR: "Platform administrator",
    Role.OPERATOR: "Operator",
    Role.AUDITOR: "Auditor",
}


@dataclass(frozen=True)
class House:
    """What every request needs of the running desk; made once at start."""

    engine: Engine
    settings: DeskSettings
    desk: Desk


@dataclass(frozen=True)
class Me:
    """The signed-in person: who acts, and how pages address them."""

    actor: Actor
    person_id: UUID
    name: str
    email: str
    zone: str
    token: str
    language: str = "en"
    """in which letters are written to them"""
    groups: frozenset[str] = frozenset()
    lent: Lent = field(default_factory=dict)
    waiting: int = 0
    attention: int = 0

    @property
    def role(self) -> str:
        """The person's roles in words."""
        return ", ".join(words for role, words in ROLE_WORDS.items() if role in self.actor.roles) or "No role yet"

    @property
    def initials(self) -> str:
        """One or two letters for the picture nobody uploads."""
        words = self.name.split()
        return (words[0][:1] + (words[-1][:1] if len(words) > 1 else "")).upper()

    def may(self, permission: Permission) -> bool:
        """Whether a role of this person allows it."""
        return may(self.actor, permission)

    @property
    def reads_desk(self) -> bool:
        """Whether the person sees applications at all (an administrator of a customer does not)."""
        return self.may(Permission.READ_ALL) or self.may(Permission.READ_OWN)


@dataclass(frozen=True)
class Can:
    """What the navigation offers."""

    see_applications: bool
    apply: bool
    decide: bool
    read_queue: bool
    operate: bool
    read_operations: bool
    edit_customers: bool
    download: bool
    audit: bool


def house_of(request: Request) -> House:
    """The desk this request came to."""
    house = request.app.state.house
    assert isinstance(house, House)
    return house


def network_of(request: Request) -> str | None:
    """The network address a request came from, for the history. Behind a proxy it is what the proxy says, if uvicorn was told
    to believe it (FORWARDED_ALLOW_IPS); it proves nothing."""
    return request.client.host[:64] if request.client else None


def signed_in(request: Request) -> Me:
    """The person behind the session cookie. Raises Unauthenticated; a page then leads to sign-in."""
    house, wall = house_of(request), wall_now()
    token = site_of(request).cookies.session_token(request)
    if token is None:
        raise Unauthenticated("Sign in to see this page.")
    with reading(house.engine) as session:
        actor, person = sessions.actor_for_session(session, token, now=utc_now(), wall=wall)
        actor = replace(actor, request_id=reference_of(request), network=network_of(request))
        decides = may(actor, Permission.DECIDE)
        groups = house.desk.policy.groups_of(person.email, actor.roles) if decides else frozenset()
        lent = delegations.lent_to(session, house.desk.policy, person.id, utc_now()) if decides else NOTHING_LENT
        me = Me(
            actor=actor,
            person_id=person.id,
            name=person.name,
            email=person.email,
            zone=person.time_zone,
            token=token,
            language=person.language,
            groups=groups,
            lent=lent,
            waiting=overview.count_waiting_for(session, person.id, groups, lent) if decides else 0,
            attention=_attention(session, house) if may(actor, Permission.OPERATE) else 0,
        )
        stale = not _in_background(request) and sessions.session_needs_touch(session, token, wall)
    if stale:
        with suppress(*AWAY), transaction(house.engine) as session:  # reading goes on while nothing can be written
            sessions.touch_session(session, token, wall)
    request.state.me = me
    return me


def _attention(session: Session, house: House) -> int:
    """How many things wait for an operator: what gave up, what is to be confirmed, rules that nobody can meet."""
    return overview.count_attention(session) + len(policies.staffing_gaps(session, house.desk.policy, utc_now()))


def _in_background(request: Request) -> bool:
    """Whether the page asks by itself. A page left open must not keep its session alive for ever."""
    return BACKGROUND in request.headers or request.headers.get("accept", "").startswith("text/event-stream")


def maybe_signed_in(request: Request) -> Me | None:
    """The person behind the session cookie, or None for a visitor: for pages that anyone with a link may open."""
    try:
        return signed_in(request)
    except Unauthenticated:
        return None


def allowed(*permissions: Permission) -> Callable[[Me], Me]:
    """A dependency that lets only people with one of these permissions in. Raises MissingRole for the first."""

    def check(me: Annotated[Me, Depends(signed_in)]) -> Me:
        if not any(me.may(each) for each in permissions):
            require(me.actor, permissions[0])
        return me

    return check


Inside = Annotated[House, Depends(house_of)]
SignedIn = Annotated[Me, Depends(signed_in)]
Visitor = Annotated[Me | None, Depends(maybe_signed_in)]
Reader = Annotated[Me, Depends(allowed(Permission.READ_ALL, Permission.READ_OWN))]
Liaison = Annotated[Me, Depends(allowed(Permission.APPLY))]
Approver = Annotated[Me, Depends(allowed(Permission.DECIDE))]
QueueReader = Annotated[Me, Depends(allowed(Permission.DECIDE, Permission.READ_ALL))]
Operator = Annotated[Me, Depends(allowed(Permission.OPERATE))]
OperationsReader = Annotated[Me, Depends(allowed(Permission.READ_OPERATIONS))]
CustomerEditor = Annotated[Me, Depends(allowed(Permission.EDIT_CUSTOMERS))]
AuditReader = Annotated[Me, Depends(allowed(Permission.READ_AUDIT))]
Downloader = Annotated[Me, Depends(allowed(Permission.DOWNLOAD_FILE))]


def page_context(request: Request) -> Mapping[str, object]:
    """What the desk's shell shows on every page. Reads no database: an error page must not fail for the same reason."""
    me: Me | None = getattr(request.state, "me", None)
    settings = house_of(request).settings
    return {
        "me": me,
        "zone": me.zone if me else "UTC",
        "zone_words": zone_words(me.zone if me else "UTC"),
        "can": Can(
            see_applications=me is not None and me.reads_desk,
            apply=me is not None and me.may(Permission.APPLY),
            decide=me is not None and me.may(Permission.DECIDE),
            read_queue=me is not None and (me.may(Permission.DECIDE) or me.may(Permission.READ_ALL)),
            operate=me is not None and me.may(Permission.OPERATE),
            read_operations=me is not None and me.may(Permission.READ_OPERATIONS),
            edit_customers=me is not None and me.may(Permission.EDIT_CUSTOMERS),
            download=me is not None and me.may(Permission.DOWNLOAD_FILE),
            audit=me is not None and me.may(Permission.READ_AUDIT),
        ),
        "waiting": me.waiting if me else 0,
        "attention": me.attention if me else 0,
        "shortcuts": me is not None and request.cookies.get(SHORTCUTS_OFF) != "off",
        "console_url": settings.console_url,
        "inbox_url": settings.inbox_url,
    }
