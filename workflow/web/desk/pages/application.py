"""One application: how far it is, what needs doing, and the buttons for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from workflow.database import reading, transaction
from workflow.db.queries import applications as application_queries
from workflow.db.queries import customers, deliveries, events, licenses, live, people
from workflow.db.queries.deliveries import RecipientState
from workflow.db.tables import Application, IssuedLicense, Person
from workflow.domain.application import LIVE, Action, Status, allows
from workflow.domain.delivery import DeliveryState
from workflow.domain.roles import Permission
from workflow.domain.terms import RequestType
from workflow.errors import NotFound
from workflow.license_file import file_name
from workflow.services import applications, decisions, delegations, delivery, operations
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import Downloader, House, Inside, Liaison, Me, Reader
from workflow.web.desk.live import Watcher
from workflow.web.desk.shown.activity import Entry, entries
from workflow.web.desk.shown.approvals import Approvals, progress
from workflow.web.desk.shown.delivery import ShownDelivery, shown_delivery
from workflow.web.desk.shown.form import FormValues
from workflow.web.desk.shown.notices import Notice, notices_of
from workflow.web.desk.shown.states import REQUEST_WORDS, Badge, Step, status_badge, steps
from workflow.web.desk.shown.terms import ShownTerms, shown_terms
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import Posted
from workflow.web.shared.site import site_of

router = APIRouter()


@dataclass(frozen=True)
class Addressee:
    """One recipient of the file and how the file gets on with them."""

    id: UUID
    job: UUID
    name: str
    address: str
    delivery: UUID | None
    shown: ShownDelivery


@dataclass(frozen=True)
class Actions:
    """The buttons this person gets."""

    edit: bool
    withdraw: bool
    renew: bool
    copy: bool
    decide: bool
    rescind: bool
    deliver: bool
    download: bool


@dataclass(frozen=True)
class Detail:
    """Everything the page shows."""

    application: Application
    badge: Badge
    request: str
    environment: str
    steps: tuple[Step, ...]
    notices: tuple[Notice, ...]
    approvals: Approvals | None
    terms: ShownTerms | None
    draft: FormValues
    addressees: Sequence[Addressee]
    others: Sequence[tuple[str, str]]
    activity: tuple[Entry, ...]
    issued: IssuedLicense | None
    file: str
    downloads: int
    owner: Person
    approvers: Sequence[str]
    predecessor: Application | None
    renewal: Application | None
    actions: Actions
    stamp: str


@router.get("/applications/{number}")
def show(request: Request, house: Inside, me: Reader, number: str) -> Response:
    """The application's page; live once it has been submitted."""
    with reading(house.engine) as session:
        detail = _detail(session, house, me, number)
    return site_of(request).pages.page(request, "pages/desk/applications/detail.html", detail=detail)


@router.get("/applications/{number}/stream")
def stream(request: Request, house: Inside, me: Reader, number: str) -> Response:
    """Server-sent events: says only that something changed; the page then fetches itself again."""
    with reading(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number).id
    watcher: Watcher = request.app.state.watcher
    return StreamingResponse(watcher.changes(application), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@router.post("/applications/{number}/withdraw")
def withdraw(request: Request, house: Inside, me: Liaison, number: str, form: Posted) -> Response:
    """Takes the application back."""
    with transaction(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        applications.withdraw(session, me.actor, application, form.integer("version") or 0, form.text("comment"), utc_now())
    return _back(request, number, "Withdrawn. Nothing will be signed.")


@router.post("/applications/{number}/renew")
def renew(request: Request, house: Inside, me: Liaison, number: str, form: Posted) -> Response:
    """Starts a renewal of the license this application led to, with everything filled in."""
    with transaction(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        issued = licenses.get_of_application(session, application.id)
        draft = applications.start_renewal(session, me.actor, issued, utc_now())
        started = draft.number
    return to_renewal(request, started)


@router.post("/applications/{number}/copy")
def copy(request: Request, house: Inside, me: Liaison, number: str, form: Posted) -> Response:
    """Starts a new application with the same answers."""
    with transaction(house.engine) as session:
        source = application_queries.get_visible(session, me.actor, number)
        draft = applications.copy_as_new(session, me.actor, source, utc_now())
        started = draft.number
    return go_on(request, f"/applications/{started}/edit", f"Filled in from {number}. Nothing was submitted yet.")


@router.post("/applications/{number}/rescind")
def rescind(request: Request, house: Inside, me: Reader, number: str, form: Posted) -> Response:
    """Takes an approval back before anything is signed."""
    with transaction(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        decisions.rescind(session, me.actor, application, form.integer("version") or 0, form.text("comment"), utc_now())
    return _back(request, number, "The approval is taken back. The liaison can edit and submit again.")


@router.post("/applications/{number}/recipients/{recipient}/resend")
def resend(request: Request, house: Inside, me: Reader, number: str, recipient: UUID, form: Posted) -> Response:
    """Sends the file to one recipient once more."""
    with transaction(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        to = customers.get_recipient(session, recipient)
        delivery.resend(session, me.actor, application, to)
        address = to.address
    return _back(request, number, f"The file is on its way to {address} again.")


@router.post("/applications/{number}/recipients")
def send_to_another(request: Request, house: Inside, me: Reader, number: str, form: Posted) -> Response:
    """Sends the file to another recipient of the same customer."""
    with transaction(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        to = customers.get_recipient(session, _id_in(form.text("recipient")))
        delivery.resend(session, me.actor, application, to)
        address = to.address
    return _back(request, number, f"The file is on its way to {address}.")


@router.post("/applications/{number}/recipients/{recipient}/correct")
def correct(request: Request, house: Inside, me: Reader, number: str, recipient: UUID, form: Posted) -> Response:
    """Sends the file to the corrected address of somebody whom it did not reach."""
    with transaction(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        wrong = customers.get_recipient(session, recipient)
        to = delivery.redeliver(session, me.actor, application, wrong, form.text("address"), utc_now(), wall_now())
        address = to.address
    return _back(request, number, f"The file is on its way to {address}. The earlier address stays on the customer's page.")


@router.post("/applications/{number}/jobs/{job}/hurry")
def hurry(request: Request, house: Inside, me: Reader, number: str, job: UUID, form: Posted) -> Response:
    """Tries a waiting delivery now."""
    with transaction(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        _require_own_job(session, application, job)
        operations.hurry_job(session, me.actor, job)
    return _back(request, number, "Trying again now.")


@router.post("/applications/{number}/file")
def download(house: Inside, me: Downloader, number: str, form: Posted) -> Response:
    """The license file. A POST, because the download is recorded and a GET changes nothing."""
    with transaction(house.engine) as session:
        application = application_queries.get_visible(session, me.actor, number)
        issued = delivery.record_download(session, me.actor, house.desk.policy, application, "desk", utc_now())
        name, content = file_name(issued.license_id, issued.version), issued.envelope
    return license_file_response(name, content)


def to_renewal(request: Request, number: str) -> Response:
    """Leads to the form of a renewal that was just started."""
    message = "Filled in from the license in force. Check the dates, then continue."
    return go_on(request, f"/applications/{number}/edit", message)


def license_file_response(name: str, content: bytes) -> Response:
    """A download of the exact bytes that were signed."""
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _back(request: Request, number: str, message: str) -> Response:
    return go_on(request, f"/applications/{number}", message)


def _id_in(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("Choose one of the recipients on the page.") from None


def _others(session: Session, issued: IssuedLicense | None, states: Sequence[RecipientState]) -> list[tuple[str, str]]:
    """The customer's recipients to whom this file was not sent yet."""
    if issued is None:
        return []
    _, tenant = customers.environment_with_tenant(session, issued.environment)
    sent_to = {each.recipient.id for each in states}
    found = customers.recipients_of_tenant(session, tenant.id)
    return [(str(each.id), f"{each.name}, {each.address}") for each in found if each.id not in sent_to]


def _require_own_job(session: Session, application: Application, job: UUID) -> None:
    row = deliveries.get_job(session, job)
    if row.ref != application.id:
        raise NotFound("This application has no such job.")


def _detail(session: Session, house: House, me: Me, number: str) -> Detail:
    application = application_queries.get_visible(session, me.actor, number)
    facts = events.of_stream(session, str(application.id))
    content = applications.content_of(session, application) if application.revision else None
    issued = licenses.find_of_application(session, application.id)
    states = deliveries.license_deliveries(session, application.id)
    addressees = [
        Addressee(
            each.recipient.id,
            each.job.id,
            each.recipient.name,
            each.recipient.address,
            each.delivery.id if each.delivery else None,
            shown_delivery(each.delivery, each.job, me.zone),
        )
        for each in states
    ]
    approvers = delegations.voters(session, application)
    accepted = sum(1 for each in states if each.delivery is not None and each.delivery.state == DeliveryState.ACCEPTED)
    return Detail(
        application=application,
        badge=status_badge(application.status),
        request=REQUEST_WORDS.get(application.request, application.request),
        environment=content.request.environment.value if content else "",
        steps=steps(
            application.status,
            facts,
            me.zone,
            delivered_to=f"To {accepted} of {len(states)} recipients" if len(states) > 1 else "",
            approved_by=" and ".join(approvers),
        ),
        notices=notices_of(
            application,
            [(each.name, each.address, each.shown) for each in addressees],
            deliveries.jobs_of(session, application.id),
            in_the_way=_in_the_way(session, application),
            waiting_installations=licenses.unconfirmed_for(session, issued.id) if issued else 0,
            facts=facts,
            zone=me.zone,
        ),
        approvals=_approvals(session, house, application),
        terms=shown_terms(content, house.desk.catalogue) if content else None,
        draft=FormValues.of(json.loads(application.draft)),
        addressees=addressees,
        others=_others(session, issued, states),
        activity=entries(reversed(facts)),
        issued=issued,
        file=file_name(issued.license_id, issued.version) if issued else "",
        downloads=sum(1 for each in facts if each.type == "license.downloaded"),
        owner=people.get_person(session, application.owner),
        approvers=approvers,
        predecessor=(application_queries.get_application_by_id(session, application.renews) if application.renews else None),
        renewal=application_queries.open_renewal_of(session, application.id),
        actions=_actions(session, me, application, issued),
        stamp=live.stamps(session, [application.id]).get(application.id, ""),
    )


def _approvals(session: Session, house: House, application: Application) -> Approvals | None:
    """How far the approvals are, while somebody still has to decide."""
    if Status(application.status) is not Status.SUBMITTED:
        return None
    decision = decisions.where_it_stands(session, house.desk.policy, application)
    return progress(decision, delegations.names_of_voters(session, decision))


def _in_the_way(session: Session, application: Application) -> IssuedLicense | None:
    """The license that its platform got through another application, while this one waits to become the first."""
    if Status(application.status) not in (Status.SUBMITTED, Status.CHANGES_REQUESTED) or application.environment is None:
        return None
    return applications.license_in_the_way(session, RequestType(application.request), application.environment)


def _actions(session: Session, me: Me, application: Application, issued: IssuedLicense | None) -> Actions:
    """What to offer. Only a hint: every service checks again."""
    status = Status(application.status)
    own = application.owner == me.person_id and me.may(Permission.APPLY)
    live_license = issued is not None and applications.is_renewable(issued) and status in LIVE | {Status.EXPIRED}
    wrote = me.person_id in application_queries.contributors(session, application.id)
    return Actions(
        edit=own and (allows(status, Action.SAVE) or allows(status, Action.REVISE)),
        withdraw=own and allows(status, Action.WITHDRAW),
        renew=me.may(Permission.APPLY) and live_license,
        copy=me.may(Permission.APPLY) and status is not Status.DRAFT,
        decide=me.may(Permission.DECIDE) and status is Status.SUBMITTED and not wrote,
        rescind=allows(status, Action.RESCIND) and decisions.may_rescind(session, me.actor, application),
        deliver=me.may(Permission.DELIVER) and issued is not None and status in LIVE,
        download=me.may(Permission.DOWNLOAD_FILE) and issued is not None,
    )
