"""The people of the desk, for its operators: who is here, what they may do, how they get in, and what to do when they leave."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.db.queries import credentials, customers, overview, people
from workflow.domain.roles import Role
from workflow.errors import Conflict, DeskError, Forbidden, Invalid, Problem
from workflow.services import accounts, handing_over, one_time_links, second_factor
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import ROLE_WORDS, House, Inside, Me, Operator
from workflow.web.desk.shown.people import person_badge
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import FieldErrors, Posted, PostedForm
from workflow.web.shared.paging import PAGE_SIZE, address, cursor_for, text_and_id
from workflow.web.shared.site import site_of

router = APIRouter(prefix="/people")


@router.get("")
def show(
    request: Request, house: Inside, me: Operator, q: Annotated[str, Query()] = "", cursor: Annotated[str, Query()] = ""
) -> Response:
    """Everybody, by name, and what those who left still have in hand."""
    search, now = q.strip()[:100], utc_now()
    with reading(house.engine) as session:
        found = people.search(session, search=search, after=text_and_id(cursor) if cursor else None, limit=PAGE_SIZE)
        rows, more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
        lines = [
            (
                each,
                person_badge(each),
                _role_words(people.roles_of(session, each.id, now)),
                second_factor.is_on(session, each.id),
            )
            for each in rows
        ]
        left = overview.left_behind(session)
    last = cursor_for((rows[-1].name, str(rows[-1].id))) if more else ""
    return site_of(request).pages.page(
        request,
        "pages/desk/people/list.html",
        lines=lines,
        left=left,
        search=search,
        first=address("/people", {"q": search}) if cursor else None,
        next=address("/people", {"q": search, "cursor": last}) if more else None,
    )


@router.get("/new")
def new(request: Request, me: Operator) -> Response:
    """The form for a new person."""
    return _new_form(request)


@router.post("/new")
def add(request: Request, house: Inside, me: Operator, form: Posted) -> Response:
    """Adds the person and mails the invitation."""
    try:
        with transaction(house.engine) as session:
            tenant_id = form.text("tenant")
            person = accounts.add_person(
                session,
                me.actor,
                email=form.text("email"),
                name=form.text("name"),
                roles=_roles(form),
                password=None,
                now=utc_now(),
                tenant=customers.get_tenant(session, tenant_id).id if tenant_id else None,
                team=form.text("team"),
                time_zone=me.zone,
            )
            one_time_links.invite(session, me.actor, person.id, now=utc_now(), wall=wall_now())
            person_id, email = person.id, person.email
    except DeskError as error:
        return _new_form(request, form, _problems(error, "email"), status=422)
    return go_on(request, f"/people/{person_id}", f"A mail with a link to choose a password is on its way to {email}.")


@router.get("/{person_id}")
def detail(request: Request, house: Inside, me: Operator, person_id: UUID) -> Response:
    """One person."""
    return _detail(request, house, me, person_id)


@router.post("/{person_id}")
def change(request: Request, house: Inside, me: Operator, person_id: UUID, form: Posted) -> Response:
    """Sets roles and team."""
    try:
        with transaction(house.engine) as session:
            accounts.change_roles(session, me.actor, person_id, _roles(form), utc_now())
            accounts.change_team(session, me.actor, person_id, form.text("team"), utc_now())
    except (Invalid, Conflict, Forbidden) as error:
        return _detail(request, house, me, person_id, _problems(error, "roles"), status=422)
    return go_on(request, f"/people/{person_id}", "Saved. Roles count from now on, and not for what was submitted before.")


@router.post("/{person_id}/invite")
def invite(request: Request, house: Inside, me: Operator, person_id: UUID, form: Posted) -> Response:
    """Mails a new link; earlier ones end."""
    with transaction(house.engine) as session:
        one_time_links.invite(session, me.actor, person_id, now=utc_now(), wall=wall_now())
    return go_on(request, f"/people/{person_id}", "A mail with a new link is on its way. Earlier links do not work any more.")


@router.post("/{person_id}/second-factor/off")
def turn_off(request: Request, house: Inside, me: Operator, person_id: UUID, form: Posted) -> Response:
    """Takes the second factor of somebody who lost it away."""
    with transaction(house.engine) as session:
        second_factor.turn_off(session, me.actor, person_id, utc_now())
    return go_on(request, f"/people/{person_id}", "The second factor is taken away. Ask them to set up a new one.")


@router.post("/{person_id}/disable")
def disable(request: Request, house: Inside, me: Operator, person_id: UUID, form: Posted) -> Response:
    """Ends the person's access; what they have in hand stays until it is handed over."""
    try:
        with transaction(house.engine) as session:
            left = accounts.disable_person(session, me.actor, person_id, now=utc_now(), wall=wall_now())
    except (Conflict, Forbidden) as error:
        return _detail(request, house, me, person_id, _problems(error, ""), status=422)
    open_work = f" Hand over {len(left)} open application{'s' if len(left) != 1 else ''} below." if left else ""
    return go_on(request, f"/people/{person_id}", f"Disabled; sessions, tokens and links ended.{open_work}")


@router.post("/{person_id}/hand-over")
def hand_over(request: Request, house: Inside, me: Operator, person_id: UUID, form: Posted) -> Response:
    """Puts another liaison in charge of everything the person has in hand."""
    chosen = form.text("to")
    try:
        with transaction(house.engine) as session:
            offered = {str(each.id): each for each in people.liaisons(session, utc_now())}
            if chosen not in offered:
                raise Invalid("Choose who takes over.", [Problem("to", "missing", "Choose who takes over.")])
            for each in overview.in_hand_of(session, person_id):
                handing_over.hand_over(session, me.actor, each, offered[chosen].id, utc_now())
            name = offered[chosen].name
    except (Invalid, Conflict) as error:
        return _detail(request, house, me, person_id, _problems(error, "to"), status=422)
    return go_on(request, f"/people/{person_id}", f"{name} is in charge now.")


def _detail(
    request: Request, house: House, me: Me, person_id: UUID, problems: Sequence[Problem] = (), status: int = 200
) -> Response:
    with reading(house.engine) as session:
        person = people.get_person(session, person_id)
        tenant = customers.get_tenant_by_id(session, person.tenant) if person.tenant else None
        return site_of(request).pages.page(
            request,
            "pages/desk/people/detail.html",
            status=status,
            person=person,
            badge=person_badge(person),
            tenant=tenant,
            own=person.id == me.person_id,
            held=people.roles_of(session, person_id, utc_now()),
            roles=ROLE_WORDS if tenant is None else {Role.ADMINISTRATOR: ROLE_WORDS[Role.ADMINISTRATOR]},
            is_on=second_factor.is_on(session, person_id),
            browsers=len(credentials.sessions_of(session, person_id, wall_now())),
            in_hand=overview.in_hand_of(session, person_id),
            others=[(str(each.id), each.name) for each in people.liaisons(session, utc_now()) if each.id != person_id],
            errors=FieldErrors.of(problems),
            summary=[(each.field, each.message) for each in problems],
        )


def _new_form(
    request: Request, form: PostedForm | None = None, problems: Sequence[Problem] = (), status: int = 200
) -> Response:
    names = ("email", "name", "team", "tenant")
    return site_of(request).pages.page(
        request,
        "pages/desk/people/new.html",
        status=status,
        roles=ROLE_WORDS,
        typed={each: form.text(each) if form else "" for each in names},
        chosen=_roles(form) if form else frozenset(),
        errors=FieldErrors.of(problems),
        summary=[(each.field, each.message) for each in problems],
    )


def _roles(form: PostedForm) -> frozenset[Role]:
    return frozenset(each for each in Role if each.value in form.many("roles"))


def _role_words(held: frozenset[Role]) -> str:
    return ", ".join(words for role, words in ROLE_WORDS.items() if role in held)


def _problems(error: DeskError, where: str) -> Sequence[Problem]:
    """The problems of a refusal; one that names no field is put on the field `where`."""
    named = error.problems if isinstance(error, Invalid) else ()
    return named or (Problem(where, error.code, str(error)),)
