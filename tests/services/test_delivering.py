"""Handing a license over: the first acceptance counts, a late one pulls nothing back, and nothing is ever sent in clear."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from tests import people
from tests.builders import MAILER, NOW, WEI, YU, Office
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob
from workflow.db.queries import applications, deliveries, ledger
from workflow.db.tables import Delivery, PortalLink, Recipient
from workflow.domain.delivery import Channel
from workflow.domain.events import Job
from workflow.domain.policy import DeliveryRule, Policy
from workflow.domain.roles import Actor, MissingRole
from workflow.domain.terms import EnvironmentName
from workflow.errors import NotFound
from workflow.mail.demo_keys import DemoFiles, write_demo_keys
from workflow.recipient_keys import MailTrust
from workflow.services import customers as customer_services
from workflow.services import delivery, parcels, recipients
from workflow.services.delivery import StillOnItsWay
from workflow.services.parcels import Held, NothingToSend, Parcel
from workflow.services.secrets import hash_of
from workflow.times import wall_now


def recipient_of(session: Session, address: str = WEI) -> Recipient:
    return session.exec(select(Recipient).where(Recipient.address == address)).one()


NOBODY = MailTrust()


def parcel(office: Office, job: ClaimedJob, trust: MailTrust = NOBODY) -> Parcel:
    found = parcel_or_reason(office, job, trust)
    assert isinstance(found, Parcel)
    return found


def parcel_or_reason(
    office: Office, job: ClaimedJob, trust: MailTrust = NOBODY, policy: Policy | None = None
) -> Parcel | Held | NothingToSend:
    with office.work() as session:
        return parcels.parcels_for(session, [job.id], wall_now(), trust, policy or office.desk.policy)[job.id]


def refuse(office: Office, number: str, address: str = WEI) -> None:
    """The mail server says no for good."""
    job = office.claim(office.delivery_job(number, address))
    built = office.message(number, job, address)
    with office.work() as session:
        stored = deliveries.find_by_job(session, job.id)
        delivery.record_refused(session, MAILER, job, stored, built, code=550, reply="5.1.1 no such user", now=office.now)
        jobs.bury(session, job, wall_now(), "550 5.1.1 no such user")


def again(office: Office, number: str, address: str = WEI, actor: Actor = people.LIAISON) -> None:
    with office.work() as session:
        application = applications.get_application(session, number)
        delivery.resend(session, actor, application, recipient_of(session, address))


# What became of a message


def test_the_first_acceptance_delivers_the_license_and_tells_the_liaison(office: Office) -> None:
    number = office.issued(recipients=[WEI, YU])
    office.hand_over(number, WEI)
    assert office.status(number) == "delivered"
    assert office.license_of(number).delivered_at == NOW
    assert office.letters(number)[-1] == ("delivered", "Lin Mei")


def test_every_later_acceptance_is_in_the_history_and_moves_nothing(office: Office) -> None:
    number = office.issued(recipients=[WEI, YU])
    office.hand_over(number, WEI)
    version = office.application(number).version
    office.now += timedelta(hours=1)
    office.hand_over(number, YU)
    said = office.said(number)
    assert (said.count("delivery.accepted"), said.count("license.delivered")) == (2, 1)
    assert office.application(number).version == version
    assert office.license_of(number).delivered_at == NOW


def test_a_late_acceptance_never_pulls_an_activated_license_back(office: Office) -> None:
    number = office.issued(recipients=[WEI, YU])
    office.confirm()
    office.report(number)  # an administrator got the file some other way and was quicker
    office.hand_over(number, WEI)
    assert office.status(number) == "activated"
    assert office.said(number)[-1] == "delivery.accepted"
    assert "license.delivered" not in office.said(number)


def test_an_accepted_link_is_not_the_file(office: Office) -> None:
    number = office.issued(recipients=[YU])
    office.hand_over(number, YU, channel=Channel.PORTAL)
    assert office.status(number) == "issued"
    assert office.said(number)[-1] == "delivery.accepted"


def test_the_answer_of_the_mail_server_is_kept_with_the_message(office: Office) -> None:
    number = office.issued()
    kept = office.hand_over(number)
    assert (kept.state, kept.smtp_code, kept.smtp_reply, kept.sent_at) == ("accepted", 250, "2.0.0 accepted", NOW)
    accepted = office.history(number)[-2]
    for word in (WEI, "smime", "250 2.0.0 accepted", kept.message_id):
        assert word in accepted.payload


def test_a_refusal_is_shown_and_told_to_those_who_can_help_and_moves_nothing(office: Office) -> None:
    number = office.issued()
    refuse(office, number)
    assert office.status(number) == "issued"
    failed = office.history(number)[-1]
    assert failed.type == "delivery.failed"
    assert "550 5.1.1 no such user" in failed.payload
    told = [name for letter, name in office.letters(number) if letter == "needs_attention"]
    assert told == ["Lin Mei", "Omar Reyes", "Priya Nair"]
    with office.work() as session:
        (state,) = deliveries.license_deliveries(session, office.application(number).id)
    assert (state.job.state, state.delivery.state if state.delivery else None) == ("dead", "refused")


def test_before_the_mark_nothing_was_sent_and_the_message_is_built_anew(office: Office) -> None:
    number = office.issued()
    job = office.claim(office.delivery_job(number))
    built = office.message(number, job)
    with office.work() as session:
        delivery.note_not_sent(session, job, None, built, 451, "4.3.0 busy", NOW)
    with office.work() as session:
        stored = deliveries.find_by_job(session, job.id)
    assert stored is not None
    assert (stored.state, stored.data_started_at, stored.smtp_reply) == ("prepared", None, "4.3.0 busy")
    fresh = replace(built, mime=b"built anew")
    with office.work() as session:
        marked = delivery.mark_sending(session, job, stored, fresh, NOW, wall_now())
    assert (marked.state, marked.mime, marked.smtp_reply) == ("sending", b"built anew", None)
    assert marked.data_started_at is not None
    with office.work() as session:
        assert len(session.exec(select(Delivery)).all()) == 1


def test_a_message_in_doubt_waits_for_an_operator_with_its_bytes(office: Office) -> None:
    number = office.issued()
    job = office.claim(office.delivery_job(number))
    built = office.message(number, job)
    with office.work() as session:
        delivery.mark_sending(session, job, None, built, NOW, wall_now())
    with office.work() as session:
        delivery.record_in_doubt(session, MAILER, job, "The worker stopped.", NOW)
        stored = deliveries.find_by_job(session, job.id)
    assert stored is not None
    assert (stored.state, stored.mime) == ("in_doubt", built.mime)
    assert "needs_attention" in [letter for letter, _ in office.letters(number)]
    assert office.status(number) == "issued"


# To whom and how


@pytest.fixture(scope="module")
def mail_keys(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    """A mail authority and a certificate for one recipient."""
    home: Path = tmp_path_factory.mktemp("mail-keys")
    return write_demo_keys(
        home / "desk", home / "inbox", recipients=[WEI], signer_address="desk@serviceme.example", now=datetime.now(UTC)
    )


def certify(office: Office, keys: DemoFiles) -> MailTrust:
    """Puts the recipient's certificate on file; returns whom to trust."""
    trust = MailTrust((keys.authority.read_bytes(),))
    with office.work() as session:
        recipients.change_key(
            session,
            people.LIAISON,
            recipient_of(session, WEI).id,
            keys.recipients[WEI].read_bytes(),
            trust=trust,
            now=NOW,
            wall=wall_now(),
        )
    return trust


def test_who_has_a_good_certificate_gets_the_file_and_who_has_none_a_link(office: Office, mail_keys: DemoFiles) -> None:
    trust = certify(office, mail_keys)
    number = office.issued(recipients=[WEI, YU])
    wei = parcel(office, office.claim(office.delivery_job(number, WEI)), trust)
    yu = parcel(office, office.claim(office.delivery_job(number, YU)), trust)
    assert (wei.to.channel, wei.to.encrypts_to is not None) == (Channel.SMIME, True)
    with office.work() as session:
        assert wei.to.fingerprint == recipient_of(session).fingerprint
    assert (yu.to.channel, yu.to.encrypts_to) == (Channel.PORTAL, None)


def test_a_certificate_that_is_not_trusted_any_more_means_a_link_never_plain_mail(
    office: Office, mail_keys: DemoFiles, tmp_path: Path
) -> None:
    certify(office, mail_keys)
    other = write_demo_keys(
        tmp_path / "desk", tmp_path / "inbox", recipients=[], signer_address="x@y.example", now=datetime.now(UTC)
    )
    number = office.issued()
    job = office.claim(office.delivery_job(number))
    sent = parcel(office, job, MailTrust((other.authority.read_bytes(),)))
    assert (sent.to.channel, sent.to.encrypts_to) == (Channel.PORTAL, None)


def test_a_certificate_that_has_ended_means_a_link(office: Office, mail_keys: DemoFiles) -> None:
    trust = certify(office, mail_keys)
    with office.work() as session:
        person = recipient_of(session)
    later = wall_now() + timedelta(days=40 * 365)
    assert parcels.addressee_for(person, wall_now(), trust).channel == Channel.SMIME
    assert parcels.addressee_for(person, later, trust).channel == Channel.PORTAL


def test_a_superseded_license_is_skipped(office: Office) -> None:
    first = office.issued(recipients=[WEI, YU])
    office.hand_over(first, WEI)
    late = office.claim(office.delivery_job(first, YU))
    second = office.renewal_of(first)
    office.vote(second)
    office.sign(second)
    office.confirm()
    office.report(second)
    assert parcel_or_reason(office, late) == NothingToSend("Version 1 is superseded, so it is not sent any more.")


def test_a_removed_recipient_is_skipped(office: Office) -> None:
    number = office.issued()
    job = office.claim(office.delivery_job(number))
    with office.work() as session:
        recipients.remove_recipient(session, people.LIAISON, recipient_of(session, WEI).id, NOW)
    assert parcel_or_reason(office, job) == NothingToSend(f"{WEI} was removed from the recipients.")


# Sending again


def test_a_second_round_is_a_new_message(office: Office) -> None:
    number = office.issued()
    refuse(office, number)
    again(office, number)
    job = office.claim(office.delivery_job(number))
    assert parcel(office, job).round == 2
    built = office.message(number, job, round=2)
    with office.work() as session:
        delivery.mark_sending(session, job, None, built, NOW, wall_now())
    with office.work() as session:
        assert sorted(row.round for row in session.exec(select(Delivery))) == [1, 2]


def test_a_round_that_is_still_on_its_way_is_not_doubled(office: Office) -> None:
    number = office.issued()
    with pytest.raises(StillOnItsWay, match=f"on its way to {WEI} already"):
        again(office, number)
    office.claim(office.delivery_job(number))
    with pytest.raises(StillOnItsWay):
        again(office, number)
    assert len(office.jobs(number, Job.DELIVER)) == 1


def test_who_presses_again_gets_a_new_round_even_if_the_last_one_died_before_it_built_a_message(office: Office) -> None:
    number = office.issued()
    for round_number in (1, 2, 3):
        assert len(office.jobs(number, Job.DELIVER)) == round_number
        job = office.claim(office.delivery_job(number))
        with office.work() as session:
            jobs.bury(session, job, wall_now(), "the certificate could not be read")
        again(office, number)
    assert len(office.jobs(number, Job.DELIVER)) == 4


def test_a_recipient_added_later_gets_the_file_on_request(office: Office) -> None:
    number = office.delivered()
    again(office, number, YU)
    office.hand_over(number, YU)
    assert office.said(number).count("delivery.accepted") == 2


@pytest.mark.parametrize("actor", [people.APPROVER, people.AUDITOR, people.STRANGER], ids=lambda each: each.name)
def test_only_those_who_may_have_the_file_send_it_again(office: Office, actor: Actor) -> None:
    number = office.delivered()
    with pytest.raises(MissingRole):
        again(office, number, actor=actor)


def test_a_recipient_of_another_customer_never_gets_this_file(office: Office) -> None:
    number = office.delivered()
    with office.work() as session:
        other = customer_services.add_tenant(
            session, people.LIAISON, tenant_id="T-2", company="Other", time_zone="UTC", now=NOW
        )
        office.add_recipient(session, other, "Somebody", "somebody@other.example")
    with pytest.raises(NotFound, match="is not a recipient of Harbourline"):
        again(office, number, "somebody@other.example")
    assert len(office.jobs(number, Job.DELIVER)) == 1


def test_a_recipient_who_was_removed_gets_no_new_round(office: Office) -> None:
    number = office.delivered()
    with office.work() as session:
        recipients.remove_recipient(session, people.LIAISON, recipient_of(session).id, NOW)
    with pytest.raises(NotFound):
        again(office, number)


def test_a_link_is_kept_as_a_hash_and_ends_after_three_days(office: Office) -> None:
    number = office.issued(recipients=[YU])
    job = office.claim(office.delivery_job(number, YU))
    built = office.message(number, job, YU, Channel.PORTAL, portal_token="the-token")
    wall = wall_now()
    with office.work() as session:
        delivery.mark_sending(session, job, None, built, NOW, wall)
    with office.work() as session:
        link = session.exec(select(PortalLink)).one()
    assert link.token_hash == hash_of("the-token")
    assert link.ends_at == wall + timedelta(hours=72)


def test_a_download_by_the_desk_is_in_the_history_and_delivers_nothing(office: Office) -> None:
    number = office.issued()
    with office.work() as session:
        application = applications.get_application(session, number)
        delivery.record_download(session, people.LIAISON, office.desk.policy, application, "desk", NOW)
    assert office.said(number)[-1] == "license.downloaded"
    assert office.status(number) == "issued"


# How many have to have it


def wants(office: Office, delivered_when: int | None) -> None:
    terms = DeliveryRule(EnvironmentName.PROD, delivered_when=delivered_when)
    office.desk = replace(office.desk, policy=replace(office.desk.policy, delivery=(terms,)))


def test_where_the_policy_wants_all_the_last_one_delivers(office: Office) -> None:
    wants(office, None)
    number = office.issued(recipients=[WEI, YU])
    office.hand_over(number, WEI)
    assert office.status(number) == "issued"
    assert office.said(number)[-1] == "delivery.accepted"
    office.hand_over(number, YU)
    assert office.status(number) == "delivered"
    assert office.said(number)[-1] == "license.delivered"


def test_a_link_that_was_accepted_is_not_the_file_for_the_count_either(office: Office) -> None:
    wants(office, None)
    number = office.issued(recipients=[WEI, YU])
    office.hand_over(number, YU, channel=Channel.PORTAL)
    office.hand_over(number, WEI)
    assert office.status(number) == "issued"


def test_more_than_there_are_means_all(office: Office) -> None:
    wants(office, 5)
    number = office.issued(recipients=[WEI])
    office.hand_over(number, WEI)
    assert office.status(number) == "delivered"


def test_who_was_removed_is_not_waited_for(office: Office) -> None:
    wants(office, None)
    number = office.issued(recipients=[WEI, YU])
    with office.work() as session:
        recipients.remove_recipient(session, people.LIAISON, recipient_of(session, YU).id, NOW)
    office.hand_over(number, WEI)
    assert office.status(number) == "delivered"


def test_a_message_that_came_back_does_not_count(office: Office) -> None:
    wants(office, None)
    number = office.issued(recipients=[WEI, YU])
    message = office.hand_over(number, WEI)
    with office.work() as session:
        deliveries.get_delivery(session, message.id).state = "bounced"
    office.hand_over(number, YU)
    assert office.status(number) == "issued"


def test_two_who_get_it_at_one_moment_both_count(office: Office) -> None:
    wants(office, None)
    number = office.issued(recipients=[WEI, YU])
    marked = []
    for address in (WEI, YU):
        job = office.claim(office.delivery_job(number, address))
        with office.work() as session:
            marked.append(
                (job, delivery.mark_sending(session, job, None, office.message(number, job, address), NOW, wall_now()))
            )

    def accept(each: tuple[ClaimedJob, Delivery]) -> None:
        with office.work() as session:
            jobs.finish(session, each[0], wall_now())
            answer: dict[str, Any] = {"code": 250, "reply": "ok", "resolved_by": None}
            delivery.record_accepted(session, MAILER, office.desk.policy, each[1], **answer, now=NOW)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(accept, marked))
    assert office.status(number) == "delivered"
    assert office.said(number).count("license.delivered") == 1


# The ledger


def test_every_attempt_is_written_down_once(office: Office) -> None:
    number = office.issued()
    job = office.claim(office.delivery_job(number))
    built = office.message(number, job)
    with office.work() as session:
        delivery.note_not_sent(session, job, None, built, 451, "4.3.0 busy", NOW)
    with office.work() as session:
        stored = deliveries.find_by_job(session, job.id)
        marked = delivery.mark_sending(session, job, stored, built, NOW, wall_now())
    for _ in range(2):  # a worker that died writes nothing down: whoever takes the message up does
        with office.work() as session:
            delivery.note_unanswered(session, marked, "no answer", NOW)
    with office.work() as session:
        again = delivery.mark_sending(session, job, marked, built, NOW, wall_now())
    with office.work() as session:
        answer: dict[str, Any] = {"code": 250, "reply": "ok", "resolved_by": "resend"}
        delivery.record_accepted(session, MAILER, office.desk.policy, again, **answer, now=NOW)
    with office.work() as session:
        attempts = ledger.attempts_of(session, [marked.id])[marked.id]
    assert [(each.result, each.smtp_code, each.channel) for each in attempts] == [
        ("put_off", 451, "smime"),
        ("unanswered", None, "smime"),
        ("accepted", 250, "smime"),
    ]
