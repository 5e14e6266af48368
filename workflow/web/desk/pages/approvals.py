"""The approvers' queue and the decision: what is asked for, what it changes, approve, send back or reject."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.db.queries import applications as application_queries
from workflow.db.queries import customers, events, licenses, people
from workflow.db.queries.applications import ListedApplication
from workflow.db.tables import Application, EventRow
from workflow.domain.application import Status
from workflow.domain.approvals import Choice, NotEligible, Quorum
from workflow.domain.content import ApplicationContent
from workflow.domain.events import ApplicationRejected, ApprovalRecorded, ChangesRequested, VoteRefused
from workflow.domain.roles import Actor, Permission
from workflow.errors import Conflict, Invalid, NotFound, Problem
from workflow.services import applications, confirming, decisions, delegations, refusals
from workflow.services.confirming import Asked
from workflow.services.decisions import Ballot
from workflow.services.delegations import NotTheirDelegate
from workflow.services.second_factor import SecondFactorThrottled
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import Approver, House, Inside, Me, QueueReader
from workflow.web.desk.shown.activity import Entry, entry
from workflow.web.desk.shown.approvals import Approvals, progress
from workflow.web.desk.shown.checks import Beside, Check, CheckKind, InForce, already_licensed, checks_of
from workflow.web.desk.shown.reaching import Reached, reached
from workflow.web.desk.shown.states import REQUEST_WORDS, Badge, status_badge
from workflow.web.desk.shown.terms import ShownDifference, ShownTerms, shown_difference, shown_revision, shown_terms
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import FieldErrors, Posted
from workflow.web.shared.site import site_of

router = APIRouter()
TABS = ("mine", "open", "decided")
_READ_BY = {
    **{each.type: "revision" for each in (ApprovalRecorded, ChangesRequested, ApplicationRejected)},
    VoteRefused.type: "seen_revision",
}
"""What an approver leaves in the history, and which member of it names the revision they had before them."""
DECIDED = {
    Choice.APPROVE: "Approved",
    Choice.REQUEST_CHANGES: "Sent back",
    Choice.REJECT: "Rejected",
}


@dataclass(frozen=True)
class QueueItem:
    """One line of the queue."""

    number: str
    company: str
    environment: str
    request: str
    badge: Badge
    waiting_seconds: float
    owner: str


@dataclass(frozen=True)
class Revised:
    """What the revision answers differently from the last one that this approver decided on, or else from the one before; and
    who had asked for it."""

    since: int
    decided: bool
    asked_for: Entry | None
    difference: ShownDifference


@dataclass(frozen=True)
class Panel:
    """One application as its approver sees it."""

    application: Application
    badge: Badge
    request: str
    owner: str
    terms: ShownTerms
    current: InForce | None
    difference: ShownDifference | None
    revised: Revised | None
    checks: tuple[Check, ...]
    approvals: Approvals
    recipients: Sequence[Reached]
    own: bool
    voted: bool
    not_asked: str
    rights: Sequence[tuple[str, str]]
    open: bool
    asked: Asked


@router.get("/approvals")
def queue(request: Request, house: Inside, me: QueueReader, tab: Annotated[str, Query()] = "mine") -> Response:
    """The queue with nothing chosen."""
    return _page(request, house, me, tab, None)


@router.get("/approvals/{number}")
def show(request: Request, house: Inside, me: QueueReader, number: str, tab: Annotated[str, Query()] = "mine") -> Response:
    """One application of the queue, with the decision form."""
    return _page(request, house, me, tab, number)


@router.post("/approvals/{number}")
def decide(request: Request, house: Inside, me: Approver, number: str, form: Posted) -> Response:
    """Records the decision. A stale page is answered with the fresh one, saying who was quicker."""
    tab, comment = form.text("tab"), form.text("comment")
    chosen = next((each for each in Choice if each.value == form.text("decision")), None)
    if chosen is None:
        missing = [Problem("decision", "missing", "Choose approve, send back or reject.")]
        return _page(request, house, me, tab, number, problems=missing, comment=comment, status=422)
    shown = confirming.Shown(form.secret("password"), form.text("code"))
    seen_revision, acting_for = form.integer("revision") or 0, form_person(form.text("for"))
    try:
        with reading(house.engine) as session:
            asked = _asked(session, house, me, application_queries.get_visible(session, me.actor, number))
        confirming.check_password(house.engine, me.person_id, asked, shown, wall_now())
        with (
            refusals.kept(house.engine, me.actor, number, chosen, seen_revision, acting_for, utc_now()),
            transaction(house.engine) as session,
        ):
            application = application_queries.get_visible(session, me.actor, number)
            confirming.use_code(session, me.person_id, asked, shown, wall_now())
            decisions.vote(
                session,
                me.actor,
                house.desk,
                application,
                chosen,
                comment=comment,
                seen_revision=seen_revision,
                seen_version=form.integer("version") or 0,
                now=utc_now(),
                on_behalf_of=acting_for,
            )
    except Invalid as error:
        return _page(request, house, me, tab, number, problems=error.problems, chosen=chosen, comment=comment, status=422)
    except SecondFactorThrottled as error:
        throttled = [Problem("password", "throttled", str(error))]
        return _page(request, house, me, tab, number, problems=throttled, chosen=chosen, comment=comment, status=429)
    except Conflict as error:
        return _page(request, house, me, tab, number, conflict=error, chosen=chosen, comment=comment, status=409)
    return go_on(request, "/approvals", f"{DECIDED[chosen]}: {number}. The liaison is told by e-mail.")


def _page(
    request: Request,
    house: House,
    me: Me,
    tab: str,
    number: str | None,
    *,
    problems: Sequence[Problem] = (),
    conflict: Conflict | None = None,
    chosen: Choice | None = None,
    comment: str = "",
    status: int = 200,
) -> Response:
    tab = (tab if tab in TABS else "mine") if me.may(Permission.DECIDE) else "open"
    now = utc_now()
    with reading(house.engine) as session:
        waiting = application_queries.waiting_for(session, me.actor, me.groups, me.lent)
        rows = {
            "mine": lambda: waiting,
            "open": lambda: application_queries.all_open(session),
            "decided": lambda: application_queries.decided_by(session, me.person_id),
        }[tab]()
        panel = _panel(session, house, me, number) if number else None
    items = [queue_item(each, now) for each in rows]
    position = next((i for i, each in enumerate(items) if each.number == number), None)
    return site_of(request).pages.page(
        request,
        "pages/desk/approvals.html",
        status=status,
        tab=tab,
        items=items,
        waiting_count=len(waiting),
        panel=panel,
        position=position,
        following=items[position + 1].number if position is not None and position + 1 < len(items) else None,
        errors=FieldErrors.of(problems),
        summary=[("decision-approve" if each.field == "decision" else each.field, each.message) for each in problems],
        conflict=(conflict.title, conflict.told(me.zone)) if conflict else None,
        chosen=chosen.value if chosen else "",
        comment=comment,
    )


def _panel(session: Session, house: House, me: Me, number: str) -> Panel:
    application = application_queries.get_visible(session, me.actor, number)
    revision = application_queries.current_revision(session, application)
    if revision is None:
        raise NotFound(f"{number} was never submitted, so there is nothing to decide. Open it under Applications.")
    content = applications.content_of(session, application)
    assert application.environment is not None, "a submitted application has an environment"
    issued = licenses.in_force(session, application.environment)
    current = None
    if issued is not None and issued.application != application.id:
        before = applications.content_of(session, application_queries.get_application_by_id(session, issued.application))
        current = InForce(issued.license_id, issued.version, before.terms)
    difference = shown_difference(current.terms, content.terms, house.desk.catalogue) if current else None
    _, tenant = customers.environment_with_tenant(session, application.environment)
    everybody = customers.recipients_of_tenant(session, tenant.id)
    named = [each for each in everybody if each.address in content.request.recipients]
    recipients = reached(named, wall_now(), house.desk.mail_trust)
    ballot = decisions.ballot_of(session, house.desk.policy, application)
    own = me.person_id in ballot.contributors
    quorum = decisions.quorum_of(session, application, ballot.revision)
    counted = ballot.decision(quorum)
    rights = _rights(session, house, me, ballot, quorum)
    beside = [
        Beside(each.application.number, each.owner, status_badge(each.application.status).text)
        for each in application_queries.in_hand(session, [application.environment])
        if each.application.id != application.id
    ]
    checks = checks_of(content.terms, recipients, current, difference, beside)
    in_the_way = applications.license_in_the_way(session, content.request.request, application.environment)
    if in_the_way is not None and current is not None and Status(application.status) is Status.SUBMITTED:
        checks = (already_licensed(in_the_way), *checks)
    if not own and me.may(Permission.DECIDE):
        checks = (*checks, Check(CheckKind.PASS, "You did not submit or edit this application"))
    return Panel(
        application=application,
        badge=status_badge(application.status),
        request=REQUEST_WORDS.get(application.request, application.request),
        owner=people.get_person(session, application.owner).name,
        terms=shown_terms(content, house.desk.catalogue),
        current=current,
        difference=difference,
        revised=_revised(session, house, me, application, content),
        checks=checks,
        approvals=progress(counted, delegations.names_of_voters(session, counted)),
        recipients=recipients,
        own=own,
        voted=ballot.has_voted(me.person_id),
        not_asked="" if rights else str(NotEligible(quorum.groups)),
        rights=rights,
        open=Status(application.status) is Status.SUBMITTED,
        asked=_asked(session, house, me, application),
    )


def _asked(session: Session, house: House, me: Me, application: Application) -> Asked:
    return confirming.asked_of(session, me.person_id, application, demand_second_factor=house.settings.second_factor_for_prod)


def _revised(session: Session, house: House, me: Me, application: Application, content: ApplicationContent) -> Revised | None:
    earlier = {each.number: each for each in application_queries.revisions_of(session, application.id)}
    earlier.pop(application.revision, None)
    if not earlier:
        return None
    stream = events.of_stream(session, str(application.id))
    known = _decided_on(stream, me.actor) & earlier.keys()
    since = earlier[max(known or earlier)]
    before = applications.content_of_revision(since)
    asked_for = [each for each in stream if each.type == ChangesRequested.type and each.at >= since.created_at]
    return Revised(
        since.number,
        bool(known),
        entry(asked_for[-1]) if asked_for else None,
        ShownDifference(shown_revision(before, content, house.desk.catalogue), ()),
    )


def _decided_on(stream: Sequence[EventRow], actor: Actor) -> set[int]:
    """The revisions that somebody has certainly read: those they decided on, also where it did not count. Opening a page leaves
    no mark, since programs open links, too."""
    own = [(each.type, json.loads(each.payload)) for each in stream if each.actor == actor.label]
    return {said[_READ_BY[kind]] for kind, said in own if kind in _READ_BY}


def _rights(session: Session, house: House, me: Me, ballot: Ballot, quorum: Quorum) -> list[tuple[str, str]]:
    """As whom this approver can decide here: as themselves, or for a colleague out of office; a form's values and words."""
    since, now = ballot.revision.created_at, utc_now()
    names = people.names_of(session, list(me.lent))
    able = []
    for giver in (None, *names):
        groups = delegations.groups_of_vote(session, house.desk.policy, me.person_id, giver, since, now)
        if giver not in ballot.contributors and not groups.isdisjoint(quorum.groups):
            able.append((str(giver), f"For {names[giver]}, who is out of office") if giver else ("", "As yourself"))
    return able


def form_person(value: str) -> UUID | None:
    """Whose right a form uses: a colleague's, or none but one's own. Raises NotTheirDelegate for what is no person."""
    try:
        return UUID(value) if value else None
    except ValueError:
        raise NotTheirDelegate from None


def queue_item(listed: ListedApplication, now: datetime) -> QueueItem:
    """A listed application as a line of the queue."""
    row = listed.application
    return QueueItem(
        number=row.number,
        company=listed.company,
        environment=listed.environment,
        request=REQUEST_WORDS.get(row.request, row.request),
        badge=status_badge(row.status),
        waiting_seconds=max(0.0, (now - (row.submitted_at or row.created_at)).total_seconds()),
        owner=listed.owner,
    )
