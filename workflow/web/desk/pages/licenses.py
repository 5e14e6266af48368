"""Issued licenses: the list, and all versions under one License ID with their files, receipts and reminders."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.db.queries import applications as application_queries
from workflow.db.queries import directory, licenses, reminders
from workflow.db.queries import revocations as revocation_queries
from workflow.db.queries.licenses import ListedLicense
from workflow.db.tables import Application, Environment, IssuedLicense, Receipt, Reminder, Revocation, Tenant
from workflow.domain.application import COUNTING, Action, Status, allows
from workflow.domain.delivery import Channel
from workflow.domain.reminders import ReminderState
from workflow.domain.roles import Permission, Role, require
from workflow.domain.terms import EnvironmentName, day_in
from workflow.license_file import file_name
from workflow.services import applications, delivery, receipts, revocations
from workflow.services import reminders as reminder_services
from workflow.services.revocations import ReasonNeeded
from workflow.times import utc_now
from workflow.web.desk.access import House, Inside, Me, Operator, Reader, SignedIn
from workflow.web.desk.pages.application import license_file_response, to_renewal
from workflow.web.desk.shown.checks import days_left
from workflow.web.desk.shown.form import ENVIRONMENT_CHOICES
from workflow.web.desk.shown.states import STANDING_BADGES, Badge
from workflow.web.desk.shown.terms import ShownDifference, ShownTerms, shown_difference, shown_terms
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import Posted
from workflow.web.shared.paging import MAX_PAGE_SIZE, PAGE_SIZE, Key, address, cursor_for, time_and_id
from workflow.web.shared.site import site_of
from workflow.web.shared.spreadsheets import csv_response

router = APIRouter()
STANDING_CHOICES = [("", "Any state"), *((key, badge.text) for key, badge in STANDING_BADGES.items())]
REVOKED = "The license is revoked at this desk. Publish the revocation list, so that platforms learn of it."
REMINDER_BADGES: Mapping[str, Badge] = {
    ReminderState.QUEUED: Badge("On its way", "", "clock"),
    ReminderState.SENT: Badge("Accepted by mail server", "ok", "mail-check"),
    ReminderState.SKIPPED: Badge("Not sent", "", "ban"),
    ReminderState.FAILED: Badge("Failed", "bad", "mail-x"),
}


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to."""

    search: str = ""
    standing: str = ""
    environment: str = ""

    def values(self) -> dict[str, str]:
        """As query values."""
        return {"q": self.search, "state": self.standing, "environment": self.environment}


def filters(
    q: Annotated[str, Query()] = "", state: Annotated[str, Query()] = "", environment: Annotated[str, Query()] = ""
) -> Filters:
    """The filters in the address; unknown values narrow nothing."""
    return Filters(
        q.strip()[:100],
        state if state in STANDING_BADGES else "",
        environment if environment in [name.value for name in EnvironmentName] else "",
    )


@dataclass(frozen=True)
class Line:
    """One row of the list."""

    license_id: str
    version: int
    company: str
    environment: str
    badge: Badge
    validity: str
    left: str
    elapsed: int
    level: str
    number: str


@dataclass(frozen=True)
class Version:
    """One version of a license, with what its platform reported."""

    issued: IssuedLicense
    application: Application
    badge: Badge
    terms: ShownTerms
    difference: ShownDifference | None
    receipts: Sequence[Receipt]
    carriers: Mapping[str, str]
    """who brought a receipt as a file, by its id"""
    revocation: Revocation | None
    may_revoke: bool
    own_word: bool
    """whether whoever looks has asked for it already: another operator has to confirm"""


@dataclass(frozen=True)
class Detail:
    """All versions under one License ID."""

    license_id: str
    tenant: Tenant
    environment: Environment
    versions: Sequence[Version]
    reminders: Sequence[tuple[int, Reminder, Badge]]
    left: str
    renewal: Application | None
    may_renew: bool
    may_acknowledge: bool
    may_download: bool


def level_of(days: int, standing: str) -> str:
    """How pressing an end is: quiet once nobody has to act."""
    if standing not in COUNTING:
        return ""
    return "bad" if days <= 7 else ("warn" if days <= 30 else "ok")


def line(listed: ListedLicense) -> Line:
    """A listed license in words."""
    issued = listed.issued
    today = day_in(issued.time_zone, utc_now())
    whole = max(1, (issued.last_day - issued.first_day).days + 1)
    return Line(
        license_id=issued.license_id,
        version=issued.version,
        company=listed.tenant.company,
        environment=listed.environment.name,
        badge=STANDING_BADGES[issued.standing],
        validity=f"{issued.first_day} to {issued.last_day}",
        left=days_left(issued.last_day, today) if issued.standing in COUNTING else "",
        elapsed=min(100, max(0, round((today - issued.first_day).days * 100 / whole))),
        level=level_of((issued.last_day - today).days, issued.standing),
        number=listed.application.number,
    )


@router.get("/licenses")
def show(
    request: Request,
    house: Inside,
    me: Reader,
    chosen: Annotated[Filters, Depends(filters)],
    cursor: Annotated[str, Query()] = "",
) -> Response:
    """One page of the list."""
    with reading(house.engine) as session:
        found = _page(session, me, chosen, cursor, PAGE_SIZE)
    rows, more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
    return site_of(request).pages.page(
        request,
        "pages/desk/licenses.html",
        rows=[(each.issued, line(each)) for each in rows],
        chosen=chosen,
        filtered=chosen != Filters(),
        standings=STANDING_CHOICES,
        environments=ENVIRONMENT_CHOICES,
        first=address("/licenses", chosen.values()) if cursor else None,
        next=address("/licenses", {**chosen.values(), "cursor": cursor_for(_key(rows[-1]))}) if more else None,
        csv=address("/licenses.csv", chosen.values()),
    )


@router.get("/licenses.csv")
def as_csv(house: Inside, me: Reader, chosen: Annotated[Filters, Depends(filters)]) -> Response:
    """The whole filtered list."""
    head = ("License ID", "Version", "Customer", "Environment", "State", "First day", "Last usable day", "Time zone")
    return csv_response("licenses", head, _all_rows(house, me, chosen))


@router.get("/licenses/{license_id}")
def detail(request: Request, house: Inside, me: SignedIn, license_id: str) -> Response:
    """All versions under a License ID; also for the administrators of its customer."""
    with reading(house.engine) as session:
        found = _detail(session, house, me, license_id)
    return site_of(request).pages.page(request, "pages/desk/license.html", license_page=found, refused=None)


@router.post("/licenses/{license_id}/renew")
def renew(request: Request, house: Inside, me: Reader, license_id: str, form: Posted) -> Response:
    """Starts a renewal with everything filled in from the newest version."""
    with transaction(house.engine) as session:
        newest = applications.version_to_renew(session, me.actor, license_id)
        draft = applications.start_renewal(session, me.actor, newest, utc_now())
        started = draft.number
    return to_renewal(request, started)


@router.post("/licenses/{license_id}/versions/{version}/file")
def download(house: Inside, me: SignedIn, license_id: str, version: int, form: Posted) -> Response:
    """The file of one version; an administrator who takes it has it, which proves the delivery."""
    if not _may_download(me):
        require(me.actor, Permission.DOWNLOAD_FILE)
    through = Channel.PORTAL if _is_administrator(me) else "desk"
    with transaction(house.engine) as session:
        found = directory.version_visible_to(session, me.actor, license_id, version)
        issued = delivery.record_download(session, me.actor, house.desk.policy, found.application, through, utc_now())
        name, content = file_name(issued.license_id, issued.version), issued.envelope
    return license_file_response(name, content)


@router.post("/licenses/{license_id}/versions/{version}/revoke")
def revoke(request: Request, house: Inside, me: Operator, license_id: str, version: int, form: Posted) -> Response:
    """An operator's word that a license counts no more; PROD needs another operator's, too."""
    try:
        with transaction(house.engine) as session:
            found = directory.version_visible_to(session, me.actor, license_id, version)
            made = revocations.revoke(session, me.actor, found.application, found.issued, form.text("reason"), utc_now())
            done = made.confirmed_at is not None
    except ReasonNeeded as error:
        with reading(house.engine) as session:
            page = _detail(session, house, me, license_id)
        return site_of(request).pages.page(
            request, "pages/desk/license.html", status=422, license_page=page, refused=(version, str(error))
        )
    said = REVOKED if done else f"Version {version} is to be revoked. It counts until another operator confirms that here."
    return go_on(request, f"/licenses/{license_id}#v{version}", said)


@router.post("/licenses/{license_id}/reminders")
def acknowledge(request: Request, house: Inside, me: SignedIn, license_id: str, form: Posted) -> Response:
    """ "Got it": the page then says when the reminder was seen, and the history by whom."""
    with transaction(house.engine) as session:
        issued = directory.version_visible_to(session, me.actor, license_id, form.integer("version") or 0).issued
        reminder_services.acknowledge(
            session, me.actor, issued.id, form.integer("days_ahead") or 0, form.text("recipient"), utc_now()
        )
    return go_on(request, f"/licenses/{license_id}#reminders", "Thank you. Noted with your name.")


def _is_administrator(me: Me) -> bool:
    return Role.ADMINISTRATOR in me.actor.roles and not me.may(Permission.DOWNLOAD_FILE)


def _may_download(me: Me) -> bool:
    return _is_administrator(me) or me.may(Permission.DOWNLOAD_FILE)


def _detail(session: Session, house: House, me: Me, license_id: str) -> Detail:
    rows = directory.versions_visible_to(session, me.actor, license_id)
    contents = {each.issued.version: applications.content_of(session, each.application) for each in rows}
    versions = []
    for each in rows:
        issued, content = each.issued, contents[each.issued.version]
        older = contents.get(issued.version - 1)
        asked = revocation_queries.find_revocation(session, issued)
        versions.append(
            Version(
                issued=issued,
                application=each.application,
                badge=STANDING_BADGES[issued.standing],
                terms=shown_terms(content, house.desk.catalogue),
                difference=shown_difference(older.terms, content.terms, house.desk.catalogue) if older else None,
                receipts=licenses.receipts_of(session, issued.id),
                carriers=receipts.carriers(session, each.application.id),
                revocation=asked,
                may_revoke=me.may(Permission.OPERATE) and allows(Status(each.application.status), Action.REVOKE),
                own_word=asked is not None and asked.asked_by == me.actor.label,
            )
        )
    newest = rows[0].issued
    renewable = next((each for each in rows if applications.is_renewable(each.issued)), None)
    today = day_in(newest.time_zone, utc_now())
    told = [
        (each.issued.version, row, REMINDER_BADGES[row.state])
        for each in rows
        for row in reminders.of_license(session, each.issued.id)
    ]
    return Detail(
        license_id=newest.license_id,
        tenant=rows[0].tenant,
        environment=rows[0].environment,
        versions=versions,
        reminders=told,
        left=days_left(newest.last_day, today),
        renewal=application_queries.open_renewal_of(session, renewable.application.id) if renewable else None,
        may_renew=me.may(Permission.APPLY) and renewable is not None,
        may_acknowledge=reminder_services.may_acknowledge(me.actor),
        may_download=_may_download(me),
    )


def _page(session: Session, me: Me, chosen: Filters, cursor: str, limit: int) -> list[ListedLicense]:
    return directory.page_of_licenses(
        session,
        me.actor,
        search=chosen.search,
        standing=chosen.standing,
        environment=chosen.environment,
        after=time_and_id(cursor) if cursor else None,
        limit=limit,
    )


def _key(listed: ListedLicense) -> Key:
    return (listed.issued.valid_until.isoformat(), str(listed.issued.id))


def _all_rows(house: House, me: Me, chosen: Filters) -> Iterator[Sequence[object]]:
    cursor = ""
    while True:
        with reading(house.engine) as session:
            found = _page(session, me, chosen, cursor, MAX_PAGE_SIZE)
        for each in found[:MAX_PAGE_SIZE]:
            issued = each.issued
            yield (
                issued.license_id,
                issued.version,
                each.tenant.company,
                each.environment.name,
                STANDING_BADGES[issued.standing].text,
                issued.first_day,
                issued.last_day,
                issued.time_zone,
            )
        if len(found) <= MAX_PAGE_SIZE:
            return
        cursor = cursor_for(_key(found[MAX_PAGE_SIZE - 1]))
