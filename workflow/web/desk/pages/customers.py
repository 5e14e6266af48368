"""Customers: their platforms, and the administrators who receive license files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.db import jobs
from workflow.db.queries import customers as customer_queries
from workflow.db.queries import directory, licenses, people
from workflow.db.tables import Environment, IssuedLicense, Recipient, Tenant
from workflow.domain.terms import EnvironmentName
from workflow.errors import Conflict, DeskError, Invalid, NotFound, Problem
from workflow.services import customers, recipients
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import CustomerEditor, House, Inside, Operator, Reader
from workflow.web.desk.shown.form import COMMON_ZONES
from workflow.web.desk.shown.reaching import reached
from workflow.web.desk.shown.states import STANDING_BADGES
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import FieldErrors, Posted, PostedForm
from workflow.web.shared.paging import PAGE_SIZE, address, cursor_for, text_and_id
from workflow.web.shared.site import site_of

router = APIRouter()


@dataclass(frozen=True)
class Answers:
    """What was typed into one of the forms of this page, and what is wrong with it. `form` says which form."""

    form: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[Problem] = ()

    @classmethod
    def refused(cls, form: str, posted: PostedForm, names: Sequence[str], error: DeskError, where: str) -> "Answers":
        """The answers of a refused form. An error that names no field is put on the field `where`."""
        problems = error.problems if isinstance(error, Invalid) else ()
        return cls(form, {each: posted.text(each) for each in names}, problems or (Problem(where, error.code, str(error)),))

    def value(self, form: str, name: str, otherwise: str = "") -> str:
        """What to show in a field of `form`."""
        return self.values.get(name, otherwise) if form == self.form else otherwise

    def error(self, form: str, *names: str) -> str:
        """What is wrong with a field of `form`."""
        return FieldErrors.of(self.problems).on(*names) if form == self.form else ""


@router.get("/customers")
def show(
    request: Request, house: Inside, me: Reader, q: Annotated[str, Query()] = "", cursor: Annotated[str, Query()] = ""
) -> Response:
    """One page of customers."""
    search = q.strip()[:100]
    with reading(house.engine) as session:
        found = directory.search_tenants(session, search=search, after=text_and_id(cursor) if cursor else None, limit=PAGE_SIZE)
    rows, more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
    last = cursor_for((rows[-1].company, str(rows[-1].id))) if more else ""
    return site_of(request).pages.page(
        request,
        "pages/desk/customers/list.html",
        rows=rows,
        search=search,
        first=address("/customers", {"q": search}) if cursor else None,
        next=address("/customers", {"q": search, "cursor": last}) if more else None,
    )


@router.get("/customers/new")
def new(request: Request, me: CustomerEditor) -> Response:
    """The form for a new customer."""
    return _new_form(request, Answers())


@router.post("/customers/new")
def add(request: Request, house: Inside, me: CustomerEditor, form: Posted) -> Response:
    """Adds the customer with its three platforms."""
    try:
        with transaction(house.engine) as session:
            tenant = customers.add_tenant(
                session,
                me.actor,
                tenant_id=form.text("tenant_id"),
                company=form.text("company"),
                time_zone=form.text("time_zone"),
                now=utc_now(),
            )
            tenant_id, company = tenant.tenant_id, tenant.company
    except (Invalid, Conflict) as error:
        answers = Answers.refused("customer", form, ("tenant_id", "company", "time_zone"), error, "tenant_id")
        return _new_form(request, answers, status=422)
    return go_on(request, f"/customers/{tenant_id}", f"{company} was added. Add who receives its license files next.")


@router.get("/customers/{tenant_id}")
def detail(request: Request, house: Inside, me: Reader, tenant_id: str) -> Response:
    """One customer."""
    return _detail(request, house, tenant_id, Answers())


@router.post("/customers/{tenant_id}/environments")
def add_environment(request: Request, house: Inside, me: CustomerEditor, tenant_id: str, form: Posted) -> Response:
    """Adds one more platform of a kind, under a label."""
    name = form.text("name")
    try:
        if name not in [each.value for each in EnvironmentName]:
            raise Invalid("Choose DEV, UAT or PROD.", [Problem("name", "missing", "Choose DEV, UAT or PROD.")])
        if not form.text("label"):
            message = "Enter a label that tells it apart, for example Europe."
            raise Invalid(message, [Problem("label", "missing", message)])
        with transaction(house.engine) as session:
            tenant = customer_queries.get_tenant(session, tenant_id)
            made = customers.add_environment(session, me.actor, tenant, EnvironmentName(name), form.text("label"), utc_now())
            license_id = made.license_id
    except Invalid as error:
        return _detail(request, house, tenant_id, Answers.refused("environment", form, ("name", "label"), error, "label"), 422)
    return _back(request, tenant_id, "environments", f"Its License ID is {license_id}.")


@router.post("/customers/{tenant_id}/recipients")
def add_recipient(request: Request, house: Inside, me: CustomerEditor, tenant_id: str, form: Posted) -> Response:
    """Adds somebody who receives license files."""
    sent = form.upload("key")
    try:
        with transaction(house.engine) as session:
            tenant = customer_queries.get_tenant(session, tenant_id)
            recipients.add_recipient(
                session,
                me.actor,
                tenant,
                name=form.text("name"),
                address=form.text("address"),
                language=form.text("language") or "en",
                backup=form.checked("backup"),
                key=sent.content if sent else None,
                trust=house.desk.mail_trust,
                now=utc_now(),
                wall=wall_now(),
            )
    except (Invalid, Conflict) as error:
        where = "key" if isinstance(error, Invalid) else "address"
        answers = Answers.refused("recipient", form, ("name", "address"), error, where)
        return _detail(request, house, tenant_id, answers, 422)
    return _back(request, tenant_id, "recipients", f"{form.text('name')} was added.")


@router.post("/customers/{tenant_id}/recipients/{recipient}/key")
def change_key(request: Request, house: Inside, me: CustomerEditor, tenant_id: str, recipient: UUID, form: Posted) -> Response:
    """Puts a certificate or an OpenPGP key on file, or takes it off when none is sent and the box is ticked."""
    sent = form.upload("key")
    if sent is None and not form.checked("remove"):
        message = "Choose the file of the certificate or the OpenPGP key."
        problem = Problem("key", "missing", message)
        return _detail(request, house, tenant_id, Answers(str(recipient), {}, [problem]), 422)
    try:
        with transaction(house.engine) as session:
            row = _recipient_of(session, tenant_id, recipient)
            recipients.change_key(
                session,
                me.actor,
                row.id,
                sent.content if sent else None,
                trust=house.desk.mail_trust,
                now=utc_now(),
                wall=wall_now(),
            )
            name = row.name
    except Invalid as error:
        return _detail(request, house, tenant_id, Answers.refused(str(recipient), form, (), error, "key"), 422)
    words = f"The new key of {name} is on file." if sent else f"{name} has no key on file any more."
    return _back(request, tenant_id, "recipients", words)


@router.post("/customers/{tenant_id}/recipients/{recipient}/person")
def change_person(
    request: Request, house: Inside, me: CustomerEditor, tenant_id: str, recipient: UUID, form: Posted
) -> Response:
    """How a recipient is called and written to."""
    try:
        with transaction(house.engine) as session:
            row = _recipient_of(session, tenant_id, recipient)
            recipients.change_person(
                session,
                me.actor,
                row.id,
                name=form.text("name"),
                language=form.text("language"),
                backup=form.checked("backup"),
                now=utc_now(),
            )
    except Invalid as error:
        answers = Answers.refused(str(recipient), form, ("name", "language"), error, "name")
        return _detail(request, house, tenant_id, answers, 422)
    return _back(request, tenant_id, "recipients", f"{form.text('name')} was changed.")


@router.post("/customers/{tenant_id}/recipients/{recipient}/confirm-key")
def confirm_key(request: Request, house: Inside, me: Operator, tenant_id: str, recipient: UUID, form: Posted) -> Response:
    """An operator has compared the fingerprint."""
    with transaction(house.engine) as session:
        row = _recipient_of(session, tenant_id, recipient)
        recipients.confirm_key(session, me.actor, row.id, form.text("fingerprint"), utc_now())
        name = row.name
    return _back(request, tenant_id, "recipients", f"The key of {name} is confirmed. Files are encrypted to it from now on.")


@router.post("/customers/{tenant_id}/recipients/{recipient}/confirm-change")
def confirm_change(request: Request, house: Inside, me: Reader, tenant_id: str, recipient: UUID, form: Posted) -> Response:
    """Another operator or an approver says that a change is right."""
    with transaction(house.engine) as session:
        row = _recipient_of(session, tenant_id, recipient)
        seen = row.changed_at if form.text("seen") == row.changed_at.isoformat() else utc_now()
        recipients.confirm_change(session, me.actor, row.id, seen, utc_now())
        name = row.name
    return _back(request, tenant_id, "recipients", f"The change of {name} is confirmed. What was held for it is sent now.")


@router.post("/customers/{tenant_id}/recipients/{recipient}/remove")
def remove_recipient(
    request: Request, house: Inside, me: CustomerEditor, tenant_id: str, recipient: UUID, form: Posted
) -> Response:
    """Stops sending to this recipient."""
    with transaction(house.engine) as session:
        row = _recipient_of(session, tenant_id, recipient)
        recipients.remove_recipient(session, me.actor, row.id, utc_now())
        name = row.name
    return _back(request, tenant_id, "recipients", f"{name} gets nothing any more. What was sent stays on record.")


def _new_form(request: Request, answers: Answers, status: int = 200) -> Response:
    return site_of(request).pages.page(
        request,
        "pages/desk/customers/new.html",
        status=status,
        answers=answers,
        summary=[(each.field, each.message) for each in answers.problems],
        zones=COMMON_ZONES,
    )


def _detail(request: Request, house: House, tenant_id: str, answers: Answers, status: int = 200) -> Response:
    with reading(house.engine) as session:
        tenant = customer_queries.get_tenant(session, tenant_id)
        rows = customer_queries.recipients_of_tenant(session, tenant.id)
        waiting = jobs.held_for(session, [each.id for each in rows])
        who = people.by_ids(session, {each.changed_by for each in rows if each.changed_by})
        environments = [
            (each, licenses.in_force(session, each.id)) for each in customer_queries.environments_of(session, tenant.id)
        ]
    return site_of(request).pages.page(
        request,
        "pages/desk/customers/detail.html",
        status=status,
        tenant=tenant,
        environments=[_platform(each, issued) for each, issued in environments],
        recipients=reached(rows, wall_now(), house.desk.mail_trust),
        waiting=waiting,
        changed_by={each.id: who[each.changed_by].name for each in rows if each.changed_by in who},
        answers=answers,
        summary=[(_field_id(answers.form, each.field), each.message) for each in answers.problems],
        names=[each.value for each in EnvironmentName],
    )


def _platform(environment: Environment, issued: IssuedLicense | None) -> dict[str, object]:
    badge = STANDING_BADGES[issued.standing] if issued else None
    return {"row": environment, "issued": issued, "badge": badge}


def _field_id(form: str, name: str) -> str:
    return f"{form}-{name}"


def _recipient_of(session: Session, tenant_id: str, recipient: UUID) -> Recipient:
    tenant: Tenant = customer_queries.get_tenant(session, tenant_id)
    row = customer_queries.get_recipient(session, recipient)
    if row.tenant != tenant.id:
        raise NotFound("This customer has no such recipient.")
    return row


def _back(request: Request, tenant_id: str, part: str, message: str) -> Response:
    return go_on(request, f"/customers/{tenant_id}#{part}", message)
