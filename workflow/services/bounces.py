"""What a message that came back changes. Anybody can write one, so it is believed as far as it proves what its author has seen.

docs/decisions/0009-what-a-bounce-proves.md has the reasons.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import applications, deliveries, ledger, licenses, reminders, throttle
from workflow.db.tables import Delivery
from workflow.domain.bounces import Outcome, Proof, Report, Tags, Verdict
from workflow.domain.delivery import DeliveryState
from workflow.domain.events import DeliveryBounced
from workflow.domain.roles import Actor, system
from workflow.services.delivery import LICENSE_DELIVERY
from workflow.services.reminders import record_bounced

READER = system("bounce reader")
MOST_PROVEN, MOST_CLAIMS = 20, 3
"""reports kept about one message: those that count, and those that prove nothing"""
AN_HOUR_FOR_ONE = 30
"""reports that are read about one message within an hour; a mail server that tries for days sends one every few hours"""
A_MINUTE_FOR_ALL = 600
A_MINUTE_UNMARKED = 60


def admit(session: Session, job: UUID | None, wall: datetime) -> Outcome | None:
    """Whether a message may be read, by the mark of the address it came to (None: it has none): None when it may, else what
    becomes of it. A storm about one message is dropped; whatever does not fit into a minute comes again later."""
    if job is not None and throttle.count(session, f"bounce:{job}", timedelta(hours=1), wall) > AN_HOUR_FOR_ONE:
        return Outcome.DROPPED
    key, most = ("bounces", A_MINUTE_FOR_ALL) if job is not None else ("bounces:unmarked", A_MINUTE_UNMARKED)
    if throttle.count(session, key, timedelta(minutes=1), wall) > most:
        return Outcome.LATER
    return None


def take_in(session: Session, actor: Actor, tags: Tags, report: Report, now: datetime) -> Outcome:
    """Takes in what came back, once. A failure that is proven to be about a message the mail server had accepted makes it
    bounced, and is told; a delay is shown; what proves nothing is shown as a claim and changes nothing."""
    if report.verdict is Verdict.OTHER:
        return Outcome.DROPPED  # absence notices go to the return path, too (RFC 3834)
    found = _matched(session, tags, report)
    if found is None:
        return Outcome.DROPPED
    delivery, proof = found
    if ledger.is_kept(session, delivery.id, report.digest):
        return Outcome.KNOWN
    if not proof.counts:
        if ledger.count_bounces(session, delivery.id, counting=False) >= MOST_CLAIMS:
            return Outcome.DROPPED
        return _kept(session, delivery, report, proof, Outcome.NOTED, now)
    if report.names and delivery.address.lower() not in report.names:
        return Outcome.DROPPED  # read by experience, and about somebody else
    delivery = ledger.lock_delivery(session, delivery.id)
    if delivery.state == DeliveryState.SENDING:
        return Outcome.LATER  # quicker than the worker that writes the acceptance down
    if report.verdict is Verdict.FAILED and _can_bounce(delivery):
        if not ledger.keep_bounce(session, delivery.id, report, proof, now):
            return Outcome.KNOWN
        _bounce(session, actor, delivery, report, proof, now)
        return Outcome.BOUNCED
    if ledger.count_bounces(session, delivery.id, counting=True) >= MOST_PROVEN:
        return Outcome.DROPPED
    outcome = Outcome.DELAYED if report.verdict is Verdict.DELAYED else Outcome.NOTED
    return _kept(session, delivery, report, proof, outcome, now)


def _matched(session: Session, tags: Tags, report: Report) -> tuple[Delivery, Proof] | None:
    """The message a report is about, by the strongest proof it has."""
    marks = [(Proof.ENVELOPE, tags.job_of(report.envelope_id))]
    marks += [(Proof.RETURN_PATH, tags.job_at(each)) for each in report.addressed_to]
    for proof, job in marks:
        delivery = deliveries.find_by_job(session, job) if job is not None else None
        if delivery is not None:
            return delivery, proof
    claimed = ledger.find_by_message_id(session, report.message_id) if report.message_id else None
    return (claimed, Proof.MESSAGE_ID) if claimed is not None else None


def _can_bounce(delivery: Delivery) -> bool:
    """Whether it was with a mail server that may have given it back. Who downloaded the file has it, whatever is said."""
    return delivery.state in (DeliveryState.ACCEPTED, DeliveryState.IN_DOUBT) and delivery.downloaded_at is None


def _kept(session: Session, delivery: Delivery, report: Report, proof: Proof, outcome: Outcome, now: datetime) -> Outcome:
    return outcome if ledger.keep_bounce(session, delivery.id, report, proof, now) else Outcome.KNOWN


def _bounce(
    session: Session,
    actor: Actor,
    delivery: Delivery,
    report: Report,
    proof: Proof,
    now: datetime,
) -> None:
    answer = report.said or report.status or "The mail server gave no reason."
    delivery.state, delivery.smtp_code, delivery.smtp_reply = DeliveryState.BOUNCED, None, answer
    if delivery.kind == LICENSE_DELIVERY and delivery.application is not None:
        application = applications.get_application_by_id(session, delivery.application)
        fact = DeliveryBounced(
            str(delivery.recipient), delivery.address, delivery.channel, delivery.message_id, answer, report.reporter, proof
        )
        outbox.record(session, fact, actor, now, application=application)
    elif (reminder := reminders.find_by_job(session, delivery.job)) is not None:
        issued = licenses.get_license(session, reminder.license)
        record_bounced(session, actor, reminder, issued, answer, now)
