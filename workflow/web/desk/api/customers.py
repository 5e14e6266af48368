"""Customers: their platforms, and the administrators who receive license files."""

from base64 import b64decode
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from workflow.certificates import CertificateRefused
from workflow.database import reading
from workflow.db.queries import customers as queries
from workflow.db.queries import directory
from workflow.db.tables import Recipient, Tenant
from workflow.domain.delivery import Channel, KeyKind, Trust
from workflow.errors import Invalid, Problem
from workflow.openpgp_keys import OpenPGPKeyRefused
from workflow.recipient_keys import MailTrust
from workflow.services import customers, recipients
from workflow.services.reaching import reach_of
from workflow.times import utc_now, wall_now
from workflow.web.desk.api.caller import CustomerEditor, Inside, Reader
from workflow.web.desk.api.listing import Listing, Source, Wanted
from workflow.web.desk.api.request_body import Strict
from workflow.web.desk.api.shapes import BASE
from workflow.web.desk.api.writing import Answer, Writing
from workflow.web.shared.paging import cursor_for, text_and_id

router = APIRouter(tags=["customers"])


KEY_FORM = "A certificate or an OpenPGP key: PEM or ASCII armor as it is, any other file in base64."


class CustomerSummary(BaseModel):
    """A customer as lists show it."""

    tenant_id: str = Field(examples=["T-20817"])
    company: str
    time_zone: str
    created_at: datetime


class EnvironmentDocument(BaseModel):
    """One platform of a customer."""

    name: str
    label: str
    license_id: str = Field(description="All licenses of this platform share it.")


class RecipientDocument(BaseModel):
    """An administrator who receives license files."""

    name: str
    address: str
    language: str
    backup: bool
    channel: Channel = Field(description="How the file would travel now: smime or openpgp with a key that counts, else portal.")
    why: str = Field(description="Why a key that is on file is not used.")
    key_kind: KeyKind | None
    fingerprint: str | None = Field(description="SHA-256 of the certificate on file, or the OpenPGP key's.")
    trust: Trust | None = Field(description="ca: a trusted authority vouches for it. pinned: a person has to confirm it.")
    confirmed_at: datetime | None
    key_ends_at: datetime | None


class CustomerDocument(CustomerSummary):
    """A customer with platforms and recipients."""

    environments: list[EnvironmentDocument]
    recipients: list[RecipientDocument]


class CustomerBody(Strict):
    """A new customer. It gets the platforms DEV, UAT and PROD."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"tenant_id": "T-20817", "company": "Harbourline Logistics Co., Ltd.", "time_zone": "Asia/Shanghai"}]
        }
    )

    tenant_id: str
    company: str
    time_zone: str


class RecipientBody(Strict):
    """A new recipient. Without a key the file is fetched from a page, never mailed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Zhang Wei", "address": "wei.zhang@harbourline.example"}]}
    )

    name: str
    address: str
    key: str | None = Field(default=None, description=KEY_FORM)
    language: str = "en"
    backup: bool = False


@router.get("/customers", response_model=Listing[CustomerSummary], summary="List customers")
def list_customers(
    request: Request,
    response: Response,
    house: Inside,
    who: Reader,
    wanted: Wanted,
    search: Annotated[str, Query(max_length=100, description="Part of the company's name or tenant ID.")] = "",
) -> Listing[CustomerSummary] | Response:
    """Every customer, by company. `Accept: text/csv` gives all of them as CSV."""

    def read(cursor: str, limit: int) -> list[Tenant]:
        with reading(house.engine) as session:
            after = text_and_id(cursor) if cursor else None
            return list(directory.search_tenants(session, search=search.strip(), after=after, limit=limit))

    head = ("Tenant ID", "Company", "Time zone")
    source = Source("customers", read, _cursor, _summary, head, lambda row: (row.tenant_id, row.company, row.time_zone))
    return source.answer(request, wanted, response)


@router.post("/customers", status_code=201, response_model=CustomerDocument, summary="Add a customer")
def add_customer(house: Inside, who: CustomerEditor, writing: Writing, body: CustomerBody) -> Response:
    """Adds a customer with its platforms, each with a fresh License ID."""

    def effect(session: Session) -> Answer:
        tenant = customers.add_tenant(session, who.actor, **body.model_dump(), now=utc_now())
        return Answer(
            _document(session, tenant, house.desk.mail_trust), 201, {"Location": f"{BASE}/customers/{tenant.tenant_id}"}
        )

    return writing.once(effect)


@router.get("/customers/{tenant_id}", summary="Read a customer")
def show(house: Inside, who: Reader, tenant_id: str) -> CustomerDocument:
    """A customer with platforms and recipients."""
    with reading(house.engine) as session:
        return _document(session, queries.get_tenant(session, tenant_id), house.desk.mail_trust)


@router.post("/customers/{tenant_id}/recipients", status_code=201, response_model=RecipientDocument, summary="Add a recipient")
def add_recipient(house: Inside, who: CustomerEditor, writing: Writing, tenant_id: str, body: RecipientBody) -> Response:
    """Adds an administrator who can be chosen as a recipient of this customer's files."""

    def effect(session: Session) -> Answer:
        try:
            recipient = recipients.add_recipient(
                session,
                who.actor,
                queries.get_tenant(session, tenant_id),
                name=body.name,
                address=body.address,
                key=key_bytes(body.key) if body.key else None,
                language=body.language,
                backup=body.backup,
                trust=house.desk.mail_trust,
                now=utc_now(),
                wall=wall_now(),
            )
        except (CertificateRefused, OpenPGPKeyRefused) as refused:
            refused.problems = (Problem("key", refused.code, str(refused)),)  # it does not know its field
            raise
        return Answer(_recipient(recipient, house.desk.mail_trust), 201)

    return writing.once(effect)


def key_bytes(text: str) -> bytes:
    """A key's file from a JSON document: PEM and ASCII armor as they are, any other file in base64. Raises Invalid."""
    if "-----BEGIN" in text:
        return text.encode()
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        said = "Send PEM or ASCII armor as it is, and any other file in base64."
        raise Invalid(said, [Problem("key", "key.encoding", said)]) from error


def _summary(tenant: Tenant) -> CustomerSummary:
    return CustomerSummary(
        tenant_id=tenant.tenant_id, company=tenant.company, time_zone=tenant.time_zone, created_at=tenant.created_at
    )


def _document(session: Session, tenant: Tenant, trust: MailTrust) -> CustomerDocument:
    return CustomerDocument(
        **_summary(tenant).model_dump(),
        environments=[
            EnvironmentDocument(name=each.name, label=each.label, license_id=each.license_id)
            for each in queries.environments_of(session, tenant.id)
        ],
        recipients=[_recipient(each, trust) for each in queries.recipients_of_tenant(session, tenant.id)],
    )


def _recipient(row: Recipient, trust: MailTrust) -> RecipientDocument:
    reach = reach_of(row, wall_now(), trust)
    return RecipientDocument(
        name=row.name,
        address=row.address,
        language=row.language,
        backup=row.backup,
        channel=reach.channel,
        why=reach.why,
        key_kind=KeyKind(row.key_kind) if row.key_kind else None,
        fingerprint=row.fingerprint,
        trust=Trust(row.trust) if row.trust else None,
        confirmed_at=row.confirmed_at,
        key_ends_at=row.key_ends_at,
    )


def _cursor(tenant: Tenant) -> str:
    return cursor_for((tenant.company, str(tenant.id)))
