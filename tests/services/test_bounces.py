"""What came back changes what it proves and nothing else: once, whoever writes it and however often."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from tests import people
from tests.builders import NOW, WEI, YU, Office
from tests.mail.reports import absence, prose, report
from workflow.db import jobs
from workflow.db.queries import deliveries, ledger
from workflow.db.tables import BounceRow, Delivery, EventRow, JobRow, Recipient, Reminder, Tenant
from workflow.domain.bounces import Outcome, Proof, Tags
from workflow.domain.delivery import Channel
from workflow.mail.bounces import read
from workflow.services import bounces, delivery, reminders
from workflow.times import wall_now

TAGS = Tags("bounce@desk.example", bytes(range(32)))
OTHER_DESK = Tags("bounce@desk.example", bytes(32))


class Sent:
    """A license that was handed over, and what comes back about it."""

    def __init__(
        self, office: Office, *, address: str = WEI, channel: Channel = Channel.SMIME, environment: str = "PROD"
    ) -> None:
        self.office = office
        self.number = office.issued(recipients=[address], environment=environment)
        self.message = office.hand_over(self.number, address, channel=channel)

    @property
    def envelope_id(self) -> str:
        return TAGS.tag(self.message.job)

    @property
    def return_path(self) -> str:
        return TAGS.return_path(self.message.job)

    def comes_back(self, raw: bytes, *addressed_to: str) -> Outcome:
        return come_back(self.office, raw, *addressed_to)

    @property
    def state(self) -> str:
        with self.office.work() as session:
            return deliveries.get_delivery(session, self.message.id).state

    @property
    def told(self) -> list[str]:
        return [name for letter, name in self.office.letters(self.number) if letter == "needs_attention"]

    @property
    def kept(self) -> list[BounceRow]:
        with self.office.work() as session:
            return ledger.bounces_of(session, [self.message.id])[self.message.id]


def come_back(office: Office, raw: bytes, *addressed_to: str) -> Outcome:
    with office.work() as session:
        return bounces.take_in(session, bounces.READER, TAGS, read(raw, addressed_to), office.now)


def everything(office: Office) -> list[str]:
    """All that a bounce could touch."""
    with office.work() as session:
        return [
            *(row.model_dump_json(exclude={"mime"}) for row in session.exec(select(Delivery))),
            *(str(row.id) for row in session.exec(select(EventRow))),
            *(f"{row.id} {row.state}" for row in session.exec(select(JobRow))),
        ]


@pytest.fixture
def sent(office: Office) -> Sent:
    return Sent(office)


# What is proven


def test_a_late_bounce_is_seen_told_and_pulls_no_status_back(sent: Sent) -> None:
    assert sent.office.status(sent.number) == "delivered"
    assert sent.comes_back(report(envelope_id=sent.envelope_id), sent.return_path) is Outcome.BOUNCED
    assert (sent.state, sent.office.status(sent.number)) == ("bounced", "delivered")
    event = sent.office.history(sent.number)[-1]
    assert event.type == "delivery.bounced"
    for word in (WEI, "user unknown", "mx.harbourline.example", '"proof":"envelope"'):
        assert word in event.payload
    assert sent.told == ["Lin Mei", "Omar Reyes", "Priya Nair"]
    assert [(row.verdict, row.proof, row.status) for row in sent.kept] == [("failed", "envelope", "5.1.1")]


def test_the_marked_address_alone_is_proof(sent: Sent) -> None:
    assert sent.comes_back(report(), sent.return_path.upper()) is Outcome.BOUNCED
    assert [row.proof for row in sent.kept] == [Proof.RETURN_PATH]


def test_where_no_envelope_is_known_the_header_names_the_address(sent: Sent) -> None:
    assert sent.comes_back(report(to=f"License Desk <{sent.return_path}>")) is Outcome.BOUNCED


def test_a_bounce_in_prose_counts_when_it_is_about_the_recipient(sent: Sent) -> None:
    assert sent.comes_back(prose(recipient="somebody@else.example"), sent.return_path) is Outcome.DROPPED
    assert sent.state == "accepted"
    assert sent.comes_back(prose(), sent.return_path) is Outcome.BOUNCED


def test_a_delay_is_shown_and_is_no_failure(sent: Sent) -> None:
    delayed = report(envelope_id=sent.envelope_id, action="delayed", status="4.4.1")
    assert sent.comes_back(delayed, sent.return_path) is Outcome.DELAYED
    assert (sent.state, sent.told) == ("accepted", [])
    assert [row.verdict for row in sent.kept] == ["delayed"]
    assert sent.comes_back(report(envelope_id=sent.envelope_id), sent.return_path) is Outcome.BOUNCED


def test_a_link_that_came_back_is_told_as_well(office: Office) -> None:
    sent = Sent(office, address=YU, channel=Channel.PORTAL)
    assert sent.comes_back(report(envelope_id=sent.envelope_id)) is Outcome.BOUNCED
    assert sent.state == "bounced"


def test_a_message_in_doubt_that_comes_back_is_in_doubt_no_more(office: Office) -> None:
    number = office.issued()
    job = office.claim(office.delivery_job(number))
    with office.work() as session:
        delivery.mark_sending(session, job, None, office.message(number, job), NOW, wall_now())
    with office.work() as session:
        delivery.record_in_doubt(session, bounces.READER, job, "The worker stopped.", NOW)
        jobs.bury(session, job, wall_now(), "The worker stopped.")
    assert come_back(office, report(envelope_id=TAGS.tag(job.id))) is Outcome.BOUNCED
    assert office.status(number) == "issued"


def test_a_bounce_quicker_than_the_worker_waits(office: Office) -> None:
    """A mail server may give a message back before its acceptance is written down."""
    number = office.issued()
    job = office.claim(office.delivery_job(number))
    with office.work() as session:
        marked = delivery.mark_sending(session, job, None, office.message(number, job), NOW, wall_now())
    assert come_back(office, report(envelope_id=TAGS.tag(job.id))) is Outcome.LATER
    with office.work() as session:
        jobs.finish(session, job, wall_now())
        delivery.record_accepted(
            session, bounces.READER, office.desk.policy, marked, code=250, reply="ok", resolved_by=None, now=NOW
        )
    assert come_back(office, report(envelope_id=TAGS.tag(job.id))) is Outcome.BOUNCED


def test_after_a_bounce_the_file_can_be_sent_again(sent: Sent) -> None:
    sent.comes_back(report(envelope_id=sent.envelope_id))
    with sent.office.work() as session:
        application = sent.office.application(sent.number)
        recipient = deliveries.license_deliveries(session, application.id)[0].recipient
        delivery.resend(session, people.LIAISON, application, recipient)
    again = sent.office.hand_over(sent.number, round=2)
    assert again.state == "accepted"
    assert sent.comes_back(report(envelope_id=sent.envelope_id, status="5.2.1")) is Outcome.NOTED  # about the first round
    assert (sent.state, again.state) == ("bounced", "accepted")


# What is not


def test_a_message_id_alone_is_a_claim_that_changes_nothing(sent: Sent) -> None:
    before = everything(sent.office)
    assert sent.comes_back(report(message_id=sent.message.message_id)) is Outcome.NOTED
    assert everything(sent.office) == before
    assert [row.proof for row in sent.kept] == [Proof.MESSAGE_ID]


@pytest.mark.parametrize("tags", [OTHER_DESK, Tags("bounce@other.example", TAGS.key)], ids=["other key", "other address"])
def test_a_bounce_of_another_desk_is_dropped(sent: Sent, tags: Tags) -> None:
    before = everything(sent.office)
    envelope_id = tags.tag(sent.message.job) if tags is OTHER_DESK else ""
    assert sent.comes_back(report(envelope_id=envelope_id), tags.return_path(sent.message.job)) is Outcome.DROPPED
    assert everything(sent.office) == before


def test_a_mark_of_no_message_is_dropped(sent: Sent) -> None:
    stranger = UUID("0195f3a2-7c11-7e4d-9b6e-0f5a3c2d1e4f")
    assert sent.comes_back(report(envelope_id=TAGS.tag(stranger)), TAGS.return_path(stranger)) is Outcome.DROPPED


def test_ten_thousand_forged_marks_change_nothing(sent: Sent) -> None:
    before = everything(sent.office)
    token = sent.envelope_id.partition(".")[0]
    forged = read(report(), ["bounce@desk.example"])
    with sent.office.work() as session:
        for guess in range(10_000):
            mark = f"{token}.{guess:016d}".replace("0", "a").replace("1", "b").replace("8", "c").replace("9", "d")
            guessed = replace(forged, envelope_id=mark, addressed_to=(f"bounce+{mark}@desk.example",))
            assert bounces.take_in(session, bounces.READER, TAGS, guessed, NOW) is Outcome.DROPPED
    assert everything(sent.office) == before


def test_an_absence_notice_changes_nothing_and_is_not_kept(sent: Sent) -> None:
    assert sent.comes_back(absence(), sent.return_path) is Outcome.DROPPED
    assert (sent.state, sent.kept) == ("accepted", [])


def test_what_the_server_refused_cannot_come_back(office: Office) -> None:
    number = office.issued()
    job = office.claim(office.delivery_job(number))
    with office.work() as session:
        refused = office.message(number, job)
        delivery.record_refused(session, bounces.READER, job, None, refused, code=550, reply="no", now=NOW)
        jobs.bury(session, job, wall_now(), "550 no")
    before = office.said(number)
    assert come_back(office, report(envelope_id=TAGS.tag(job.id))) is Outcome.NOTED
    assert office.said(number) == before


def test_who_downloaded_the_file_has_it_whatever_comes_back(office: Office) -> None:
    sent = Sent(office, address=YU, channel=Channel.PORTAL)
    with office.work() as session:
        deliveries.get_delivery(session, sent.message.id).downloaded_at = NOW
    assert sent.comes_back(report(envelope_id=sent.envelope_id)) is Outcome.NOTED
    assert (sent.state, sent.told) == ("accepted", [])


# How often


def test_a_report_counts_once_however_often_it_is_sent(sent: Sent) -> None:
    once = report(envelope_id=sent.envelope_id)
    assert sent.comes_back(once) is Outcome.BOUNCED
    after = everything(sent.office)
    for _ in range(5):
        assert sent.comes_back(b"Received: again\r\n" + once) is Outcome.KNOWN
    assert everything(sent.office) == after


def test_a_storm_of_different_reports_tells_once_and_keeps_few(sent: Sent) -> None:
    for each in range(100):
        sent.comes_back(report(envelope_id=sent.envelope_id, diagnostic=f"550 no {each}"))
        sent.comes_back(report(message_id=sent.message.message_id, diagnostic=f"550 claim {each}"))
    assert sent.office.said(sent.number).count("delivery.bounced") == 1
    assert len(sent.told) == 3
    assert len(sent.kept) <= bounces.MOST_PROVEN + bounces.MOST_CLAIMS


def test_only_so_many_are_read_in_an_hour_about_one_message_and_in_a_minute_at_all(sent: Sent) -> None:
    wall = wall_now()
    with sent.office.work() as session:
        about_one = [bounces.admit(session, sent.message.job, wall) for _ in range(bounces.AN_HOUR_FOR_ONE + 1)]
        unmarked = [bounces.admit(session, None, wall) for _ in range(bounces.A_MINUTE_UNMARKED + 1)]
        other = bounces.admit(session, UUID(int=1), wall)
        later = bounces.admit(session, None, wall + timedelta(minutes=2))
    assert about_one == [None] * bounces.AN_HOUR_FOR_ONE + [Outcome.DROPPED]
    assert unmarked == [None] * bounces.A_MINUTE_UNMARKED + [Outcome.LATER]
    assert (other, later) == (None, None)  # a storm without marks keeps no proven bounce out


# Reminders


def test_a_reminder_that_came_back_has_failed_and_the_backup_contact_is_reminded(office: Office) -> None:
    number = office.activated()
    issued = office.license_of(number)
    with office.work() as session:
        tenant = session.exec(select(Tenant)).one()
        office.add_recipient(session, tenant, "Li Na", "li.na@harbourline.example")
        session.exec(select(Recipient).where(Recipient.address == "li.na@harbourline.example")).one().backup = True
    office.now = datetime.combine(issued.last_day, time(9), UTC) - timedelta(days=7)
    with office.work() as session:
        reminders.queue_due(session, office.desk, office.now)
    with office.work() as session:
        row = session.exec(select(Reminder).where(Reminder.recipient == WEI, Reminder.state == "queued")).one()
    assert row.job is not None
    job = office.claim(row.job)
    about: dict[str, Any] = {
        "kind": "expiry_reminder",
        "application": issued.application,
        "issued": None,
        "channel": Channel.SIGNED,
    }
    built = office.message(number, job, WEI, **about)
    with office.work() as session:
        marked = delivery.mark_sending(session, job, None, built, office.now, wall_now())
    with office.work() as session:
        jobs.finish(session, job, wall_now())
        answer: dict[str, Any] = {"code": 250, "reply": "ok", "resolved_by": None}
        delivery.record_accepted(session, bounces.READER, office.desk.policy, marked, **answer, now=office.now)
    assert come_back(office, report(envelope_id=TAGS.tag(job.id))) is Outcome.BOUNCED
    with office.work() as session:
        told = {each.recipient: each for each in session.exec(select(Reminder).where(Reminder.days_ahead == row.days_ahead))}
    assert (told[WEI].state, "user unknown" in str(told[WEI].reason)) == ("failed", True)
    assert told["li.na@harbourline.example"].state == "queued"
    assert office.said(number)[-1] == "reminder.bounced"
    assert "needs_attention" not in [letter for letter, _ in office.letters(number)]
