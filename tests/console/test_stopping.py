"""A revocation list that stops a license here: the desk is told by a receipt, once, and only of what counted."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from tests.console import vendor
from tests.console.acting import activated, listed, look
from workflow.console.identity import Console
from workflow.console.store import OutgoingReceipt
from workflow.database import reading
from workflow.license_file import ReceiptClaims, ReceiptEvent, verify_receipt
from workflow.license_gate import State

LATER = timedelta(days=10)


def told(console: Console) -> list[ReceiptClaims]:
    """What the outbox says, in the order of its chain; each receipt names the one before."""
    with reading(console.engine) as session:
        rows = session.exec(select(OutgoingReceipt).order_by(col(OutgoingReceipt.sequence))).all()
    verified = [verify_receipt(row.raw) for row in rows]
    assert [each.claims.previous for each in verified] == [None, *(each.payload_sha256 for each in verified[:-1])]
    assert all(row.state == "waiting" for row in rows)
    return [each.claims for each in verified]


def events(console: Console) -> list[tuple[str, int, str]]:
    return [(each.event.value, each.version, each.reason) for each in told(console)]


def test_a_list_that_stops_the_license_in_force_leaves_a_receipt(console: Console) -> None:
    row = activated(console, vendor.lic())
    assert listed(console, vendor.lrl(1, 1))
    assert look(console).state is State.REVOKED
    assert events(console) == [("activated", 1, ""), ("deactivated", 1, "REVOKED")]
    receipt = told(console)[-1]
    assert receipt.event is ReceiptEvent.DEACTIVATED
    assert (receipt.payload_sha256, receipt.revocation_sequence) == (row.payload_sha256, 1)


def test_it_is_told_once_also_when_later_lists_name_the_license_again(console: Console) -> None:
    activated(console, vendor.lic())
    for sequence in (1, 2, 3):
        assert listed(console, vendor.lrl(sequence, 1))
    assert events(console) == [("activated", 1, ""), ("deactivated", 1, "REVOKED")]


def test_a_list_that_stops_nothing_here_leaves_none(console: Console) -> None:
    activated(console, vendor.lic(2))
    assert listed(console, vendor.lrl(1, 1, 9))
    assert look(console).state is State.ACTIVE
    assert events(console) == [("activated", 2, "")]


def test_a_floor_stops_what_is_below_it(console: Console) -> None:
    activated(console, vendor.lic(2))
    assert listed(console, vendor.lrl(1, below=3))
    assert events(console)[-1] == ("deactivated", 2, "REVOKED")


@pytest.mark.parametrize(
    ("named", "stopped"), [((1,), [1]), ((2,), [2]), ((1, 2), [1, 2])], ids=["in force", "scheduled", "both"]
)
def test_a_scheduled_license_that_will_not_take_over_is_told_of_like_the_one_in_force(
    console: Console, named: tuple[int, ...], stopped: list[int]
) -> None:
    activated(console, vendor.lic())
    activated(console, vendor.lic(2, starts=LATER))
    assert listed(console, vendor.lrl(1, *named))
    assert events(console) == [
        ("activated", 1, ""),
        ("scheduled", 2, ""),
        *(("deactivated", version, "REVOKED") for version in stopped),
    ]


def test_a_list_inside_a_license_for_later_stops_the_one_in_force_at_once(console: Console) -> None:
    activated(console, vendor.lic())
    activated(console, vendor.lic(2, revocations=vendor.lrl(1, 1), starts=LATER))
    assert look(console).state is State.REVOKED
    assert events(console) == [("activated", 1, ""), ("deactivated", 1, "REVOKED"), ("scheduled", 2, "")]


def test_a_license_that_is_replaced_in_the_same_moment_is_told_of_by_its_successor(console: Console) -> None:
    activated(console, vendor.lic())
    activated(console, vendor.lic(2, revocations=vendor.lrl(1, 1)))
    assert look(console).state is State.ACTIVE
    assert events(console) == [("activated", 1, ""), ("activated", 2, "")]
