"""Watching the end of licenses: which reminders are owed now, when a license has ended, who never uploaded the file.

The database is the truth and beat only wakes the scan, so an outage is caught up by the next scan.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.outbox import add_jobs, job_values, recipients_of
from workflow.db.queries import applications, customers, licenses, moves, people, reminders
from workflow.db.tables import Application, IssuedLicense, Reminder
from workflow.domain.application import COUNTING, Action, Standing, Status, allows
from workflow.domain.events import Job, LicenseExpired, LicenseNotActivated, ReminderAcknowledged, ReminderBounced, ReminderSent
from workflow.domain.reminders import ReminderState, due, next_look_at
from workflow.domain.roles import Actor, Permission, Role, may, require, system
from workflow.errors import NotFound
from workflow.services.desk import Desk

CLOCK = system("clock")
END_NOTICE = -1
"""The step after the last one: the notice that the last usable day has passed."""
Reader = tuple[UUID, str, str]
"""Who is reminded: id, name and address."""
NUDGE_DAYS = (3, 10)
"""Days after delivery at which someone is asked why the file is not in force."""


def queue_due(session: Session, desk: Desk, now: datetime, limit: int = 500) -> int:
    """Owes every reminder that has fallen due and ends licenses whose grace is over. Returns how many licenses it looked at;
    fewer than `limit` means that nothing more is due."""
    watched = licenses.watched(session, now, limit)
    for issued in watched:
        _look_at(session, desk, issued, now)
    return len(watched)


def ask_about_unused(session: Session, now: datetime) -> None:
    """Asks the administrators and the liaison about licenses delivered days ago and not in force: after 3 and 10 days, after an
    outage only the later question."""
    for days in sorted(NUDGE_DAYS, reverse=True):
        for issued in licenses.not_activated(session, now - timedelta(days=days), days):
            issued.nudged_days = days
            application = applications.get_application_by_id(session, issued.application)
            fact = LicenseNotActivated(issued.license_id, issued.version, days)
            outbox.record(session, fact, CLOCK, now, application=application)


def reason_to_skip(session: Session, issued: IssuedLicense, step: int, now: datetime) -> str | None:
    """Why a queued reminder must not go out any more; None when it must."""
    if issued.standing in (Standing.SUPERSEDED, Standing.REVOKED) or (
        issued.standing == Standing.EXPIRED and step != END_NOTICE
    ):
        return issued.standing
    if now >= issued.valid_until and step != END_NOTICE:
        return "ended"
    successor = licenses.successor_of(session, issued)
    if successor is not None and successor.standing in (Standing.SCHEDULED, Standing.ACTIVATED):
        return f"version {successor.version} is {successor.standing}"
    return None


def skip(reminder: Reminder, reason: str) -> None:
    """The reminder is not sent, for a reason that the page shows."""
    reminder.state, reminder.reason = ReminderState.SKIPPED, reason


def record_sent(
    session: Session, actor: Actor, reminder: Reminder, issued: IssuedLicense, message_id: str, now: datetime
) -> None:
    """The mail server took the reminder."""
    reminder.state, reminder.reason, reminder.sent_at = ReminderState.SENT, None, now
    application = applications.get_application_by_id(session, issued.application)
    fact = ReminderSent(issued.license_id, issued.version, reminder.days_ahead, reminder.recipient, message_id)
    outbox.record(session, fact, actor, now, application=application)


def record_bounced(
    session: Session, actor: Actor, reminder: Reminder, issued: IssuedLicense, reply: str, now: datetime
) -> None:
    """The reminder came back: it has failed, and the page says so. The customer's backup contacts are reminded instead, each of
    one step once."""
    reminder.state, reminder.reason = ReminderState.FAILED, f"It came back: {reply}"
    application = applications.get_application_by_id(session, issued.application)
    _, tenant = customers.environment_with_tenant(session, issued.environment)
    backups = [each for each in customers.recipients_of_tenant(session, tenant.id) if each.backup]
    _queue_for(session, issued, reminder.days_ahead, [(each.id, each.name, each.address) for each in backups], now, None)
    fact = ReminderBounced(issued.license_id, issued.version, reminder.days_ahead, reminder.recipient, reply)
    outbox.record(session, fact, actor, now, application=application)


def acknowledge(session: Session, actor: Actor, license_row: UUID, days_ahead: int, recipient: str, now: datetime) -> Reminder:
    """Somebody pressed "Got it": noted once, with the name of whoever was first. Raises MissingRole, NotFound."""
    if not may_acknowledge(actor):
        require(actor, Permission.APPLY)
    issued = licenses.get_license(session, license_row)
    reminder = session.get(Reminder, (issued.id, issued.last_day, days_ahead, recipient))
    if reminder is None:
        raise NotFound("There is no such reminder. Look at the license's page for those that were sent.")
    if reminder.acknowledged_at is None:
        reminder.acknowledged_at = now
        application = applications.get_application_by_id(session, issued.application)
        fact = ReminderAcknowledged(issued.license_id, issued.version, days_ahead, recipient)
        outbox.record(session, fact, actor, now, application=application)
    return reminder


def may_acknowledge(actor: Actor) -> bool:
    """Whether a "Got it" of this actor counts: those who are reminded, and operators."""
    return Role.ADMINISTRATOR in actor.roles or may(actor, Permission.APPLY) or may(actor, Permission.OPERATE)


def _look_at(session: Session, desk: Desk, issued: IssuedLicense, now: datetime) -> None:
    if issued.standing in (Standing.SUPERSEDED, Standing.REVOKED, Standing.EXPIRED):
        issued.next_reminder_at = None
        return
    done = reminders.steps_done(session, issued.id)
    steps = due(
        last_day=issued.last_day,
        time_zone=issued.time_zone,
        valid_until=issued.valid_until,
        steps=desk.reminder_days,
        done=done,
        issued_at=issued.issued_at,
        hour=desk.reminder_hour,
        now=now,
    )
    for step in steps.missed:
        _queue(session, issued, step, now, "missed")
    if steps.send is not None:
        _queue(session, issued, steps.send, now, reason_to_skip(session, issued, steps.send, now))
    if now >= issued.valid_until and END_NOTICE not in done:
        _queue(session, issued, END_NOTICE, now, reason_to_skip(session, issued, END_NOTICE, now))
    if now >= issued.grace_until:
        _expire(session, issued, now)
        return
    issued.next_reminder_at = next_look_at(
        last_day=issued.last_day,
        time_zone=issued.time_zone,
        valid_until=issued.valid_until,
        grace_until=issued.grace_until,
        steps=desk.reminder_days,
        hour=desk.reminder_hour,
        now=now,
    )


def _queue(session: Session, issued: IssuedLicense, step: int, now: datetime, skipped: str | None) -> None:
    application = applications.get_application_by_id(session, issued.application)
    _queue_for(session, issued, step, _audience(session, application), now, skipped)


def _queue_for(
    session: Session, issued: IssuedLicense, step: int, readers: Sequence[Reader], now: datetime, skipped: str | None
) -> None:
    rows: list[dict[str, Any]] = []
    jobs: list[dict[str, Any]] = []
    for who, name, address in readers:
        job_id = None
        if skipped is None:
            key = f"remind:{issued.id}:{issued.last_day.isoformat()}:{step}:{address}"
            job = job_values(Job.REMINDER, key, ref=issued.id, recipient=who, detail=str(step))
            job_id = job["id"]
            jobs.append(job)
        rows.append(
            {
                "license": issued.id,
                "expiry": issued.last_day,
                "days_ahead": step,
                "recipient": address,
                "name": name,
                "state": ReminderState.SKIPPED if skipped else ReminderState.QUEUED,
                "reason": skipped,
                "job": job_id,
                "created_at": now,
            }
        )
    add_jobs(session, jobs)
    reminders.insert_missing(session, rows)


def _audience(session: Session, application: Application) -> list[Reader]:
    """The recipients of the license and the liaison who applied; nobody twice."""
    found: dict[str, Reader] = {}
    for recipient_id in recipients_of(session, application):
        recipient = customers.get_recipient(session, recipient_id)
        found[recipient.address] = (recipient.id, recipient.name, recipient.address)
    liaison = people.get_person(session, application.owner)
    if liaison.disabled_at is None:
        found.setdefault(liaison.email, (liaison.id, liaison.name, liaison.email))
    return list(found.values())


def _expire(session: Session, issued: IssuedLicense, now: datetime) -> None:
    application = applications.get_application_by_id(session, issued.application)
    issued.next_reminder_at = None
    if not licenses.change_standing(session, issued, COUNTING, standing=Standing.EXPIRED):
        return
    if allows(Status(application.status), Action.EXPIRE):
        moves.move(session, application, Action.EXPIRE, now)
        outbox.record(session, LicenseExpired(issued.license_id, issued.version), CLOCK, now, application=application)
