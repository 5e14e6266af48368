"""The approval policy at work: what it asks of an application, which groups people belong to, who is missing.

The rules are in `domain.policy`, the counting in `domain.approvals`; here they meet the roles and licenses on record.
"""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import applications, licenses, people, policies
from workflow.db.queries.people import Standing
from workflow.db.tables import IssuedLicense
from workflow.domain.approvals import Quorum
from workflow.domain.content import ApplicationContent, content_from
from workflow.domain.events import SystemFact
from workflow.domain.policy import (
    Gap,
    Policy,
    Route,
    Subject,
    canonical_form,
    gaps,
    missing_people,
    read_policy,
    resolve,
    subject_of,
)
from workflow.domain.roles import Permission, Role, grants, system
from workflow.domain.terms import LicenseTerms
from workflow.errors import Conflict, Misconfigured

SHIPPED_POLICY = Path(__file__).resolve().parent.parent / "policy.toml"
LARGEST_FILE = 256 * 1024
POLICY = system("approval policy")
"""Who approves what no person has to."""


class PolicyUnreadable(Misconfigured):
    """The policy file is not there, or no text."""

    code = "policy.unreadable"


class NobodyCanApprove(Conflict):
    """The people of the desk cannot meet what the policy asks for this application."""

    code = "approvals.nobody_can_approve"
    title = "Not submitted"

    def __init__(self, missing: str) -> None:
        super().__init__(
            f"Nobody could decide on this application: {missing}. Your draft is kept. "
            "Ask an operator to give the role to somebody who did not write it, then submit again."
        )


def policy_from_file(path: Path | None) -> Policy:
    """The policy in this file, or the shipped one. Raises PolicyUnreadable or PolicyBroken: file, line, reason."""
    path = path or SHIPPED_POLICY
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise PolicyUnreadable(f"The policy {path} is larger than {LARGEST_FILE // 1024} KiB.")
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyUnreadable(f"The policy {path} cannot be read: {error}.") from error
    return read_policy(text, str(path))


def adopt(session: Session, policy: Policy, now: datetime) -> None:
    """Keeps the policy's text under its digest and tells the history, the first time something is submitted under it."""
    if policies.keep(session, policy.sha256, canonical_form(policy).decode(), now):
        outbox.record(session, SystemFact("policy.adopted", policy.sha256, Path(policy.name).name), POLICY, now)


def subject_for(session: Session, content: ApplicationContent, environment: UUID) -> Subject:
    """An application as rules see it, beside the license that its environment has now."""
    issued = licenses.in_force(session, environment)
    before = terms_of(session, [issued])[issued.id] if issued is not None else None
    return subject_of(content.request, before)


def terms_of(session: Session, issued: Collection[IssuedLicense]) -> dict[UUID, LicenseTerms]:
    """What these licenses allow, as it was applied for."""
    found = applications.with_current_revision(session, {each.application for each in issued}) if issued else {}
    return {each.id: content_from(json.loads(found[each.application][1].content)).terms for each in issued}


def route_for(session: Session, policy: Policy, content: ApplicationContent, environment: UUID) -> Route:
    """What the policy asks for an application."""
    return resolve(policy, subject_for(session, content, environment))


def groups_of(standing: Standing, policy: Policy, person: UUID, since: datetime, until: datetime) -> frozenset[str]:
    """The groups a person belonged to through all of that time, as somebody who may decide.

    A role granted after `since`, when the application was submitted, does not count.
    """
    email, roles = standing.through(person, since, until)
    return policy.groups_of(email, roles) if _decides(roles) else frozenset()


def staff_of(session: Session, policy: Policy, now: datetime) -> dict[str, set[UUID]]:
    """Who could decide now, by group. Every group of the policy is in it, also an empty one."""
    staff: dict[str, set[UUID]] = {each.name: set() for each in policy.groups}
    for person, email, roles in people.standings(session, now):
        if _decides(roles):
            for group in policy.groups_of(email, roles):
                staff[group].add(person)
    return staff


def require_possible(quorum: Quorum, staff: Mapping[str, Collection[UUID]], contributors: Collection[UUID]) -> None:
    """Raises NobodyCanApprove unless people other than the contributors can meet the quorum."""
    missing = missing_people(quorum, staff, without=contributors)
    if missing:
        raise NobodyCanApprove(missing)


def staffing_gaps(session: Session, policy: Policy, now: datetime) -> tuple[Gap, ...]:
    """Rules whose quorum the people of today cannot meet."""
    return gaps(policy, staff_of(session, policy, now))


def _decides(roles: Collection[Role]) -> bool:
    return any(grants(role, Permission.DECIDE) for role in roles)
