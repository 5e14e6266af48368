"""What the API answers with: applications, licenses and what belongs to them, made of rows."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlmodel import Session
from starlette.requests import Request

from workflow.db.queries import applications, customers, licenses, people
from workflow.db.queries.applications import ListedApplication
from workflow.db.queries.licenses import ListedLicense
from workflow.db.tables import Application, IssuedLicense
from workflow.domain.application import Status
from workflow.domain.content import content_from, request_document
from workflow.domain.policy import Policy
from workflow.license_file import file_name
from workflow.services import decisions, delegations
from workflow.web.desk.access import house_of
from workflow.web.shared.site import site_of

BASE = "/api/v1"


class ApplicationSummary(BaseModel):
    """An application as lists show it."""

    number: str = Field(examples=["APP-2026-0142"])
    status: Status
    version: int = Field(description="Rises with every change; the ETag.")
    request: str
    company: str
    environment: str
    owner: str
    attention: str | None = Field(description="What an operator has to look at, if anything.")
    submitted_at: datetime | None
    created_at: datetime
    updated_at: datetime


class RequirementDocument(BaseModel):
    """What the policy asks for, and who has met it."""

    rule: str = Field(description="The id of the policy's rule.")
    text: str
    group: str
    count: int
    approved_by: list[str]
    met: bool


class LicenseSummary(BaseModel):
    """One version of a license."""

    license_id: str = Field(examples=["PROD-7Q2MX-4TBK9-HZ0CE"])
    version: int
    standing: str = Field(description="issued, scheduled, activated, superseded, expired or revoked")
    application: str
    company: str
    tenant_id: str
    environment: str
    first_day: date
    last_day: date = Field(description="The last usable day, in `time_zone`.")
    time_zone: str
    valid_from: datetime
    valid_until: datetime = Field(description="The first instant at which it is not valid any more.")
    grace_until: datetime
    issued_at: datetime
    delivered_at: datetime | None
    activated_at: datetime | None
    key_ids: list[str]
    payload_sha256: str
    file_sha256: str
    file_name: str
    file: str = Field(description="Where the file is.")


class ApplicationDocument(ApplicationSummary):
    """An application with everything that was asked for. A draft has its answers as they are, complete or not."""

    tenant_id: str
    license_id: str | None
    revision: int
    renews: str | None = Field(description="The application whose license this one follows.")
    terms: dict[str, Any] = Field(description="The answers, in the shape of the body they came in.")
    defaults: dict[str, Any] | None = Field(description="What the file says besides, by this desk's named defaults.")
    requirements: list[RequirementDocument]
    license: LicenseSummary | None
    links: dict[str, str]


def summary_of(listed: ListedApplication) -> ApplicationSummary:
    """One line of a list."""
    row = listed.application
    return ApplicationSummary(**_facts(row), company=listed.company, environment=listed.environment, owner=listed.owner)


def application_document(session: Session, request: Request, application: Application) -> ApplicationDocument:
    """The whole of one application."""
    revision = applications.current_revision(session, application)
    content = content_from(json.loads(revision.content)) if revision else None
    terms = request_document(content.request) if content else json.loads(application.draft)
    issued = licenses.find_of_application(session, application.id)
    predecessor = applications.get_application_by_id(session, application.renews) if application.renews else None
    address = f"{BASE}/applications/{application.number}"
    return ApplicationDocument(
        **_facts(application),
        company=content.company if content else application.title,
        environment=str(terms.get("environment") or ""),
        owner=people.get_person(session, application.owner).name,
        tenant_id=str(terms.get("tenant_id") or ""),
        license_id=content.license_id if content else None,
        revision=application.revision,
        renews=predecessor.number if predecessor else None,
        terms=terms,
        defaults=dict(vars(content.defaults)) if content else None,
        requirements=_requirements(session, house_of(request).desk.policy, application),
        license=license_summary(_listed(session, issued, application)) if issued else None,
        links={
            "self": address,
            **{each: f"{address}/{each}" for each in ("revisions", "votes", "events", "deliveries")},
            "page": site_of(request).link(f"/applications/{application.number}"),
        },
    )


def license_summary(listed: ListedLicense) -> LicenseSummary:
    """One version of a license, ready to be answered."""
    issued = listed.issued
    return LicenseSummary(
        license_id=issued.license_id,
        version=issued.version,
        standing=issued.standing,
        application=listed.application.number,
        company=listed.tenant.company,
        tenant_id=listed.tenant.tenant_id,
        environment=listed.environment.name,
        first_day=issued.first_day,
        last_day=issued.last_day,
        time_zone=issued.time_zone,
        valid_from=issued.valid_from,
        valid_until=issued.valid_until,
        grace_until=issued.grace_until,
        issued_at=issued.issued_at,
        delivered_at=issued.delivered_at,
        activated_at=issued.activated_at,
        key_ids=issued.key_ids.split(","),
        payload_sha256=issued.payload_sha256,
        file_sha256=issued.envelope_sha256,
        file_name=file_name(issued.license_id, issued.version),
        file=f"{BASE}/licenses/{issued.license_id}/versions/{issued.version}/file",
    )


def _facts(row: Application) -> Mapping[str, Any]:
    return {
        "number": row.number,
        "status": Status(row.status),
        "version": row.version,
        "request": row.request,
        "attention": row.attention,
        "submitted_at": row.submitted_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _requirements(session: Session, policy: Policy, application: Application) -> list[RequirementDocument]:
    if application.revision == 0:
        return []
    decision = decisions.where_it_stands(session, policy, application)
    names = delegations.names_of_voters(session, decision)
    return [
        RequirementDocument(
            rule=each.requirement.rule,
            text=each.requirement.text,
            group=each.requirement.group,
            count=each.requirement.count,
            approved_by=[names[person] for person in each.people],
            met=each.met,
        )
        for each in decision.tallies
    ]


def _listed(session: Session, issued: IssuedLicense, application: Application) -> ListedLicense:
    environment, tenant = customers.environment_with_tenant(session, issued.environment)
    return ListedLicense(issued, application, tenant, environment)
