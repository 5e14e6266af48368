"""Deliveries that wait for a person: a recipient changed after the approval, or a policy that wants a key they lack."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import Session, select

from tests import people
from tests.builders import MAILER, NOW, WEI, YU, Office
from tests.mail.test_certificates import certificate_with
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob
from workflow.db.tables import JobRow, Recipient
from workflow.domain.delivery import Channel
from workflow.domain.events import Job, JobState
from workflow.domain.policy import DeliveryRule, Encryption
from workflow.domain.roles import Actor, MissingRole
from workflow.domain.terms import EnvironmentName, TermsRefused
from workflow.recipient_keys import MailTrust
from workflow.services import delivery, parcels, recipients
from workflow.services.parcels import Held, Hold, Parcel, RecipientChanged
from workflow.services.recipients import KeyChangedMeanwhile, SelfConfirmation
from workflow.times import wall_now

LATER = NOW + timedelta(hours=2)
END_TO_END = (DeliveryRule(EnvironmentName.PROD, Encryption.END_TO_END),)


def recipient(session: Session, address: str = WEI) -> Recipient:
    return session.exec(select(Recipient).where(Recipient.address == address)).one()


def new_key(office: Office, actor: Actor = people.LIAISON, at: Any = LATER, address: str = WEI) -> str:
    """A self-signed certificate on file; returns its fingerprint."""
    pem = certificate_with(ec.generate_private_key(ec.SECP256R1()), address=address)
    with office.work() as session:
        row = recipients.change_key(
            session, actor, recipient(session, address).id, pem, trust=MailTrust(), now=at, wall=wall_now()
        )
        return str(row.fingerprint)


def confirm_key(office: Office, fingerprint: str, actor: Actor = people.OPERATOR, address: str = WEI) -> None:
    with office.work() as session:
        recipients.confirm_key(session, actor, recipient(session, address).id, fingerprint, LATER)


def confirm_change(office: Office, actor: Actor, address: str = WEI) -> None:
    with office.work() as session:
        row = recipient(session, address)
        recipients.confirm_change(session, actor, row.id, row.changed_at, LATER)


def look(office: Office, job: ClaimedJob, **policy: Any) -> Any:
    with office.work() as session:
        asked = replace(office.desk.policy, **policy)
        return parcels.parcels_for(session, [job.id], wall_now(), MailTrust(), asked)[job.id]


def held(office: Office, number: str, **policy: Any) -> Held:
    """What the worker does with a delivery that waits."""
    job = office.claim(office.delivery_job(number))
    found = look(office, job, **policy)
    assert isinstance(found, Held)
    with office.work() as session:
        parcels.hold(session, MAILER, job, found, LATER, wall_now())
    return found


def state_of(office: Office, number: str) -> JobState:
    with office.work() as session:
        return JobState(session.exec(select(JobRow.state).where(JobRow.id == office.delivery_job(number))).one())


def test_a_key_changed_after_the_approval_holds_the_delivery_until_somebody_else_confirms_it(office: Office) -> None:
    number = office.issued(recipients=[WEI])
    new_key(office)
    found = held(office, number)
    assert (found.why, "changed after the approval" in found.reason) == (Hold.CHANGED, True)
    assert (office.said(number)[-1], state_of(office, number)) == ("delivery.held", JobState.DEAD)
    letters = [(each.detail, each.recipient) for each in office.jobs(number, Job.LETTER)]
    assert ("needs_attention", people.id_of(people.OPERATOR)) in letters
    assert ("needs_attention", people.id_of(people.LIAISON)) in letters
    confirm_change(office, people.APPROVERS[0])
    assert (office.said(number)[-1], state_of(office, number)) == ("delivery.recipient_confirmed", JobState.PENDING)
    again = look(office, office.claim(office.delivery_job(number)))
    assert isinstance(again, Parcel)
    assert again.to.channel is Channel.PORTAL, "nobody has confirmed the fingerprint"


def test_whoever_confirms_the_fingerprint_has_confirmed_the_change(office: Office) -> None:
    number = office.issued(recipients=[WEI])
    fingerprint = new_key(office)
    held(office, number)
    confirm_key(office, fingerprint)
    again = look(office, office.claim(office.delivery_job(number)))
    assert isinstance(again, Parcel)
    assert (again.to.channel, again.to.fingerprint) == (Channel.SMIME, fingerprint)


def test_nobody_confirms_what_they_changed_themselves(office: Office) -> None:
    number = office.issued(recipients=[WEI])
    fingerprint = new_key(office, people.OPERATOR)
    held(office, number)
    with pytest.raises(SelfConfirmation):
        confirm_change(office, people.OPERATOR)
    confirm_key(office, fingerprint)  # the fingerprint is right, says the operator; the change is for somebody else to confirm
    assert isinstance(look(office, office.claim(office.delivery_job(number))), Held)
    with pytest.raises(MissingRole):
        confirm_change(office, people.LIAISON)


def test_of_two_who_confirm_at_once_one_is_told_that_it_is_done(office: Office) -> None:
    number = office.issued(recipients=[WEI])
    new_key(office)
    held(office, number)
    confirm_change(office, people.APPROVERS[0])
    with pytest.raises(KeyChangedMeanwhile):
        confirm_change(office, people.OPERATOR)
    assert office.said(number).count("delivery.recipient_confirmed") == 1


def test_what_was_looked_at_is_what_gets_confirmed(office: Office) -> None:
    first = new_key(office)
    with office.work() as session:
        seen = recipient(session).changed_at
    new_key(office, at=LATER + timedelta(minutes=1))
    with pytest.raises(KeyChangedMeanwhile):
        confirm_key(office, first)
    with office.work() as session, pytest.raises(KeyChangedMeanwhile):
        recipients.confirm_change(session, people.OPERATOR, recipient(session).id, seen, LATER)


def test_a_key_from_before_the_approval_holds_nothing(office: Office) -> None:
    new_key(office, at=NOW - timedelta(days=1))
    number = office.issued(recipients=[WEI])
    assert isinstance(look(office, office.claim(office.delivery_job(number))), Parcel)


def test_the_same_key_again_is_no_change(office: Office) -> None:
    pem = certificate_with(ec.generate_private_key(ec.SECP256R1()), address=WEI)
    with office.work() as session:
        keep: dict[str, Any] = {"trust": MailTrust(), "wall": wall_now()}
        row = recipients.change_key(session, people.LIAISON, recipient(session).id, pem, now=NOW, **keep)
        recipients.confirm_key(session, people.OPERATOR, row.id, str(row.fingerprint), NOW)
        again = recipients.change_key(session, people.LIAISON, row.id, pem, now=LATER, **keep)
        assert (again.changed_at, again.confirmed_at) == (NOW, NOW)


def test_a_recipient_who_changes_between_reading_and_sending_gets_nothing(office: Office) -> None:
    number = office.issued(recipients=[WEI])
    job = office.claim(office.delivery_job(number))
    parcel = look(office, job)
    built = office.message(number, job, WEI, Channel.PORTAL)
    built = replace(built, to=replace(parcel.to))
    new_key(office)
    with office.work() as session, pytest.raises(RecipientChanged):
        delivery.mark_sending(session, job, None, built, office.now, wall_now())
    with office.work() as session:
        jobs.put_off(session, job, wall_now(), "changed")
    assert isinstance(look(office, job), Held)


def test_an_environment_of_encrypted_files_only_is_never_stepped_down(office: Office) -> None:
    number = office.issued(recipients=[WEI])
    found = held(office, number, delivery=END_TO_END)
    assert found.why is Hold.NO_KEY
    assert found.reason.startswith("The policy lets files for PROD travel encrypted")
    confirm_key(office, new_key(office))
    again = look(office, office.claim(office.delivery_job(number)), delivery=END_TO_END)
    assert again.to.channel is Channel.SMIME


def test_an_application_nobody_can_be_reached_for_is_not_submitted(office: Office) -> None:
    office.desk = replace(office.desk, policy=replace(office.desk.policy, delivery=END_TO_END))
    with pytest.raises(TermsRefused) as refused:
        office.submitted(recipients=[WEI, YU])
    assert [(each.field, each.code) for each in refused.value.problems] == [("recipients", "unreachable")]
    office.submitted(recipients=[WEI], environment="UAT")
    confirm_key(office, new_key(office, at=NOW))
    office.submitted(recipients=[WEI, YU])
