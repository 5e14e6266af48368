"""What platforms report: believed only from a confirmed installation, applied once, never backwards."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from tests import people
from tests.builders import NOW, Office
from tests.license_file import example
from workflow.database import transaction
from workflow.db.queries import customers, licenses
from workflow.db.tables import Installation as InstallationRow
from workflow.db.tables import Receipt
from workflow.domain.roles import Actor, MissingRole
from workflow.license_file import Environment, Installation, LicenseRefused, ReceiptEvent, verify_receipt
from workflow.services import customers as customer_services
from workflow.services import receipts, reminders

ACTIVATED, SCHEDULED, REFUSED, DEACTIVATED = (
    ReceiptEvent.ACTIVATED,
    ReceiptEvent.SCHEDULED,
    ReceiptEvent.REFUSED,
    ReceiptEvent.DEACTIVATED,
)


def arrive(office: Office, raw: bytes) -> Receipt | None:
    with office.work() as session:
        return receipts.record_receipt(session, raw, office.now)


def kept(office: Office) -> list[Receipt]:
    with office.work() as session:
        return list(session.exec(select(Receipt)))


def installation(office: Office, platform: str = "platform") -> InstallationRow:
    with office.work() as session:
        found = licenses.lock_installation(session, f"inst-{platform}", example.signer(platform).keyid)
        assert found is not None
        return found


def confirm(office: Office, platform: str = "platform", actor: Actor = people.OPERATOR) -> None:
    """An operator compares the fingerprint of an installation that has reported, and says yes."""
    row = installation(office, platform)
    with office.work() as session:
        receipts.confirm_installation(session, actor, row.id, office.now)


# Whom to believe


def test_a_receipt_of_an_unconfirmed_installation_is_kept_and_changes_nothing(office: Office) -> None:
    number = office.delivered()
    received = office.report(number)
    assert received is not None
    assert received.outcome == "waiting"
    assert office.status(number) == "delivered"
    assert office.license_of(number).standing == "issued"
    assert "license.activated" not in office.said(number)


def test_confirming_the_installation_applies_what_waits(office: Office) -> None:
    number = office.delivered()
    office.report(number)
    confirm(office)
    assert office.status(number) == "activated"
    assert office.said(number)[-1] == "license.activated"
    assert [row.outcome for row in kept(office)] == ["applied"]
    row = installation(office)
    assert (row.confirmed_at, row.confirmed_by) == (NOW, people.OPERATOR.person_id)


def test_what_waits_is_applied_in_the_order_of_the_platforms_clock(office: Office) -> None:
    number = office.delivered()
    office.report(number, ACTIVATED, at=NOW + timedelta(hours=2))
    office.report(number, SCHEDULED, at=NOW + timedelta(hours=1))
    confirm(office)
    assert office.said(number)[-2:] == ["license.scheduled", "license.activated"]
    assert [row.outcome for row in kept(office)] == ["applied", "applied"]


def test_confirming_twice_applies_nothing_twice(office: Office) -> None:
    number = office.delivered()
    office.report(number)
    confirm(office)
    confirm(office, actor=people.SECOND_OPERATOR)
    assert office.said(number).count("license.activated") == 1
    assert installation(office).confirmed_by == people.OPERATOR.person_id


@pytest.mark.parametrize(
    "actor",
    [people.LIAISON, people.APPROVER, people.ADMINISTRATOR, people.AUDITOR, people.STRANGER],
    ids=lambda each: each.name,
)
def test_only_operators_confirm_an_installation(office: Office, actor: Actor) -> None:
    number = office.delivered()
    office.report(number)
    with pytest.raises(MissingRole, match="operator"):
        confirm(office, actor=actor)
    assert office.status(number) == "delivered"


def test_the_same_name_with_another_key_is_another_installation(office: Office) -> None:
    """Anyone can write the id of a confirmed installation into a receipt; nobody else has its key."""
    number = office.delivered()
    office.confirm()
    forged = office.receipt(
        number, ACTIVATED, platform="thief", installation=Installation.of("inst-platform", example.signer("thief"))
    )
    received = arrive(office, forged)
    assert received is not None
    assert received.outcome == "waiting"
    assert office.status(number) == "delivered"


def test_a_confirmed_installation_speaks_for_its_own_environment_only(office: Office) -> None:
    """The DEV platform's operator holds the PROD file, too, and reports it as activated."""
    prod = office.delivered()
    office.confirm(environment="DEV")
    office.report(prod)
    assert office.status(prod) == "delivered"


def test_a_confirmed_installation_does_not_speak_for_another_customer(office: Office) -> None:
    with office.work() as session:
        other = customer_services.add_tenant(
            session, people.LIAISON, tenant_id="T-2", company="Other", time_zone="UTC", now=NOW
        )
        office.add_recipient(session, other, "Somebody", "somebody@other.example")
    office.confirm()
    number = office.issued(tenant_id="T-2", recipients=["somebody@other.example"])
    office.report(number, tenant_id="T-2")
    assert office.status(number) == "issued"


# What to believe


def test_bytes_that_are_no_receipt_are_refused(office: Office) -> None:
    number = office.delivered()
    good = office.receipt(number, ACTIVATED)
    for bad in (b"", b"{}", good[:-20], good.replace(b"payload", b"pay1oad"), example.lic()):
        with pytest.raises(LicenseRefused):
            arrive(office, bad)
    assert kept(office) == []


def test_a_receipt_somebody_altered_is_refused(office: Office) -> None:
    number = office.delivered()
    mine = office.receipt(number, ACTIVATED, platform="thief")
    theirs = office.receipt(number, ACTIVATED)
    signature = theirs.split(b'"sig": "')[1].split(b'"')[0]
    own = mine.split(b'"sig": "')[1].split(b'"')[0]
    with pytest.raises(LicenseRefused):
        arrive(office, mine.replace(own, signature))


def test_a_receipt_for_a_file_this_desk_never_issued_is_not_kept(office: Office) -> None:
    number = office.delivered()
    office.confirm()
    wrong: list[dict[str, Any]] = [
        {"payload_sha256": "a" * 64},
        {"version": 2},
        {"license_id": "PROD-00000-00000-00000"},
        {"tenant_id": "T-9"},
        {"environment": Environment.DEV},
    ]
    for changes in wrong:
        assert office.report(number, ACTIVATED, **changes) is None
    assert kept(office) == []
    assert office.status(number) == "delivered"


def test_the_same_receipt_again_changes_nothing(office: Office) -> None:
    number = office.activated()
    version, said = office.application(number).version, office.said(number)
    again = office.report(number)
    assert again is not None
    assert again.outcome == "applied"
    assert (office.application(number).version, office.said(number)) == (version, said)
    assert len(kept(office)) == 1


def test_other_bytes_under_a_known_receipt_id_are_not_kept(office: Office) -> None:
    number = office.activated()
    known = kept(office)[0]
    assert office.report(number, REFUSED, receipt_id=known.receipt_id) is None
    assert [row.event for row in kept(office)] == ["activated"]
    assert office.status(number) == "activated"


# Flooding


def test_strangers_can_fill_in_at_most_five_installations_per_license(office: Office) -> None:
    number = office.delivered()
    received = [office.report(number, platform=f"stranger-{each}") for each in range(7)]
    assert [each is not None for each in received] == [True] * 5 + [False] * 2
    with office.work() as session:
        assert len(session.exec(select(InstallationRow)).all()) == 5


def test_strangers_do_not_keep_a_confirmed_platform_out(office: Office) -> None:
    number = office.delivered()
    for each in range(7):
        office.report(number, platform=f"stranger-{each}")
    office.confirm()
    office.report(number)
    assert office.status(number) == "activated"


def test_one_stranger_can_fill_in_only_so_many_receipts(office: Office) -> None:
    number = office.delivered()
    received = [office.report(number, platform="stranger", receipt_id=f"stranger-{each}") for each in range(22)]
    assert [each is not None for each in received] == [True] * 20 + [False] * 2
    confirm(office, "stranger")
    assert office.report(number, platform="stranger", receipt_id="one-more") is not None


# What it does


def test_a_scheduled_license_waits_for_its_day_without_moving_the_application(office: Office) -> None:
    number = office.delivered(validity__first_day="2026-12-01")
    office.confirm()
    office.report(number, SCHEDULED)
    assert office.status(number) == "delivered"
    assert office.license_of(number).standing == "scheduled"
    assert office.said(number)[-1] == "license.scheduled"
    office.report(number, ACTIVATED)
    assert (office.status(number), office.license_of(number).standing) == ("activated", "activated")


def test_an_administrator_may_be_quicker_than_the_mail_server(office: Office) -> None:
    number = office.issued()
    office.confirm()
    office.report(number)
    assert office.status(number) == "activated"


def test_the_time_of_the_activation_is_the_platforms(office: Office) -> None:
    number = office.delivered()
    office.confirm()
    office.report(number, at=NOW + timedelta(minutes=7))
    assert office.license_of(number).activated_at == NOW + timedelta(minutes=7)
    assert ("activated", "Lin Mei") in office.letters(number)


@pytest.mark.parametrize(
    ("event", "code", "told"),
    [
        (REFUSED, "WRONG_TENANT", "It reports that the license was refused: WRONG_TENANT."),
        (DEACTIVATED, "REVOKED", "It reports that the license was deactivated: REVOKED."),
        (DEACTIVATED, "", "It reports that the license was deactivated."),
    ],
)
def test_a_report_of_trouble_is_evidence_and_moves_nothing(office: Office, event: ReceiptEvent, code: str, told: str) -> None:
    number = office.delivered()
    office.confirm()
    received = office.report(number, event, reason=code)
    assert received is not None
    assert (received.outcome, received.reason) == ("kept", told)
    assert office.said(number)[-1] == "receipt.kept"
    assert office.status(number) == "delivered"


def test_who_hands_a_receipt_in_as_a_file_is_told_once(office: Office) -> None:
    number = office.delivered()
    office.confirm()
    raw = office.receipt(number, ACTIVATED)
    for _ in range(2):
        with office.work() as session:
            assert receipts.hand_in(session, people.LIAISON, raw, office.now) is not None
    told = [row for row in office.history(number) if row.type == "receipt.handed_in"]
    assert [row.actor for row in told] == [people.LIAISON.label]
    by_itself = office.report(number, DEACTIVATED, reason="REVOKED")
    assert by_itself is not None
    with office.work() as session:
        brought = receipts.carriers(session, office.application(number).id)
    assert brought == {verify_receipt(raw).claims.receipt_id: people.LIAISON.name}
    assert office.status(number) == "activated"


def test_the_renewal_supersedes_its_predecessor_in_one_go(office: Office) -> None:
    first = office.activated()
    second = office.renewal_of(first)
    office.vote(second)
    office.sign(second)
    office.report(second)
    assert (office.status(first), office.status(second)) == ("superseded", "activated")
    older = office.license_of(first)
    assert (older.standing, older.superseded_by, older.next_reminder_at) == (
        "superseded",
        office.license_of(second).id,
        None,
    )


def test_a_version_that_was_never_activated_is_superseded_too(office: Office) -> None:
    first = office.delivered()
    second = office.renewal_of(first)
    office.vote(second)
    office.sign(second)
    office.confirm()
    office.report(second)
    assert (office.status(first), office.status(second)) == ("superseded", "activated")


def test_an_older_version_never_comes_back(office: Office) -> None:
    first = office.delivered()
    second = office.renewal_of(first)
    office.vote(second)
    office.sign(second)
    office.confirm()
    office.report(second)
    received = office.report(first)
    assert received is not None
    assert (received.outcome, received.reason) == ("kept", "The application is superseded already.")
    assert (office.status(first), office.status(second)) == ("superseded", "activated")
    assert office.said(first)[-1] == "receipt.kept"


def test_a_receipt_after_the_end_is_kept_as_evidence(office: Office) -> None:
    number = office.delivered()
    office.confirm()
    with office.work() as session:
        reminders.queue_due(session, office.desk, NOW + timedelta(days=500))
    assert office.status(number) == "expired"
    received = office.report(number)
    assert received is not None
    assert received.outcome == "kept"
    assert office.status(number) == "expired"


def test_a_second_installation_that_activates_the_same_file_is_kept_as_evidence(office: Office) -> None:
    number = office.activated()
    office.confirm("twin")
    received = office.report(number, platform="twin")
    assert received is not None
    assert received.outcome == "kept"
    assert office.said(number).count("license.activated") == 1


def test_a_receipt_that_arrives_while_its_installation_is_confirmed_does_not_wait_for_ever(office: Office) -> None:
    number = office.delivered()
    office.report(number, SCHEDULED)
    row, late = installation(office), office.receipt(number, ACTIVATED, at=NOW + timedelta(minutes=1))
    stored = threading.Event()

    def confirm_now(engine: Engine) -> None:
        stored.wait(10)
        with transaction(engine) as session:
            receipts.confirm_installation(session, people.OPERATOR, row.id, NOW)

    other = threading.Thread(target=confirm_now, args=(office.engine,))
    other.start()
    with office.work() as session:
        receipts.record_receipt(session, late, NOW)
        stored.set()
        other.join(0.5)  # the confirmation must wait for this transaction, or it does not see the receipt
    other.join(10)
    assert {each.outcome for each in kept(office)} == {"applied"}
    assert office.status(number) == "activated"


def test_the_set_up_of_one_machine_vouches_for_its_own_platform(office: Office) -> None:
    with office.work() as session:
        tenant = customers.get_tenant(session, "T-20817")
        found = customers.find_environment(session, tenant.id, "PROD", "")
        assert found is not None
        for _ in range(2):
            receipts.expect_installation(session, people.OPERATOR, found.id, "inst-1", "a" * 64, NOW)
    with office.work() as session:
        (row,) = session.exec(select(InstallationRow)).all()
    assert row.confirmed_at == NOW
    assert row.confirmed_by == people.OPERATOR.person_id
