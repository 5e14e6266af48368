"""What a crash around DATA leads to: nothing lost, nothing sent twice, and an honest word where nobody can tell."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from tests.servers import SmtpCatcher
from tests.workers.company import WITH_CERTIFICATE, WITHOUT_CERTIFICATE, Company
from workers import mailing
from workers.claims import perform_in_turn
from workers.delivery import deliver_license, read_parcels
from workflow.database import transaction
from workflow.db import jobs
from workflow.db.tables import Delivery, JobRow, PortalCode
from workflow.domain.events import Job
from workflow.mail.messages import Mailbox
from workflow.mail.outcomes import Accepted, TransportError
from workflow.services import portal
from workflow.settings import InDoubt, SettingUnusable, WorkerSettings, load
from workflow.times import wall_now
from workflow.web.desk.shown.delivery import shown_delivery

BOTH = [WITH_CERTIFICATE, WITHOUT_CERTIFICATE]


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs, not even the handlers of `perform`."""


def issued(company: Company) -> str:
    number = company.apply()
    company.approve(number)
    company.run(Job.SIGN)
    return number


def the_delivery(company: Company) -> Delivery:
    with transaction(company.engine) as session:
        return session.exec(select(Delivery).where(Delivery.kind == "license_delivery")).one()


def kill_when(company: Company, monkeypatch: pytest.MonkeyPatch, *, arrived: bool, kind: Job = Job.DELIVER) -> None:
    """Dies inside the sending: after the mark, and after the server has the message or before."""
    real = company.here.transport.send

    def send(sender: str, recipient: str, message: bytes, *, envelope_id: str | None, before_data: object) -> Accepted:
        if arrived:
            real(sender, recipient, message, envelope_id=envelope_id, before_data=before_data)  # type: ignore[arg-type]
        else:
            Mailbox(recipient)
            before_data()  # type: ignore[operator]
        raise Killed

    monkeypatch.setattr(company.here.transport, "send", send)
    with pytest.raises(Killed):
        company.run(kind)
    monkeypatch.undo()
    end_leases(company)


def end_leases(company: Company) -> None:
    """The time that a killed worker had is over."""
    with transaction(company.engine) as session:
        for row in session.exec(select(JobRow).where(JobRow.state == "running")):
            row.lease_until = row.next_at = wall_now() - timedelta(seconds=1)


def put_into_archive(company: Company, smtp: SmtpCatcher) -> None:
    archive = Path(str(company.here.settings.mail_archive).removeprefix("maildir:"))
    for position, envelope in enumerate(smtp.envelopes):
        assert isinstance(envelope.content, bytes)
        (archive / "new" / f"{position}.desk").write_bytes(envelope.content)


def test_killed_after_the_server_took_it_the_mail_is_found_and_not_sent_again(
    company: Company, smtp: SmtpCatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = issued(company)
    kill_when(company, monkeypatch, arrived=True)
    assert the_delivery(company).state == "sending"
    put_into_archive(company, smtp)
    company.run(Job.DELIVER)
    assert len(smtp.messages) == 1
    assert company.application(number).status == "delivered"
    assert the_delivery(company).resolved_by == "archive"


def test_killed_before_the_server_had_it_the_same_bytes_are_sent(
    company: Company, smtp: SmtpCatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = issued(company)
    kill_when(company, monkeypatch, arrived=False)
    stored = the_delivery(company).mime
    company.run(Job.DELIVER)
    (envelope,) = smtp.envelopes
    assert stored is not None
    assert isinstance(envelope.content, bytes)
    assert envelope.content.rstrip(b"\r\n") == stored.rstrip(b"\r\n")
    assert company.application(number).status == "delivered"


def test_without_an_archive_a_mail_in_doubt_waits_for_an_operator_and_is_shown_as_such(
    company: Company, smtp: SmtpCatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = issued(company)
    kill_when(company, monkeypatch, arrived=True)
    object.__setattr__(company.here.settings, "mail_archive", None)
    company.run(Job.DELIVER)
    assert the_delivery(company).state == "in_doubt"
    (job,) = company.jobs(Job.DELIVER)
    assert job.state == "dead"
    assert len(smtp.messages) == 1
    assert company.application(number).status == "issued"
    with transaction(company.engine) as session:  # the operator presses Retry
        assert jobs.retry(session, job.id, wall_now())
    company.run(Job.DELIVER)
    assert len(smtp.messages) == 2
    assert len({each["Message-ID"] for each in smtp.messages}) == 1
    assert company.application(number).status == "delivered"


def test_what_is_to_be_sent_again_is_and_says_that_it_may_have_arrived_twice(
    company: Company, smtp: SmtpCatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = issued(company)
    kill_when(company, monkeypatch, arrived=True)
    put_into_archive(company, smtp)  # nobody asks it
    object.__setattr__(company.here.settings, "licenses_in_doubt", InDoubt.RESEND)
    company.run(Job.DELIVER)
    assert len(smtp.messages) == 2
    assert smtp.envelopes[0].content == smtp.envelopes[1].content
    assert company.application(number).status == "delivered"
    delivery = the_delivery(company)
    assert (delivery.state, delivery.resolved_by) == ("accepted", "resend")
    (job,) = company.jobs(Job.DELIVER)
    assert shown_delivery(delivery, job, "UTC").under.endswith("may have arrived twice")


def test_what_is_to_be_held_waits_though_there_is_an_archive(
    company: Company, smtp: SmtpCatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued(company)
    kill_when(company, monkeypatch, arrived=True)
    put_into_archive(company, smtp)
    object.__setattr__(company.here.settings, "licenses_in_doubt", InDoubt.HOLD)
    company.run(Job.DELIVER)
    assert the_delivery(company).state == "in_doubt"
    assert len(smtp.messages) == 1


@pytest.mark.parametrize("arrived", [True, False])
def test_a_letter_that_is_not_needed_any_more_does_not_stay_being_sent(
    company: Company, smtp: SmtpCatcher, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    number = company.apply()
    kill_when(company, monkeypatch, arrived=arrived, kind=Job.LETTER)
    put_into_archive(company, smtp)
    company.approve(number)  # nobody would ask for it now
    company.run(Job.LETTER)
    with transaction(company.engine) as session:
        marked = session.exec(select(Delivery).where(Delivery.kind == "approval_requested")).first()
    assert marked is not None
    assert (marked.state, marked.resolved_by) == ("accepted", "archive" if arrived else None)


def test_nothing_can_be_looked_up_without_an_archive() -> None:
    with pytest.raises(SettingUnusable, match="LICDESK_MAIL_ARCHIVE"):
        load(WorkerSettings, {"LICDESK_LETTERS_IN_DOUBT": "verify"})


@pytest.mark.parametrize("choice", [InDoubt.RESEND, InDoubt.HOLD])
def test_letters_go_by_a_rule_of_their_own(
    company: Company, smtp: SmtpCatcher, monkeypatch: pytest.MonkeyPatch, choice: InDoubt
) -> None:
    company.apply()
    object.__setattr__(company.here.settings, "licenses_in_doubt", InDoubt.VERIFY)
    object.__setattr__(company.here.settings, "letters_in_doubt", choice)
    kill_when(company, monkeypatch, arrived=True, kind=Job.LETTER)
    company.run(Job.LETTER)
    assert len(smtp.messages) == (2 if choice is InDoubt.RESEND else 1)
    (letter, *_) = [row for row in company.jobs(Job.LETTER) if row.attempts]
    assert letter.state == ("done" if choice is InDoubt.RESEND else "dead")


@pytest.mark.parametrize("archive", [True, False])
def test_killed_in_the_middle_of_five_no_mail_is_lost_and_only_the_one_on_its_way_is_in_doubt(
    company: Company, smtp: SmtpCatcher, monkeypatch: pytest.MonkeyPatch, archive: bool
) -> None:
    for environment, recipients in (("DEV", BOTH), ("UAT", BOTH), ("PROD", BOTH[:1])):
        company.approve(company.apply(environment=environment, recipients=recipients))
    company.run(Job.SIGN)
    real = company.here.transport.send

    def third_kills(
        sender: str, recipient: str, message: bytes, *, envelope_id: str | None, before_data: Callable[[], None]
    ) -> Accepted:
        accepted = real(sender, recipient, message, envelope_id=envelope_id, before_data=before_data)
        if len(smtp.messages) == 3:
            raise Killed
        return accepted

    monkeypatch.setattr(company.here.transport, "send", third_kills)
    with pytest.raises(Killed):
        deliver_together(company)
    monkeypatch.undo()
    end_leases(company)
    if archive:
        put_into_archive(company, smtp)
    else:
        object.__setattr__(company.here.settings, "mail_archive", None)
    company.run(Job.DELIVER)
    assert sorted(Counter(each["Message-ID"] for each in smtp.messages).values()) == [1] * 5
    states = Counter(job.state for job in company.jobs(Job.DELIVER))
    assert states == ({"done": 5} if archive else {"done": 4, "dead": 1})
    with transaction(company.engine) as session:
        doubtful = session.exec(select(Delivery).where(Delivery.state == "in_doubt")).all()
    assert len(doubtful) == (0 if archive else 1)


def deliver_together(company: Company) -> None:
    """Does what one message with every delivery's id does."""
    perform_in_turn(
        Job.DELIVER,
        [str(job.id) for job in company.jobs(Job.DELIVER)],
        lambda claimed: read_parcels(company.here, claimed),
        lambda job, read: deliver_license(company.here, job, read),
        company.here.claimant,
    )


def test_a_one_time_code_that_the_server_did_not_take_is_sent_later(company: Company, smtp: SmtpCatcher) -> None:
    company.approve(company.apply(recipients=[WITHOUT_CERTIFICATE]))
    company.run(Job.SIGN)
    company.run(Job.DELIVER)
    (link,) = smtp.messages
    token = str(link.get_body(("plain",)).get_content()).split("/d/")[1].split()[0]  # type: ignore[union-attr]
    with transaction(company.web) as session:
        portal.ask_for_code(session, company.here.desk.policy, token, "a browser", now=wall_now(), wall=wall_now())
    smtp.refuse["RCPT"] = "451 4.3.0 try later"
    company.run(Job.PORTAL_CODE)
    smtp.refuse.clear()
    company.run(Job.PORTAL_CODE)
    assert len(smtp.messages) == 2
    with transaction(company.engine) as session:  # and nobody can read it any more
        assert session.exec(select(PortalCode.code)).all() == [None]


def test_a_refused_recipient_is_dead_at_once_and_the_liaison_and_operators_hear_of_it(
    company: Company, smtp: SmtpCatcher
) -> None:
    number = issued(company)
    smtp.refuse["RCPT"] = "550 5.1.1 no such user"
    company.run(Job.DELIVER)
    (job,) = company.jobs(Job.DELIVER)
    assert job.state == "dead"
    assert the_delivery(company).smtp_reply == "5.1.1 no such user"
    assert company.application(number).status == "issued"
    assert len([each for each in company.jobs(Job.LETTER) if each.detail == "needs_attention"]) == 2


def test_a_busy_server_is_tried_again_later(company: Company, smtp: SmtpCatcher) -> None:
    number = issued(company)
    smtp.refuse["DATA"] = "451 4.3.0 try later"
    company.run(Job.DELIVER)
    (job,) = company.jobs(Job.DELIVER)
    assert job.state == "pending"
    assert job.next_at > wall_now()
    assert the_delivery(company).state == "prepared"
    smtp.refuse.clear()
    company.run(Job.DELIVER)
    assert company.application(number).status == "delivered"
    assert len(smtp.messages) == 1


def test_a_worker_whose_lease_was_taken_sends_nothing(
    company: Company, smtp: SmtpCatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued(company)
    real = mailing.encrypted

    def slow(*given: object, **named: object) -> object:
        with transaction(company.engine) as session:
            for row in session.exec(select(JobRow).where(JobRow.state == "running")):
                row.owner = "another worker"
        return real(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(mailing, "encrypted", slow)
    company.run(Job.DELIVER)
    assert smtp.messages == []


def test_the_bytes_on_the_wire_hold_no_license_in_clear(company: Company, smtp: SmtpCatcher) -> None:
    issued(company)
    company.run(Job.DELIVER)
    company.run(Job.LETTER)
    for envelope in smtp.envelopes:
        assert isinstance(envelope.content, bytes)
        assert b"payloadType" not in envelope.content
        assert b"vnd.serviceme.license.v1" not in envelope.content


def test_an_answer_lost_after_data_is_looked_up_before_anything_is_repeated(
    company: Company, smtp: SmtpCatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workflow.mail.outcomes import Failure

    number = issued(company)
    real = company.here.transport.send

    def send(sender: str, recipient: str, message: bytes, *, envelope_id: str | None, before_data: object) -> Accepted:
        real(sender, recipient, message, envelope_id=envelope_id, before_data=before_data)  # type: ignore[arg-type]
        raise TransportError(Failure.OUTCOME_UNKNOWN, 0, "timed out")

    monkeypatch.setattr(company.here.transport, "send", send)
    company.run(Job.DELIVER)
    monkeypatch.undo()
    (job,) = company.jobs(Job.DELIVER)
    assert job.state == "pending"
    put_into_archive(company, smtp)
    company.run(Job.DELIVER)
    assert len(smtp.messages) == 1
    assert company.application(number).status == "delivered"
