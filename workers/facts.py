"""From rows to the plain facts that letters are made of."""

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session

from workflow.db.jobs import HELD
from workflow.db.queries import applications, customers, deliveries, licenses
from workflow.db.tables import Application, EventRow, IssuedLicense, Person
from workflow.domain.application import Standing, Status
from workflow.domain.approvals import Decision
from workflow.domain.content import TERM_NAMES, ApplicationContent, changes, request_changes
from workflow.domain.delivery import UNDELIVERED, DeliveryState
from workflow.domain.events import DeliveryBounced, DeliveryFailed, DeliveryHeld, SigningFailed
from workflow.domain.terms import LicenseKind, RequestType, last_usable_day
from workflow.license_file.wording import Sentence, say
from workflow.mail.letters import ApplicationFacts, Awaited, Delivered, LicenseFacts, Missing, Successor, TermChange, Trouble
from workflow.mail.letters import Desk as Sender
from workflow.services.applications import content_of, content_of_revision
from workflow.services.decisions import Ballot
from workflow.services.desk import Desk

DELIVERY_WORDS = {
    DeliveryState.PREPARED: say("Not sent yet, will try again"),
    DeliveryState.SENDING: say("Being sent"),
    DeliveryState.ACCEPTED: say("Accepted by mail server"),
    DeliveryState.IN_DOUBT: say("In doubt, an operator looks into it"),
    DeliveryState.REFUSED: say("Refused by mail server"),
    DeliveryState.BOUNCED: say("Came back"),
}


def sender(desk: Desk) -> Sender:
    """The desk as letters name it."""
    return Sender(desk.defaults.contact_name, desk.public_url, desk.defaults.contact_mailbox)


def revocations_url(desk: Desk) -> str:
    """Where the newest revocation list is; it needs no sign-in."""
    return f"{desk.public_url}/api/v1/revocations"


def license_facts(desk: Desk, issued: IssuedLicense, content: ApplicationContent) -> LicenseFacts:
    """What letters say about an issued license, given what its application asked for."""
    grace = last_usable_day(issued.grace_until, issued.time_zone)
    return LicenseFacts(
        license_id=issued.license_id,
        version=issued.version,
        company=content.company,
        environment=content.request.environment.value,
        first_day=content.terms.first_day,
        last_day=content.terms.last_day,
        time_zone=issued.time_zone,
        modules=tuple(desk.catalogue.name_of(code) for code in content.terms.modules),
        agents=content.terms.max_agents,
        users=content.terms.authorized_users,
        on_expiry=content.defaults.on_expiry,
        grace_last_day=grace if grace > content.terms.last_day else None,
        replaces_version=issued.version - 1 or None,  # versions are allotted one after the other
    )


def application_facts(desk: Desk, application: Application, content: ApplicationContent, owner: Person) -> ApplicationFacts:
    """What letters say about an application."""
    return ApplicationFacts(
        number=application.number,
        request=content.request.request.value,
        company=content.company,
        environment=content.request.environment.value,
        submitted_by=owner.name,
        first_day=content.terms.first_day,
        last_day=content.terms.last_day,
        time_zone=content.terms.time_zone,
        agents=content.terms.max_agents,
        users=content.terms.authorized_users,
        url=f"{desk.public_url}/applications/{application.number}",
    )


_VALUES: Mapping[str, Sentence] = {
    RequestType.NEW: say("new license"),
    RequestType.RENEWAL: say("renewal"),
    RequestType.CHANGE: say("change"),
    LicenseKind.STANDARD: say("standard"),
    LicenseKind.TRIAL: say("trial"),
    LicenseKind.EXTENSION: say("extension"),
}
"""Answers that are codes, in words."""

_ADVICE = {
    SigningFailed.type: say("Open the application, mend what it says, and retry the job under Operations."),
    DeliveryFailed.type: say("Open the application to try again, or add another recipient."),
    DeliveryHeld.type: say(
        "Open the customer's page and compare what is on file with what the recipient says. Then confirm it."
    ),
    DeliveryBounced.type: say("Open the application to correct the address, or to send the file to another recipient."),
}


def payload_of(event: EventRow) -> dict[str, Any]:
    """What an event keeps besides its name."""
    found: dict[str, Any] = json.loads(event.payload)
    return found


def trouble(event: EventRow) -> Trouble:
    """What letters say about something that stopped."""
    said = payload_of(event)
    if event.type == DeliveryFailed.type:
        problem = say("The license file could not be delivered to %(address)s.", address=said["address"])
        return Trouble(problem, said["reply"], _ADVICE[event.type])
    if event.type == DeliveryHeld.type:
        problem = say("The license file for %(address)s is held here.", address=said["address"])
        return Trouble(problem, said["reason"], _ADVICE[event.type])
    if event.type == DeliveryBounced.type:
        address = said["address"]
        problem = say("The mail with the license for %(address)s was accepted at first and came back later.", address=address)
        return Trouble(problem, said["reply"], _ADVICE[event.type])
    return Trouble(say("The license was not signed."), said["reason"], _ADVICE[event.type])


def stands(session: Session, application: Application, event: EventRow) -> bool:
    """Whether what stopped still stands still: the license is not signed, or nothing was sent to the recipient since."""
    if event.type == DeliveryHeld.type:
        return any(
            each.job.detail == HELD and str(each.recipient.id) == payload_of(event)["recipient"]
            for each in deliveries.license_deliveries(session, application.id)
        )
    if event.type not in (DeliveryFailed.type, DeliveryBounced.type):
        return application.status == Status.APPROVED.value
    said = payload_of(event)
    return any(
        each.delivery is not None and each.delivery.state in UNDELIVERED
        for each in deliveries.license_deliveries(session, application.id)
        if str(each.recipient.id) == said["recipient"]
    )


def awaited(ballot: Ballot, decision: Decision, names: Mapping[UUID, str], time_zone: str, now: datetime) -> Awaited:
    """How an application that waits stands now; `names` are those of the people who approved."""
    due_at = ballot.revision.due_at
    return Awaited(
        since=ballot.revision.created_at,
        due_at=due_at,
        is_overdue=due_at is not None and due_at <= now,
        missing=tuple(
            Missing(each.requirement.group, each.requirement.count - len(each.people), len(each.people))
            for each in decision.tallies
            if not each.met
        ),
        approved_by=tuple(names[person] for person in decision.people),
        time_zone=time_zone,
    )


def term_changes(session: Session, desk: Desk, application: Application, content: ApplicationContent) -> tuple[TermChange, ...]:
    """What an application would change against the license in force, in words; empty for a first license."""
    assert application.environment is not None, "a submitted application has an environment"
    current = licenses.in_force(session, application.environment)
    if current is None or current.application == application.id:
        return ()
    before = content_of(session, applications.get_application_by_id(session, current.application))
    return tuple(
        TermChange(TERM_NAMES[each.term], *_words(desk, each.term, each.old, each.new, each.added, each.removed))
        for each in changes(before.terms, content.terms)
    )


def revision_changes(
    session: Session, desk: Desk, application: Application, content: ApplicationContent
) -> tuple[TermChange, ...]:
    """What the current revision answers differently from the one before it, in words; empty for the first one."""
    earlier = [each for each in applications.revisions_of(session, application.id) if each.number < application.revision]
    if not earlier:
        return ()
    return tuple(
        TermChange(TERM_NAMES[each.term], *_words(desk, each.term, each.old, each.new, each.added, each.removed))
        for each in request_changes(content_of_revision(earlier[-1]).request, content.request)
    )


def deliveries_of(session: Session, application: Application) -> tuple[Delivered, ...]:
    """How the file gets on with each recipient."""
    return tuple(
        Delivered(
            each.recipient.name,
            each.recipient.address,
            DELIVERY_WORDS[DeliveryState(each.delivery.state)] if each.delivery else say("Waiting to be sent"),
        )
        for each in deliveries.license_deliveries(session, application.id)
    )


def successor(session: Session, desk: Desk, issued: IssuedLicense) -> Successor | None:
    """A later version that was sent and is not in force yet."""
    later = licenses.successor_of(session, issued)
    if later is None or later.standing != Standing.ISSUED:
        return None
    application = applications.get_application_by_id(session, later.application)
    sent = [each.delivery for each in deliveries.license_deliveries(session, application.id) if each.delivery]
    addresses = [each.address for each in sent if each.state == DeliveryState.ACCEPTED]
    _, tenant = customers.environment_with_tenant(session, later.environment)
    return Successor(
        version=later.version,
        sent_to=tuple(addresses) or (tenant.company,),
        sent_on=(later.delivered_at or later.issued_at).date(),
        last_day=later.last_day,
        uploaded_url=f"{desk.public_url}/licenses/{later.license_id}#reminders",
    )


def first_reminder_day(desk: Desk, issued: IssuedLicense) -> date:
    """The day of the first reminder."""
    return issued.last_day - timedelta(days=max(desk.reminder_days))


def _words(desk: Desk, term: str, old: str, new: str, added: tuple[str, ...], removed: tuple[str, ...]) -> tuple[str, str]:
    if term in ("modules", "model_types", "restrictions"):
        more = [f"+ {desk.catalogue.name_of(code)}" for code in added]
        less = [f"− {desk.catalogue.name_of(code)}" for code in removed]
        return old, f"{new} ({', '.join(more + less)})"
    if term == "recipients":
        return old, f"{new} ({', '.join([f'+ {each}' for each in added] + [f'− {each}' for each in removed])})"
    if term == "note":  # the new one is quoted as a whole
        return "", say("Changed, see below") if new else say("Removed")
    if term == "contract_reference":
        return old or say("None"), new or say("None")
    if term == "validity":
        return _span(old), _span(new)
    return _VALUES.get(old, old), _VALUES.get(new, new)


def _span(days: str) -> Sentence:
    first, last = map(date.fromisoformat, days.split("/"))
    return say("%(first)s to %(last)s", first=first, last=last)
