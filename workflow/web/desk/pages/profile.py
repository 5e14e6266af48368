"""A person's own page: time zone, language of letters, shortcuts, tokens for programs."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.db.queries import people
from workflow.db.tables import ApiToken
from workflow.domain.roles import Scope, useful_scopes
from workflow.errors import Invalid, Problem
from workflow.services import preferences, tokens
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import SHORTCUTS_OFF, House, Inside, Me, SignedIn
from workflow.web.desk.shown.form import COMMON_ZONES
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import FieldErrors, Posted
from workflow.web.shared.headers import ONE_YEAR
from workflow.web.shared.site import site_of

router = APIRouter()
SCOPE_WORDS: Mapping[Scope, str] = {
    Scope.APPLY: "Apply for licenses",
    Scope.CUSTOMERS: "Edit customers",
    Scope.DECIDE: "Decide, except on PROD",
    Scope.DOWNLOAD: "Download license files",
    Scope.DELIVER: "Send license files again",
    Scope.OPERATE: "Operate the desk",
}
LETTER_LANGUAGES = [("en", "English"), ("zh", "中文 (Chinese)")]
LIFETIMES = [("30", "30 days"), ("90", "90 days"), ("365", "1 year")]


@router.get("/profile")
def show(request: Request, house: Inside, me: SignedIn) -> Response:
    """The page."""
    return _page(request, house, me)


@router.post("/profile/preferences")
def choose(request: Request, house: Inside, me: SignedIn, form: Posted) -> Response:
    """Keeps the time zone and the language of letters with the person, and the shortcuts with this browser."""
    try:
        with transaction(house.engine) as session:
            preferences.choose_time_zone(session, me.actor, form.text("time_zone"))
            preferences.choose_language(session, me.actor, form.text("language") or me.language)
    except Invalid as error:
        return _page(request, house, me, problems=error.problems, status=422)
    answer = go_on(request, "/profile", "Saved.")
    cookies = site_of(request).cookies
    cookies.put(answer, SHORTCUTS_OFF, "on" if form.checked("shortcuts") else "off", max_age=ONE_YEAR)
    return answer


@router.post("/profile/tokens")
def make_token(request: Request, house: Inside, me: SignedIn, form: Posted) -> Response:
    """Makes a token and shows it, this once."""
    try:
        with transaction(house.engine) as session:
            token, row = tokens.make_token(
                session,
                me.actor,
                form.text("name"),
                form.integer("days") or 0,
                scopes=[each for each in useful_scopes(me.actor.roles) if each.value in form.many("scope")],
                now=utc_now(),
                wall=wall_now(),
            )
            name = row.name
    except Invalid as error:
        return _page(request, house, me, problems=error.problems, name=form.text("name"), status=422)
    # Shown in the answer itself: a redirect would have to carry the secret in a cookie or an address.
    return _page(request, house, me, token=token, name=name, status=201)


@router.post("/profile/tokens/{token_id}/revoke")
def revoke_token(request: Request, house: Inside, me: SignedIn, token_id: UUID, form: Posted) -> Response:
    """Ends one of the person's own tokens."""
    with transaction(house.engine) as session:
        tokens.revoke_token(session, me.actor, token_id, now=utc_now(), wall=wall_now())
    return go_on(request, "/profile#tokens", "The token is revoked. Programs that use it are refused from now on.")


def _scope_words(token: ApiToken) -> str:
    allowed = [SCOPE_WORDS[each] for each in Scope if each in tokens.scopes_of(token)]
    return ", ".join(["Read", *(each[0].lower() + each[1:] for each in allowed)])


def _page(
    request: Request,
    house: House,
    me: Me,
    *,
    problems: Sequence[Problem] = (),
    token: str = "",
    name: str = "",
    status: int = 200,
) -> Response:
    with reading(house.engine) as session:
        own = people.tokens_of(session, me.person_id)
    return site_of(request).pages.page(
        request,
        "pages/desk/profile.html",
        status=status,
        tokens=[(each, _scope_words(each)) for each in own],
        scopes=[(each.value, SCOPE_WORDS[each]) for each in useful_scopes(me.actor.roles)],
        now=wall_now(),
        errors=FieldErrors.of(problems),
        summary=[(each.field, each.message) for each in problems],
        new_token=token,
        token_name=name,
        zones=COMMON_ZONES,
        lifetimes=LIFETIMES,
        letter_languages=LETTER_LANGUAGES,
        token_value="" if token else name,
    )
