"""Out of office: an approver says who acts for them, and ends it. Operators see who acts for whom, and can end it, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.db.queries import delegations as queries
from workflow.db.queries import people
from workflow.domain.terms import day_in, last_usable_day
from workflow.errors import Conflict, Invalid, Problem
from workflow.services import delegations
from workflow.times import utc_now
from workflow.web.desk.access import Approver, House, Inside, Me, Operator
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import FieldErrors, Posted
from workflow.web.shared.site import site_of

router = APIRouter(prefix="/profile/away")
for_operators = APIRouter(prefix="/people/away")
PAGE = "/profile/away"
EVERYBODY = "/people/away"
FIELDS = ("to", "first_day", "last_day", "reason")
_NOTHING_TYPED: Mapping[str, str] = MappingProxyType(dict.fromkeys(FIELDS, ""))


@router.get("")
def show(request: Request, house: Inside, me: Approver) -> Response:
    """The page."""
    return _page(request, house, me)


@router.post("")
def give(request: Request, house: Inside, me: Approver, form: Posted) -> Response:
    """Lets a colleague act for the person on some days."""
    typed = {name: form.text(name) for name in FIELDS}
    first, last = _day(typed["first_day"]), _day(typed["last_day"])
    if first is None or last is None:
        missing = [Problem(name, "missing", "Enter a day.") for name in ("first_day", "last_day") if _day(typed[name]) is None]
        return _page(request, house, me, problems=missing, typed=typed, status=422)
    try:
        with transaction(house.engine) as session:
            delegations.delegate(
                session,
                me.actor,
                me.person_id,
                to=typed["to"],
                first_day=first,
                last_day=last,
                reason=typed["reason"],
                now=utc_now(),
            )
    except Invalid as error:
        return _page(request, house, me, problems=error.problems, typed=typed, status=422)
    except Conflict as error:
        return _page(request, house, me, problems=[Problem("first_day", "taken", str(error))], typed=typed, status=409)
    return go_on(request, PAGE, f"Saved. {typed['to']} acts for you on these days.")


@router.post("/{delegation}/end")
def end(request: Request, house: Inside, me: Approver, delegation: UUID, form: Posted) -> Response:
    """Ends it now."""
    with transaction(house.engine) as session:
        delegations.end(session, me.actor, delegation, utc_now())
    return go_on(request, PAGE, "Ended. Nobody acts for you on these days any more.")


@dataclass(frozen=True)
class Away:
    """Somebody out of office, who acts for them, and on which days of theirs."""

    id: UUID
    giver: str
    colleague: str
    first_day: date
    last_day: date
    reason: str
    begun: bool


@for_operators.get("")
def show_all(request: Request, house: Inside, me: Operator) -> Response:
    """Who acts for whom, now and later."""
    with reading(house.engine) as session:
        now = utc_now()
        rows = queries.not_over(session, now)
        known = {each: people.get_person(session, each) for row in rows for each in (row.giver, row.delegate)}
    lines = [
        Away(
            row.id,
            known[row.giver].name,
            known[row.delegate].name,
            day_in(known[row.giver].time_zone, row.starts_at),
            last_usable_day(row.ends_at, known[row.giver].time_zone),
            row.reason,
            begun=row.starts_at <= now,
        )
        for row in rows
    ]
    return site_of(request).pages.page(request, "pages/desk/people/away.html", lines=lines)


@for_operators.post("/{delegation}/end")
def end_one(request: Request, house: Inside, me: Operator, delegation: UUID, form: Posted) -> Response:
    """Ends it now, whoever gave it."""
    with transaction(house.engine) as session:
        delegations.end(session, me.actor, delegation, utc_now())
    return go_on(request, EVERYBODY, "Ended. What was decided until now stands.")


def _day(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        return None


def _page(
    request: Request,
    house: House,
    me: Me,
    *,
    problems: Sequence[Problem] = (),
    typed: Mapping[str, str] = _NOTHING_TYPED,
    status: int = 200,
) -> Response:
    with reading(house.engine) as session:
        rows = queries.not_over(session, utc_now(), giver=me.person_id)
        names = people.names_of(session, [each.delegate for each in rows])
    own = [
        (each, names[each.delegate], day_in(me.zone, each.starts_at), last_usable_day(each.ends_at, me.zone)) for each in rows
    ]
    return site_of(request).pages.page(
        request,
        "pages/desk/away.html",
        status=status,
        own=own,
        typed=typed,
        errors=FieldErrors.of(problems),
        summary=[(each.field, each.message) for each in problems],
    )
