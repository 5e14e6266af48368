"""Calling a license back: one operator for DEV and UAT, two for PROD; and the list that tells the platforms."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from tests import people
from tests.builders import NOW, Office
from tests.license_file import example
from tests.services.test_every_status import by_the_table, outcomes
from workflow.db.queries import applications, licenses
from workflow.db.queries import revocations as queries
from workflow.db.tables import Application, Revocation
from workflow.domain.application import Action, IllegalMove
from workflow.domain.roles import Actor, MissingRole
from workflow.license_file import (
    REVOCATIONS_TYPE,
    RevocationContent,
    encode_revocations,
    sign_document,
    verify_revocations,
)
from workflow.recipient_keys import MailTrust
from workflow.services import parcels, revocations
from workflow.services.parcels import NothingToSend
from workflow.services.revocations import ReasonNeeded, SecondOperatorNeeded
from workflow.times import wall_now

WHY = "It named one module too many."


def revoke(office: Office, number: str, actor: Actor = people.OPERATOR, reason: str = WHY) -> Revocation:
    with office.work() as session:
        application = applications.get_application(session, number)
        issued = licenses.get_of_application(session, application.id)
        return revocations.revoke(session, actor, application, issued, reason, office.now)


def next_list(office: Office) -> RevocationContent:
    with office.work() as session:
        return revocations.list_to_sign(session, office.now)


def publish(office: Office, content: RevocationContent | None = None) -> RevocationContent:
    content = content or next_list(office)
    raw = sign_document(REVOCATIONS_TYPE, encode_revocations(content), [example.signer("revoker")])
    verified = verify_revocations(raw, example.trust(), office.now)
    with office.work() as session:
        revocations.record_list(session, people.OPERATOR, verified, office.now)
    return content


@pytest.mark.parametrize("environment", ["DEV", "UAT"])
def test_one_operator_revokes_for_a_test_platform(office: Office, environment: str) -> None:
    number = office.issued(environment=environment)
    made = revoke(office, number)
    assert made.confirmed_by_name == "Omar Reyes"
    assert (office.status(number), office.license_of(number).standing) == ("revoked", "revoked")


def test_a_production_license_needs_two_operators(office: Office) -> None:
    number = office.activated()
    assert revoke(office, number).confirmed_at is None
    assert (office.status(number), office.license_of(number).standing) == ("activated", "activated")
    with pytest.raises(SecondOperatorNeeded, match="Another operator"):
        revoke(office, number)
    assert next_list(office).licenses == ()
    made = revoke(office, number, people.SECOND_OPERATOR, "Something else.")
    assert (made.asked_by_name, made.confirmed_by_name, made.reason) == ("Omar Reyes", "Priya Nair", WHY)
    assert (office.status(number), office.license_of(number).standing) == ("revoked", "revoked")
    assert office.said(number)[-2:] == ["license.revocation_asked", "license.revoked"]


@pytest.mark.parametrize("actor", [people.LIAISON, people.APPROVER, people.ADMINISTRATOR, people.AUDITOR, people.STRANGER])
def test_nobody_but_operators_revokes(office: Office, actor: Actor) -> None:
    number = office.issued()
    with pytest.raises(MissingRole):
        revoke(office, number, actor)


def test_in_every_status_it_does_what_the_table_says(office: Office) -> None:
    number = office.issued(environment="UAT")

    def act(session: Session, application: Application) -> None:
        issued = licenses.get_of_application(session, application.id)
        revocations.revoke(session, people.OPERATOR, application, issued, WHY, NOW)

    assert outcomes(office, number, partial(act)) == by_the_table(Action.REVOKE)


def test_a_license_is_revoked_once(office: Office) -> None:
    number = office.issued(environment="UAT")
    revoke(office, number)
    with pytest.raises(IllegalMove):
        revoke(office, number, people.SECOND_OPERATOR)


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 201, "left\u202eright"])
def test_the_reason_is_something_that_every_customer_can_read(office: Office, reason: str) -> None:
    number = office.issued()
    with pytest.raises(ReasonNeeded):
        revoke(office, number, reason=reason)


def test_those_who_have_the_file_are_told_and_it_is_not_sent_any_more(office: Office) -> None:
    number = office.issued(environment="UAT")
    job = office.claim(office.delivery_job(number))
    revoke(office, number)
    assert ("revoked", "Zhang Wei") in office.letters(number)
    assert ("revoked", "Lin Mei") in office.letters(number)
    with office.work() as session:
        (found,) = parcels.parcels_for(session, [job.id], wall_now(), MailTrust(), office.desk.policy).values()
    assert found == NothingToSend("Version 1 is revoked, so it is not sent any more.")
    assert office.license_of(number).next_reminder_at is None


def test_the_list_names_what_is_called_back_and_its_number_rises(office: Office) -> None:
    first = publish(office)
    assert (first.sequence, first.licenses) == (1, ())
    number = office.issued(environment="UAT")
    revoke(office, number)
    second = publish(office)
    issued = office.license_of(number)
    assert second.sequence == 2
    assert [(each.license_id, each.version, each.reason, each.at) for each in second.licenses] == [
        (issued.license_id, issued.version, WHY, NOW)
    ]
    assert second.next_update - second.issued_at == timedelta(days=90)
    with office.work() as session:
        newest = queries.newest_list(session)
        assert newest is not None
        held = verify_revocations(newest.envelope, example.trust(), NOW)
    assert held.reason_against(issued.license_id, issued.version) == WHY.removesuffix(".")


def test_two_lists_at_once_do_not_get_one_number(office: Office) -> None:
    content = next_list(office)
    publish(office, content)
    with pytest.raises(IntegrityError):
        publish(office, content)
