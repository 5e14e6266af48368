"""What a liaison does with an application: write it, hand it in, take it back, start it again from another one.

The draft keeps the form's words as they were typed; a revision is made of them only when they pass every check.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import applications, customers, directory, licenses, moves
from workflow.db.tables import (
    Application,
    Environment,
    EscalationRow,
    IssuedLicense,
    Recipient,
    RequirementRow,
    Revision,
    Tenant,
)
from workflow.domain.application import Action, Standing, Status, next_status
from workflow.domain.content import (
    ApplicationContent,
    StatedRestriction,
    content_document,
    content_from,
    request_document,
    same_but_for_the_note,
)
from workflow.domain.events import (
    ApplicationApproved,
    ApplicationRevised,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    DraftSaved,
)
from workflow.domain.policy import Policy, Route, StepKind
from workflow.domain.roles import Actor, Permission, require
from workflow.domain.terms import LicenseRequest, RequestType, already_over, day_in, longest_days, read_request, refused
from workflow.errors import Conflict, Forbidden, Problem
from workflow.services import delegations
from workflow.services.claims import digest_of, require_fits
from workflow.services.desk import Desk
from workflow.services.policies import POLICY, adopt, require_possible, route_for, staff_of
from workflow.services.reaching import reach_of
from workflow.times import wall_now

RENEWAL_DAYS = 365


class NotYours(Forbidden):
    """Only the liaison who owns an application changes it."""

    code = "application.not_yours"

    def __init__(self) -> None:
        super().__init__("Only the liaison who applied can change this application.")


class RenewalOpen(Conflict):
    """There is a renewal of this license already."""

    code = "application.renewal_open"


class NothingToRenew(Conflict):
    """What was revoked is not renewed."""

    code = "application.nothing_to_renew"

    def __init__(self) -> None:
        super().__init__("This license was revoked, so it cannot be renewed. Start a new application instead.")


class LicensedMeanwhile(Conflict):
    """Another application led to a license for the platform first, and this one still asks for its first license."""

    code = "application.licensed_meanwhile"
    title = "This platform has a license meanwhile"

    def __init__(self, license_id: str, version: int) -> None:
        super().__init__(
            f"{license_id} version {version} was issued for this platform, so a new license would replace it unseen. "
            "The application has to go back to its liaison, who makes it a change of that license."
        )


def save_draft(
    session: Session,
    actor: Actor,
    raw: Mapping[str, Any],
    now: datetime,
    *,
    application: Application | None = None,
    seen_version: int | None = None,
    copied_from: Application | None = None,
) -> Application:
    """Keeps what the form holds, complete or not, in a new draft or the given one. A new one can name what it was copied from.

    Raises NotYours, AlreadyMoved for a stale form, IllegalMove once it cannot be edited.
    """
    require(actor, Permission.APPLY)
    assert actor.person_id is not None
    draft = json.dumps(raw, default=str)  # in ASCII, so that whatever was typed can be stored
    title = _title(session, raw)
    request = _plain_choice(raw.get("request"), RequestType, RequestType.NEW)
    if application is None:
        made = Application(
            number=applications.next_number(session, now),
            owner=actor.person_id,
            draft=draft,
            title=title,
            request=request,
            copied_from=copied_from.id if copied_from else None,
            created_at=now,
            updated_at=now,
        )
        session.add(made)
        session.flush()  # the event refers to it
        fact = DraftSaved(copied_from.number if copied_from else None)
        outbox.record(session, fact, actor, now, application=made)
        return made
    _require_owner(application, actor)
    if Status(application.status) is Status.SUBMITTED:  # may be revised: the draft waits beside what was submitted
        title, request = application.title, application.request
    else:
        next_status(Status(application.status), Action.SAVE)
    if seen_version is not None:
        moves.require_version(session, application, seen_version)
    if not applications.update_draft(session, application, draft=draft, title=title, request=request, now=now):
        raise moves.already_moved(session, application)
    return application


def read_draft(session: Session, desk: Desk, application: Application, now: datetime) -> ApplicationContent:
    """The content the draft would be submitted as. Raises TermsRefused, naming every field that needs fixing."""
    return content_for(session, desk, read_request(json.loads(application.draft), desk.catalogue), now)


def content_for(session: Session, desk: Desk, request: LicenseRequest, now: datetime) -> ApplicationContent:
    """The full content of a request: with the customer's name, the License ID and the named defaults.

    Raises TermsRefused when customer, environment or a recipient is not known, the validity does not fit, or the file would be
    too large. Makes nothing.
    """
    tenant = customers.find_tenant(session, request.tenant_id)
    if tenant is None:
        message = f"There is no customer with the tenant ID {request.tenant_id}. Check it, or add the customer first."
        raise refused([Problem("tenant_id", "unknown", message)])
    environment = customers.find_environment(session, tenant.id, request.environment.value, request.label)
    problems = already_over(request, day_in(request.terms.time_zone, now))
    if environment is None:
        message = f"{tenant.company} has no {request.environment} labelled {request.label!r}. Add it on the customer's page."
        problems.append(Problem("label" if request.label else "environment", "unknown", message))
    recipients = customers.recipients_of_tenant(session, tenant.id)
    known = {each.address for each in recipients}
    for address in request.recipients:
        if address not in known:
            message = f"{address} is not a recipient of {tenant.company}. Add the recipient on the customer's page."
            problems.append(Problem("recipients", "unknown", message))
    if problems or environment is None:
        raise refused(problems)
    _check_request_type(session, request, environment)
    wording = {entry.code: entry.text or entry.name for entry in desk.catalogue.restrictions}
    content = ApplicationContent(
        license_id=environment.license_id,
        company=tenant.company,
        request=request,
        restrictions=tuple(StatedRestriction(code, wording[code]) for code in request.terms.restrictions),
        defaults=desk.defaults,
    )
    require_fits(content)
    _require_reach(desk, request, recipients, wall_now())
    return content


def _require_reach(desk: Desk, request: LicenseRequest, recipients: Sequence[Recipient], wall: datetime) -> None:
    """Found out before anybody is asked, not when the file is sent: whether a recipient has the key the policy asks for."""
    if desk.policy.delivery_to(request.environment).portal:
        return
    chosen = [each for each in recipients if each.address in request.recipients]
    if not any(reach_of(each, wall, desk.mail_trust).encrypted for each in chosen):
        message = (
            f"The policy lets files for {request.environment} travel encrypted to the recipient's own key only, and none of "
            "these recipients has one that counts. Put a certificate or an OpenPGP key on file on the customer's page."
        )
        raise refused([Problem("recipients", "unreachable", message)])


def submit(session: Session, actor: Actor, desk: Desk, application: Application, seen_version: int, now: datetime) -> Revision:
    """Hands the draft to the approvers as a new revision. Also replaces a revision that still waits, and answers a request
    for changes. What the policy asks nobody about is approved at once.

    Raises NotYours, TermsRefused, AlreadyMoved, IllegalMove, NobodyCanApprove; nothing is kept of a refused one but the draft
    itself.
    """
    require(actor, Permission.APPLY)
    assert actor.person_id is not None
    _require_owner(application, actor)
    moves.require_version(session, application, seen_version)
    content = read_draft(session, desk, application, now)
    if application.renews is None:
        application.renews = _predecessor(session, content)
    before = applications.current_revision(session, application)
    revised = Status(application.status) is Status.SUBMITTED
    moves.move(session, application, Action.REVISE if revised else Action.SUBMIT, now)
    environment = environment_of(session, content)
    route = route_for(session, desk.policy, content, environment.id)
    staff = staff_of(session, desk.policy, now)
    contributors = applications.contributors(session, application.id) | {actor.person_id}
    require_possible(route.quorum, staff, contributors)
    adopt(session, desk.policy, now)
    stands_on = before if revised and before and same_but_for_the_note(content_of_revision(before), content) else None
    revision = _add_revision(session, actor, application, content, environment, desk.policy, route, stands_on, now)
    fact: ApplicationRevised | ApplicationSubmitted
    able = {person for group in route.quorum.groups for person in staff[group]} - contributors
    asked = sorted(able | delegations.standing_in(session, able, now) - contributors)
    if revised and before is not None:
        changed = stands_on is None
        fact = ApplicationRevised(
            revision.number, revision.content_digest, changed, revision.policy_sha256, content.request.note
        )
    else:
        fact = ApplicationSubmitted(revision.number, revision.content_digest, revision.policy_sha256, content.request.note)
    outbox.record(session, fact, actor, now, application=application, approvers=asked)
    if revision.automatic:
        moves.move(session, application, Action.APPROVE, now)
        approved = ApplicationApproved(revision.number, revision.content_digest, 0, revision.policy_sha256)
        outbox.record(session, approved, POLICY, now, application=application)
    return revision


def apply(session: Session, actor: Actor, desk: Desk, raw: Mapping[str, Any], now: datetime) -> Application:
    """Saves and submits in one step, as the API and the command do. Raises TermsRefused; then nothing is kept."""
    application = save_draft(session, actor, raw, now)
    submit(session, actor, desk, application, application.version, now)
    return application


def withdraw(session: Session, actor: Actor, application: Application, seen_version: int, comment: str, now: datetime) -> None:
    """Takes the application back before anything is issued. Raises NotYours, AlreadyMoved, IllegalMove."""
    require(actor, Permission.APPLY)
    _require_owner(application, actor)
    moves.require_version(session, application, seen_version)
    moves.move(session, application, Action.WITHDRAW, now)
    outbox.record(session, ApplicationWithdrawn(comment.strip()), actor, now, application=application)


def version_to_renew(session: Session, actor: Actor, license_id: str) -> IssuedLicense:
    """What a renewal of a License ID starts from: its newest version that the actor may see and that was not revoked.

    Raises NotFound when the actor may see none, NothingToRenew when all are revoked.
    """
    for each in directory.versions_visible_to(session, actor, license_id):
        if is_renewable(each.issued):
            return each.issued
    raise NothingToRenew


def is_renewable(issued: IssuedLicense) -> bool:
    """Whether a renewal can be filled in from this version: nobody wants again what was revoked."""
    return Standing(issued.standing) is not Standing.REVOKED


def start_renewal(session: Session, actor: Actor, issued: IssuedLicense, now: datetime) -> Application:
    """A draft with everything filled in from a license, for the time after it.

    Raises RenewalOpen when there is one already, NothingToRenew when the license was revoked.
    """
    require(actor, Permission.APPLY)
    if not is_renewable(issued):
        raise NothingToRenew
    predecessor = applications.get_application_by_id(session, issued.application)
    open_one = applications.open_renewal_of(session, predecessor.id)
    if open_one is not None and Status(open_one.status) is not Status.SUPERSEDED:
        raise RenewalOpen(f"{open_one.number} renews this license already. Open that one.")
    content = content_of(session, predecessor)
    raw = request_document(content.request)
    today = day_in(issued.time_zone, now)
    first_day = max(today, issued.first_day)
    longest = longest_days(content.request.environment, content.terms.kind)
    last_day = min(max(issued.last_day, today) + timedelta(days=RENEWAL_DAYS), first_day + timedelta(days=longest - 1))
    raw.update(
        request=RequestType.RENEWAL.value,
        validity={
            "first_day": first_day.isoformat(),
            "last_day": last_day.isoformat(),
            "time_zone": issued.time_zone,
        },
        note="",
        contract_reference="",
        recipients=_still_known(session, predecessor, raw["recipients"]),
    )
    draft = save_draft(session, actor, raw, now)
    draft.renews = predecessor.id
    return draft


def copy_as_new(session: Session, actor: Actor, source: Application, now: datetime) -> Application:
    """A draft with the answers of another application, linked to it."""
    return save_draft(session, actor, json.loads(source.draft), now, copied_from=source)


def content_of(session: Session, application: Application) -> ApplicationContent:
    """What the current revision says. The application must have been submitted once."""
    revision = applications.current_revision(session, application)
    assert revision is not None, "an application without a revision has no content"
    return content_of_revision(revision)


def content_of_revision(revision: Revision) -> ApplicationContent:
    """What one revision says."""
    return content_from(json.loads(revision.content))


def environment_of(session: Session, content: ApplicationContent) -> Environment:
    """The platform that content from `content_for` is for."""
    tenant = customers.get_tenant(session, content.request.tenant_id)
    environment = customers.find_environment(session, tenant.id, content.request.environment.value, content.request.label)
    assert environment is not None, "content_for has looked it up"
    return environment


def _add_revision(
    session: Session,
    actor: Actor,
    application: Application,
    content: ApplicationContent,
    environment: Environment,
    policy: Policy,
    route: Route,
    stands_on: Revision | None,
    now: datetime,
) -> Revision:
    assert actor.person_id is not None
    stored = outbox.canonical(content_document(content))
    number = application.revision + 1
    wait = route.respond_within
    revision = Revision(
        application=application.id,
        number=number,
        content=stored.decode(),
        content_sha256=hashlib.sha256(stored).hexdigest(),
        content_digest=digest_of(content),
        author=actor.person_id,
        approvals_from=stands_on.approvals_from if stands_on else number,
        policy_sha256=policy.sha256,
        distinct_people=route.quorum.distinct,
        automatic=route.quorum.automatic,
        due_at=policy.calendar.after(now, wait) if wait else None,
        created_at=now,
    )
    session.add(revision)
    application.revision = number
    application.environment = environment.id
    application.title = f"{content.company} {environment.name}"
    application.request = content.request.request.value
    application.submitted_at = now
    for each in route.quorum.requirements:
        session.add(
            RequirementRow(
                application=application.id,
                revision=number,
                rule=each.rule,
                group_name=each.group,
                count=each.count,
                explanation=each.text,
            )
        )
    _plan_escalation(session, application, revision, policy, route)
    session.flush()  # the event's audience is read from the revision
    return revision


def _plan_escalation(session: Session, application: Application, revision: Revision, policy: Policy, route: Route) -> None:
    """What will happen when nobody decides: the rules' own steps, and a reminder when the answer is due."""
    steps: dict[tuple[datetime, str, str], tuple[str, str]] = {}
    if revision.due_at is not None:
        steps[revision.due_at, StepKind.REMIND.value, ""] = ("", "")
    for each in route.escalate:
        asked = each.requirement
        key = (policy.calendar.after(revision.created_at, each.step.after), each.step.do.value, each.step.group or "")
        steps.setdefault(key, (each.rule, asked.text if asked else ""))
    for (at, do, group), (rule, text) in steps.items():
        session.add(
            EscalationRow(
                application=application.id,
                revision=revision.number,
                rule=rule,
                step=do,
                group_name=group,
                explanation=text,
                at=at,
            )
        )


def _require_owner(application: Application, actor: Actor) -> None:
    if application.owner != actor.person_id:
        raise NotYours


def license_in_the_way(session: Session, request: RequestType, environment: UUID) -> IssuedLicense | None:
    """The license that a platform has already, when `request` asks for its first one. One that has ended is in nobody's way."""
    return in_the_way(licenses.in_force(session, environment), request) if request is RequestType.NEW else None


def in_the_way(current: IssuedLicense | None, request: RequestType) -> IssuedLicense | None:
    """The same, of what the platform runs on now."""
    free = request is not RequestType.NEW or current is None or current.standing == Standing.EXPIRED
    return None if free else current


def require_first(session: Session, application: Application, request: RequestType) -> None:
    """Raises LicensedMeanwhile when an application requests the first license of a platform that has one by now."""
    assert application.environment is not None, "a submitted application has an environment"
    require_not_overtaken(application, license_in_the_way(session, request, application.environment))


def require_not_overtaken(application: Application, current: IssuedLicense | None) -> None:
    """Raises LicensedMeanwhile when another application's license is in the way: of two first applications the later must not
    become version 2 of the other without anybody having compared them."""
    if current is not None and current.application != application.id:
        raise LicensedMeanwhile(current.license_id, current.version)


def _check_request_type(session: Session, request: LicenseRequest, environment: Environment) -> None:
    current = license_in_the_way(session, request.request, environment.id)
    if current is not None:
        where = request.environment.value
        message = f"{where} has license {current.license_id} version {current.version} already. Choose renewal or change."
        raise refused([Problem("request", "has_a_license", message)])
    if request.request is not RequestType.NEW and licenses.newest_version(session, environment.license_id) is None:
        raise refused([Problem("request", "has_no_license", "This environment has no license yet. Choose new license.")])


def _predecessor(session: Session, content: ApplicationContent) -> UUID | None:
    """The application behind the license that a renewal or change starts from."""
    if content.request.request is RequestType.NEW:
        return None
    newest = licenses.newest_version(session, content.license_id)
    return newest.application if newest else None


def _still_known(session: Session, predecessor: Application, addresses: list[str]) -> list[str]:
    assert predecessor.environment is not None, "a licensed application has an environment"
    _, tenant = customers.environment_with_tenant(session, predecessor.environment)
    recipients = customers.recipients_of_tenant(session, tenant.id)
    known = {each.address for each in recipients}
    return [each for each in addresses if each in known]


def _title(session: Session, raw: Mapping[str, Any]) -> str:
    tenant_id = _printable(raw.get("tenant_id"))[:64]
    tenant: Tenant | None = customers.find_tenant(session, tenant_id) if tenant_id else None
    environment = _printable(raw.get("environment"))[:4]
    return f"{tenant.company if tenant else tenant_id} {environment}".strip()


def _plain_choice(value: Any, kind: type[RequestType], default: RequestType) -> str:
    try:
        return kind(value).value
    except ValueError:
        return default.value


def _printable(value: Any) -> str:
    """What of a typed value can be shown, and looked up: a database refuses some of the rest."""
    return "".join(character for character in str(value or "") if character.isprintable())
