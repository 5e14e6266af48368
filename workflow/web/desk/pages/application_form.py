"""Writing an application: choose the customer, fill the form, check the answers, submit."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workflow.database import reading, transaction
from workflow.db.queries import applications as application_queries
from workflow.db.queries import customers, directory, events, licenses
from workflow.db.tables import Application, Tenant
from workflow.domain.application import Status
from workflow.domain.content import ApplicationContent, request_document
from workflow.domain.events import ChangesRequested
from workflow.domain.terms import RequestType, TermsRefused, day_in, read_request
from workflow.errors import Problem
from workflow.services import applications, policies
from workflow.templating import day
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import House, Inside, Liaison
from workflow.web.desk.shown.activity import Entry, entry
from workflow.web.desk.shown.approvals import Approvals, asked_for
from workflow.web.desk.shown.checks import Beside, Check, InForce, checks_of, failed, period_words, still_open
from workflow.web.desk.shown.form import (
    COMMON_ZONES,
    EnvironmentChoice,
    FormValues,
    raw_from,
    summary_links,
)
from workflow.web.desk.shown.reaching import Reached, reached
from workflow.web.desk.shown.states import status_badge
from workflow.web.desk.shown.terms import shown_difference, shown_terms
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import FieldErrors, Posted
from workflow.web.shared.site import site_of

router = APIRouter()
FIRST_CUSTOMERS = 12


@dataclass(frozen=True)
class Setting:
    """What the form needs to know of the customer."""

    tenant: Tenant
    environments: Sequence[EnvironmentChoice]
    recipients: Sequence[Reached]
    in_force: Mapping[str, InForce]
    """by License ID, which is the value of an environment's choice"""
    in_hand: Mapping[str, Sequence[Beside]]
    """by License ID, too"""

    def current(self, values: FormValues) -> InForce | None:
        """The license that the chosen environment runs on."""
        chosen = next((each for each in self.environments if values.chose(each)), None)
        return self.in_force.get(chosen.value) if chosen else None

    def beside(self, values: FormValues, number: str) -> Sequence[Beside]:
        """The other applications for the chosen environment that have led to no license yet."""
        chosen = next((each for each in self.environments if values.chose(each)), None)
        return [each for each in self.in_hand.get(chosen.value, ()) if each.number != number] if chosen else []


@dataclass(frozen=True)
class Assessment:
    """What can be said of the answers so far."""

    checks: tuple[Check, ...]
    period: tuple[str, str] | None
    problems: tuple[Problem, ...]
    approvals: Approvals | None


@router.get("/applications/new")
def start(
    request: Request,
    house: Inside,
    me: Liaison,
    tenant: Annotated[str, Query()] = "",
    environment: Annotated[str, Query()] = "",
    q: Annotated[str, Query()] = "",
) -> Response:
    """Without a customer: who is it for. With one: the form, filled from the license in force when there is one."""
    if not tenant:
        search = q.strip()[:100]
        with reading(house.engine) as session:
            found = directory.search_tenants(session, search=search, limit=FIRST_CUSTOMERS)
            platforms = directory.platforms_of(session, [each.id for each in found])
        cards = [(each, platforms.get(each.id, [])) for each in found[:FIRST_CUSTOMERS]]
        return site_of(request).pages.page(
            request,
            "pages/desk/applications/start.html",
            cards=cards,
            search=search,
            more=len(found) > FIRST_CUSTOMERS,
        )
    with reading(house.engine) as session:
        setting = _setting(session, house, tenant)
        values = _first_values(session, setting, environment)
        return _form(request, house, session, setting, values)


@router.post("/applications/new")
def create(request: Request, house: Inside, me: Liaison, form: Posted) -> Response:
    """Keeps a new draft."""
    with transaction(house.engine) as session:
        setting = _setting(session, house, form.text("tenant_id"))
        raw = raw_from(form, setting.tenant.tenant_id, setting.environments)
        draft = applications.save_draft(session, me.actor, raw, utc_now())
        return _saved(request, house, session, form, setting, draft)


@router.post("/applications/check")
def check(request: Request, house: Inside, me: Liaison, form: Posted) -> Response:
    """The checks beside the form for what it holds right now. Keeps nothing."""
    with reading(house.engine) as session:
        setting = _setting(session, house, form.text("tenant_id"))
        raw = raw_from(form, setting.tenant.tenant_id, setting.environments)
        found = _assess(session, house, setting, raw, pressed=False, number=form.text("number"))
    return site_of(request).pages.page(request, "pages/desk/applications/assessment.html", assessment=found)


@router.get("/applications/{number}/edit")
def edit(
    request: Request, house: Inside, me: Liaison, number: str, checked: Annotated[bool, Query(alias="check")] = False
) -> Response:
    """The form of a draft, of an application that was sent back, or of one that still waits."""
    with reading(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        raw = json.loads(application.draft)
        setting = _setting(session, house, str(raw.get("tenant_id", "")))
        problems = _assess(session, house, setting, raw, pressed=True).problems if checked else ()
        return _form(
            request,
            house,
            session,
            setting,
            FormValues.of(raw),
            application=application,
            problems=problems,
        )


@router.post("/applications/{number}/edit")
def save(request: Request, house: Inside, me: Liaison, number: str, form: Posted) -> Response:
    """Keeps the answers; "Continue" goes on to the review when they can be submitted."""
    with transaction(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        setting = _setting(session, house, form.text("tenant_id"))
        raw = raw_from(form, setting.tenant.tenant_id, setting.environments)
        if json.loads(application.draft) != raw:  # a second click sends the same again: nothing to keep, no conflict
            application = applications.save_draft(
                session,
                me.actor,
                raw,
                utc_now(),
                application=application,
                seen_version=form.integer("version"),
            )
            session.refresh(application)
        return _saved(request, house, session, form, setting, application)


@router.get("/applications/{number}/review")
def review(request: Request, house: Inside, me: Liaison, number: str) -> Response:
    """All answers as the approvers will see them; incomplete ones lead back to the form."""
    with reading(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        try:
            content = applications.read_draft(session, house.desk, application, utc_now())
        except TermsRefused:
            return RedirectResponse(f"/applications/{application.number}/edit?check=true", status_code=303)
        setting = _setting(session, house, content.request.tenant_id)
        values = FormValues.of(request_document(content.request))
        current, beside = setting.current(values), setting.beside(values, number)
        difference = shown_difference(current.terms, content.terms, house.desk.catalogue) if current else None
        chosen = [each for each in setting.recipients if each.address in content.request.recipients]
        checks = checks_of(content.terms, chosen, current, difference, beside)
        approvals = _approvals(session, house, content)
    return site_of(request).pages.page(
        request,
        "pages/desk/applications/review.html",
        application=application,
        terms=shown_terms(content, house.desk.catalogue),
        current=current,
        difference=difference,
        recipients=chosen,
        checks=checks,
        approvals=approvals,
        targets=_review_targets(house, setting),
        revises=Status(application.status) is Status.SUBMITTED,
    )


@router.post("/applications/{number}/submit")
def submit(request: Request, house: Inside, me: Liaison, number: str, form: Posted) -> Response:
    """Hands the application to the approvers."""
    with transaction(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        revises = Status(application.status) is Status.SUBMITTED
        try:
            revision = applications.submit(session, me.actor, house.desk, application, form.integer("version") or 0, utc_now())
            by_policy = revision.automatic
        except TermsRefused:
            return RedirectResponse(f"/applications/{application.number}/edit?check=true", status_code=303)
    told = "Submitted. The approvers were told by e-mail."
    if revises:
        told = "Revised. The approvers were told by e-mail what changed."
    if by_policy:
        told = "Submitted. The policy asks nobody about this one, so it is approved."
    return go_on(request, f"/applications/{number}", told)


def _saved(
    request: Request,
    house: House,
    session: Session,
    form: Posted,
    setting: Setting,
    application: Application,
) -> Response:
    """Where a saved draft leads: to its page, on to the review, or back to the form with what needs fixing."""
    if form.text("action") == "save":
        return go_on(request, f"/applications/{application.number}", "Draft saved. Nothing was sent to an approver.")
    raw = json.loads(application.draft)
    problems = _assess(session, house, setting, raw, pressed=True).problems
    if not problems:
        return RedirectResponse(f"/applications/{application.number}/review", status_code=303)
    values = FormValues.of(raw)
    return _form(
        request,
        house,
        session,
        setting,
        values,
        application=application,
        problems=problems,
        status=422,
    )


def _form(
    request: Request,
    house: House,
    session: Session,
    setting: Setting,
    values: FormValues,
    *,
    application: Application | None = None,
    problems: Sequence[Problem] = (),
    status: int = 200,
) -> Response:
    catalogue = house.desk.catalogue
    errors = FieldErrors.of(problems)
    number = application.number if application else None
    return site_of(request).pages.page(
        request,
        "pages/desk/applications/form.html",
        status=status,
        setting=setting,
        values=values,
        current=setting.current(values),
        catalogue=catalogue,
        zones=COMMON_ZONES,
        errors=errors,
        summary=summary_links(errors.problems, catalogue, setting.environments, [each.address for each in setting.recipients]),
        assessment=_assess(session, house, setting, values.raw(), pressed=bool(problems), number=number or ""),
        application=application,
        sent_back=_sent_back(session, application),
        action=f"/applications/{number}/edit" if number else "/applications/new",
    )


def _setting(session: Session, house: House, tenant_id: str) -> Setting:
    tenant = customers.get_tenant(session, tenant_id)
    in_force: dict[str, InForce] = {}
    environments: list[EnvironmentChoice] = []
    platforms = customers.environments_of(session, tenant.id)
    in_hand: dict[str, list[Beside]] = {each.license_id: [] for each in platforms}
    place = {each.id: each.license_id for each in platforms}
    for listed in application_queries.in_hand(session, place):
        row = listed.application
        assert row.environment is not None, "a submitted application has an environment"
        in_hand[place[row.environment]].append(Beside(row.number, listed.owner, status_badge(row.status).text))
    for each in platforms:
        issued = licenses.in_force(session, each.id)
        words = "No license yet"
        if issued is not None:
            application = application_queries.get_application_by_id(session, issued.application)
            content = applications.content_of(session, application)
            in_force[each.license_id] = InForce(issued.license_id, issued.version, content.terms, application.number)
            words = f"Version {issued.version}, last usable day {day(issued.last_day)}"
        environments.append(EnvironmentChoice(each.license_id, each.name, each.label, words))
    recipients = reached(customers.recipients_of_tenant(session, tenant.id), wall_now(), house.desk.mail_trust)
    return Setting(tenant, environments, recipients, in_force, in_hand)


def _first_values(session: Session, setting: Setting, environment: str) -> FormValues:
    """What a new form starts with: a change of the license in force, or the customer's zone and all recipients."""
    chosen = next((each for each in setting.environments if each.value == environment), None)
    blank = FormValues(
        tenant_id=setting.tenant.tenant_id,
        environment=chosen.name if chosen else "",
        label=chosen.label if chosen else "",
        time_zone=setting.tenant.time_zone,
        first_day=day_in(setting.tenant.time_zone, utc_now()).isoformat(),
        recipients=frozenset(each.address for each in setting.recipients),
    )
    current = setting.in_force.get(chosen.value) if chosen else None
    if current is None:
        return blank
    application = application_queries.get_application(session, current.number)
    content = applications.content_of(session, application)
    values = FormValues.of(request_document(content.request))
    known = values.recipients & blank.recipients
    return replace(values, request=RequestType.CHANGE.value, note="", contract_reference="", recipients=known)


def _assess(
    session: Session, house: House, setting: Setting, raw: Mapping[str, Any], *, pressed: bool, number: str = ""
) -> Assessment:
    """The checks of these answers. Before anybody pressed Continue, missing answers are no failures."""
    try:
        asked = read_request(raw, house.desk.catalogue)
        content = applications.content_for(session, house.desk, asked, utc_now())
    except TermsRefused as refusal:
        return Assessment(
            (failed(len(refusal.problems)) if pressed else still_open(refusal.problems),), None, refusal.problems, None
        )
    values = FormValues.of(raw)
    current = setting.current(values)
    difference = shown_difference(current.terms, content.terms, house.desk.catalogue) if current else None
    chosen = [each for each in setting.recipients if each.address in asked.recipients]
    return Assessment(
        checks_of(content.terms, chosen, current, difference, setting.beside(values, number)),
        period_words(content.terms, current, house.desk.reminder_hour),
        (),
        _approvals(session, house, content),
    )


def _approvals(session: Session, house: House, content: ApplicationContent) -> Approvals:
    """Who would have to approve this."""
    environment = applications.environment_of(session, content)
    return asked_for(policies.route_for(session, house.desk.policy, content, environment.id).quorum)


def _sent_back(session: Session, application: Application | None) -> Entry | None:
    """The approver's words, when the application was sent back."""
    if application is None or Status(application.status) is not Status.CHANGES_REQUESTED:
        return None
    last = [each for each in events.of_stream(session, str(application.id)) if each.type == ChangesRequested.type]
    return entry(last[-1]) if last else None


def _review_targets(house: House, setting: Setting) -> dict[str, str]:
    """Where "Change" leads for each row of the review."""
    fields = ("modules", "model_types", "restrictions", "environment", "recipients", "request", "kind")
    problems = [Problem(each, "", each) for each in fields]
    links = summary_links(problems, house.desk.catalogue, setting.environments, [each.address for each in setting.recipients])
    return {message: target for target, message in links}
