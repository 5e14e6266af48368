"""Watching the end: seven days ahead at nine, once each, caught up after an outage, silent once the successor is in force."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from tests import people
from tests.builders import MAILER, NOW, WEI, YU, Office
from tests.people import ADMINISTRATOR, APPROVER, AUDITOR, STRANGER
from workflow.db.queries import customers
from workflow.db.tables import IssuedLicense, JobRow, Recipient, Reminder
from workflow.domain.events import Job
from workflow.domain.roles import Actor, MissingRole
from workflow.errors import NotFound
from workflow.license_file import ReceiptEvent
from workflow.services import accounts, recipients, reminders
from workflow.times import wall_now

LIAISON = people.STAFF[0].email
END_NOTICE = reminders.END_NOTICE


def local(text: str, zone: str = "Asia/Shanghai") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def scan(office: Office, text: str) -> None:
    """What the clock does at this time in Shanghai."""
    office.now = local(text)
    with office.work() as session:
        reminders.queue_due(session, office.desk, office.now)
    with office.work() as session:
        reminders.ask_about_unused(session, office.now)


def steps(office: Office, number: str, state: str = "queued", who: str = WEI) -> list[int]:
    """The steps that one person was reminded of, latest one last; with another state, those that were not."""
    issued = office.license_of(number)
    with office.work() as session:
        rows: Sequence[Reminder] = session.exec(
            select(Reminder).where(Reminder.license == issued.id, Reminder.state == state, Reminder.recipient == who)
        ).all()
    return sorted((row.days_ahead for row in rows), reverse=True)


def owed(office: Office) -> list[JobRow]:
    with office.work() as session:
        return list(session.exec(select(JobRow).where(JobRow.kind == Job.REMINDER.value)))


def renewed(office: Office, number: str) -> str:
    """A successor that was issued and delivered."""
    renewal = office.renewal_of(number)
    office.vote(renewal)
    office.sign(renewal)
    office.hand_over(renewal)
    return renewal


def test_each_step_comes_at_nine_where_the_customer_is_and_once(office: Office) -> None:
    number = office.activated()  # until the end of 31 Oct 2027
    for day, before, after in (
        ("2027-10-01", [], [30]),
        ("2027-10-17", [30], [30, 14]),
        ("2027-10-24", [30, 14], [30, 14, 7]),
        ("2027-10-30", [30, 14, 7], [30, 14, 7, 1]),
        ("2027-10-31", [30, 14, 7, 1], [30, 14, 7, 1, 0]),
    ):
        scan(office, f"{day}T08:59")
        assert steps(office, number) == before
        scan(office, f"{day}T09:00")
        assert steps(office, number) == after
        scan(office, f"{day}T09:01")
        assert steps(office, number) == after
    assert len(owed(office)) == 2 * 5


def test_the_administrators_and_the_liaison_are_reminded(office: Office) -> None:
    number = office.activated(recipients=[WEI, YU])
    scan(office, "2027-10-24T09:00")
    for address in (WEI, YU, LIAISON):
        assert 7 in steps(office, number, who=address)
    with office.work() as session:
        readers = {row.recipient for row in session.exec(select(JobRow).where(JobRow.kind == Job.REMINDER.value))}
    assert len(readers) == 3
    assert people.LIAISON.person_id in readers


def test_a_liaison_who_left_and_a_recipient_who_was_removed_are_not_reminded(office: Office) -> None:
    number = office.activated(recipients=[WEI, YU])
    with office.work() as session:
        accounts.disable_person(session, people.OPERATOR, people.id_of(people.LIAISON), now=NOW, wall=wall_now())
        yu = session.exec(select(Recipient).where(Recipient.address == YU)).one()
        recipients.remove_recipient(session, people.OPERATOR, yu.id, NOW)
    scan(office, "2027-10-24T09:00")
    assert [steps(office, number, who=who) for who in (WEI, YU, LIAISON)] == [[7], [], []]


def test_a_liaison_who_is_a_recipient_as_well_is_reminded_once(office: Office) -> None:
    with office.work() as session:
        office.add_recipient(session, customers.get_tenant(session, "T-20817"), "Lin Mei", LIAISON)
    office.activated(recipients=[WEI, LIAISON])
    scan(office, "2027-10-24T09:00")
    assert len(owed(office)) == 2


def test_after_an_outage_the_most_urgent_step_goes_out_and_the_others_were_missed(office: Office) -> None:
    number = office.activated()
    scan(office, "2027-10-25T15:00")
    assert steps(office, number) == [7]
    assert steps(office, number, "skipped") == [30, 14]
    with office.work() as session:
        assert set(session.exec(select(Reminder.reason).where(Reminder.state == "skipped"))) == {"missed"}
    scan(office, "2027-10-30T09:00")
    assert steps(office, number) == [7, 1]


def test_an_outage_over_the_end_sends_one_notice_of_the_end(office: Office) -> None:
    number = office.activated()
    scan(office, "2027-10-17T09:00")
    scan(office, "2027-11-03T12:00")
    assert steps(office, number) == [14, END_NOTICE]
    assert steps(office, number, "skipped") == [30, 7, 1, 0]


def test_an_outage_over_the_grace_sends_the_notice_and_ends_the_license(office: Office) -> None:
    number = office.activated()
    scan(office, "2028-02-01T12:00")
    assert steps(office, number) == [END_NOTICE]
    assert (office.status(number), office.license_of(number).standing) == ("expired", "expired")


def test_the_notice_of_the_end_comes_at_the_end_and_the_license_ends_after_its_grace(office: Office) -> None:
    number = office.activated()
    scan(office, "2027-10-31T09:00")
    scan(office, "2027-10-31T23:59")
    assert END_NOTICE not in steps(office, number)
    scan(office, "2027-11-01T00:00")
    assert steps(office, number)[-1] == END_NOTICE
    assert office.status(number) == "activated", "nothing stops during grace"
    scan(office, "2027-11-14T23:59")
    assert office.status(number) == "activated"
    scan(office, "2027-11-15T00:00")
    assert (office.status(number), office.license_of(number).standing) == ("expired", "expired")
    assert office.said(number)[-1] == "license.expired"
    scan(office, "2028-11-15T00:00")
    assert office.said(number).count("license.expired") == 1
    assert office.license_of(number).next_reminder_at is None


@pytest.mark.parametrize("state", ["issued", "delivered", "activated"])
def test_whatever_became_of_it_a_license_ends(office: Office, state: str) -> None:
    number: str = getattr(office, state)()
    scan(office, "2028-01-01T00:00")
    assert office.status(number) == "expired"


def test_an_activated_successor_ends_the_reminders(office: Office) -> None:
    number = office.activated()
    scan(office, "2027-10-17T09:00")
    renewal = renewed(office, number)
    office.report(renewal)
    scan(office, "2027-10-24T09:00")
    scan(office, "2027-12-01T00:00")
    assert steps(office, number) == [14]
    assert office.status(number) == "superseded"


def test_a_scheduled_successor_ends_the_reminders_and_the_page_says_why(office: Office) -> None:
    number = office.activated()
    renewal = renewed(office, number)
    office.report(renewal, ReceiptEvent.SCHEDULED)
    scan(office, "2027-10-24T09:00")
    assert steps(office, number) == []
    assert 7 in steps(office, number, "skipped")
    with office.work() as session:
        reason = session.exec(select(Reminder.reason).where(Reminder.days_ahead == 7)).first()
    assert reason == "version 2 is scheduled"


def test_a_successor_that_was_only_sent_does_not_end_them(office: Office) -> None:
    """Its mail may have failed, or nobody uploaded it."""
    number = office.activated()
    renewed(office, number)
    scan(office, "2027-10-24T09:00")
    assert steps(office, number) == [7]


def test_before_it_goes_out_a_queued_reminder_is_asked_again_whether_it_is_still_true(office: Office) -> None:
    number = office.activated()
    scan(office, "2027-10-24T09:00")

    def reason(step: int, text: str) -> str | None:
        issued = office.license_of(number)
        with office.work() as session:
            return reminders.reason_to_skip(session, issued, step, local(text))

    assert reason(7, "2027-10-24T09:05") is None
    assert reason(7, "2027-11-01T00:00") == "ended"
    assert reason(END_NOTICE, "2027-11-01T00:00") is None
    renewal = renewed(office, number)
    assert reason(7, "2027-10-24T09:05") is None
    office.report(renewal, ReceiptEvent.SCHEDULED)
    assert reason(7, "2027-10-24T09:05") == "version 2 is scheduled"
    office.report(renewal)
    assert reason(7, "2027-10-24T09:05") == "superseded"
    assert reason(END_NOTICE, "2027-11-01T00:00") == "superseded"


def test_two_scans_at_once_owe_each_reminder_once(office: Office) -> None:
    office.activated()
    scan(office, "2027-10-24T09:00")
    with office.work() as session:
        # As the second scan had read it before the first one committed.
        session.exec(select(IssuedLicense)).one().next_reminder_at = NOW
    scan(office, "2027-10-24T09:00")
    assert len(owed(office)) == 2


def test_two_scans_at_the_same_instant_owe_each_reminder_once(office: Office) -> None:
    """Two beats, or one that was late."""
    number, now = office.activated(), local("2028-01-01T00:00")

    def look(_: int) -> int:
        with office.work() as session:
            return reminders.queue_due(session, office.desk, now)

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(look, range(4))) == 1
    assert len(owed(office)) == 2
    assert office.said(number).count("license.expired") == 1


def test_what_was_sent_is_in_the_history(office: Office) -> None:
    number = office.activated()
    scan(office, "2027-10-24T09:00")
    issued = office.license_of(number)
    with office.work() as session:
        row = session.get(Reminder, (issued.id, issued.last_day, 7, WEI))
        assert row is not None
        reminders.record_sent(session, MAILER, row, issued, "<m@serviceme.example>", office.now)
    last = office.history(number)[-1]
    assert last.type == "reminder.sent"
    assert WEI in last.payload
    assert steps(office, number, "sent") == [7]


def test_got_it_is_noted_once_and_only_for_a_reminder_there_was(office: Office) -> None:
    number = office.activated()
    scan(office, "2027-10-24T09:00")
    issued = office.license_of(number)
    for hours in (1, 2):
        with office.work() as session:
            row = reminders.acknowledge(session, ADMINISTRATOR, issued.id, 7, WEI, office.now + timedelta(hours=hours))
    assert row.acknowledged_at == office.now + timedelta(hours=1)
    noted = [each for each in office.history(number) if each.type == "reminder.acknowledged"]
    assert [(each.actor_name, json.loads(each.payload)["address"]) for each in noted] == [(ADMINISTRATOR.name, WEI)]
    with office.work() as session, pytest.raises(NotFound):
        reminders.acknowledge(session, ADMINISTRATOR, issued.id, 7, "who@harbourline.example", office.now)


@pytest.mark.parametrize("actor", [APPROVER, AUDITOR, STRANGER], ids=lambda each: each.name)
def test_got_it_is_nothing_for_people_who_were_not_reminded(office: Office, actor: Actor) -> None:
    number = office.activated()
    scan(office, "2027-10-24T09:00")
    with office.work() as session, pytest.raises(MissingRole):
        reminders.acknowledge(session, actor, office.license_of(number).id, 7, WEI, office.now)


def test_a_license_of_five_days_is_not_reminded_of_on_the_day_it_comes(office: Office) -> None:
    office.now = local("2026-11-02T15:00")
    number = office.activated(validity__last_day="2026-11-06")
    scan(office, "2026-11-02T15:01")
    assert steps(office, number) == []
    scan(office, "2026-11-05T09:00")
    scan(office, "2026-11-06T09:00")
    assert steps(office, number) == [1, 0]


def test_an_operator_may_choose_other_days_and_another_hour(office: Office) -> None:
    office.desk = replace(office.desk, reminder_days=(60, 7), reminder_hour=14)
    number = office.activated()
    for text, expected in (
        ("2027-09-01T13:59", []),
        ("2027-09-01T14:00", [60]),
        ("2027-10-24T13:59", [60]),
        ("2027-10-24T14:00", [60, 7]),
    ):
        scan(office, text)
        assert steps(office, number) == expected


def test_a_scan_looks_at_so_many_licenses_and_says_whether_there_are_more(office: Office) -> None:
    for name in ("DEV", "UAT", "PROD"):
        office.issued(environment=name)
    office.now = local("2027-10-24T09:00")
    looked_at = []
    for _ in range(3):
        with office.work() as session:
            looked_at.append(reminders.queue_due(session, office.desk, office.now, limit=2))
    assert looked_at == [2, 1, 0]
    assert len(owed(office)) == 6


# Delivered, and nobody uploads it


def nudges(office: Office, number: str) -> list[str]:
    return [row.payload for row in office.history(number) if row.type == "license.not_activated"]


def test_a_license_nobody_uploaded_is_asked_about_after_three_and_ten_days(office: Office) -> None:
    number = office.delivered()
    for text, asked in (
        ("2026-11-05T16:59", 0),
        ("2026-11-05T17:00", 1),
        ("2026-11-08T12:00", 1),
        ("2026-11-12T17:00", 2),
        ("2026-12-12T17:00", 2),
    ):
        scan(office, text)
        assert len(nudges(office, number)) == asked
    letters = [name for letter, name in office.letters(number) if letter == "not_activated"]
    assert letters == ["Lin Mei", "Lin Mei", "Zhang Wei", "Zhang Wei"]


def test_after_an_outage_one_question_is_enough(office: Office) -> None:
    number = office.delivered()
    scan(office, "2026-11-20T12:00")
    assert len(nudges(office, number)) == 1
    assert '"days":10' in nudges(office, number)[0]


@pytest.mark.parametrize("event", [ReceiptEvent.ACTIVATED, ReceiptEvent.SCHEDULED])
def test_a_license_that_was_uploaded_is_not_asked_about(office: Office, event: ReceiptEvent) -> None:
    number = office.delivered()
    office.confirm()
    office.report(number, event)
    scan(office, "2026-11-20T12:00")
    assert nudges(office, number) == []


def test_a_license_that_was_never_delivered_is_another_worry(office: Office) -> None:
    number = office.issued()
    scan(office, "2026-11-20T12:00")
    assert nudges(office, number) == []
