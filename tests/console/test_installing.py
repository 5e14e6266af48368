"""Activating and scheduling: one transaction, nobody overwritten, nothing taken away unasked."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from tests.console import vendor
from tests.console.acting import activate, activated, listed, look, staged
from workflow.console import current, install, publishing, receipts, revocation_uploads
from workflow.console.identity import Console
from workflow.console.rounds import Rounds
from workflow.console.said import unpacked
from workflow.console.store import InstalledLicense, OutgoingReceipt, RevocationUpload, Standing
from workflow.database import reading, transaction
from workflow.errors import Conflict
from workflow.license_file import Count, Limit, Over, verify_receipt
from workflow.license_gate import State
from workflow.times import utc_now, wall_now

DAY = timedelta(days=1)


def standings(console: Console) -> dict[int, str]:
    with reading(console.engine) as session:
        return {row.version: row.standing for row in session.exec(select(InstalledLicense))}


def receipt_events(console: Console) -> list[tuple[int, str]]:
    with reading(console.engine) as session:
        rows = session.exec(select(OutgoingReceipt).order_by(OutgoingReceipt.sequence)).all()  # type: ignore[arg-type]
    return [(verify_receipt(row.raw).claims.version, row.event) for row in rows]


def test_the_first_license_is_active_at_once(console: Console) -> None:
    assert look(console).state is State.NONE
    row = activated(console, vendor.lic())
    situation = look(console)
    assert (situation.state, situation.generation) == (State.ACTIVE, 1)
    assert row.raw == situation.current.row.raw  # type: ignore[union-attr]
    assert row.created_by == vendor.ADMIN
    assert receipt_events(console) == [(1, "activated")]


def test_a_newer_one_replaces_it_and_both_stay_in_the_history(console: Console) -> None:
    activated(console, vendor.lic(1))
    activated(console, vendor.lic(2))
    assert standings(console) == {1: Standing.REPLACED, 2: Standing.CURRENT}
    assert look(console).generation == 2


def test_what_is_taken_away_needs_an_acknowledgement(console: Console) -> None:
    activated(console, vendor.lic(1))
    upload = staged(console, vendor.fewer(2))
    with pytest.raises(install.NotAcknowledged):
        activate(console, upload.id, acknowledged=False)
    assert standings(console) == {1: Standing.CURRENT}
    row = activate(console, upload.id)
    assert [unpacked(each) for each in row.acknowledged] == ["Speech models stop working"]


def test_gains_alone_need_none(console: Console) -> None:
    activated(console, vendor.lic(1))
    more = {"agents": Limit(None, Count.TOTAL, Over.BLOCK_NEW), "users": Limit(900, Count.NAMED, Over.WARN)}
    upload = staged(console, vendor.lic(2, limits=more))
    assert activate(console, upload.id, acknowledged=False).acknowledged == []


def test_whoever_is_late_is_told_who_was_quicker_and_nothing_happens(console: Console) -> None:
    activated(console, vendor.lic(1))
    late = staged(console, vendor.lic(3), by=vendor.OTHER_ADMIN)
    seen = look(console).generation
    activated(console, vendor.lic(2))
    with pytest.raises(install.SomeoneWasQuicker, match=rf"{vendor.ADMIN} activated version 2"):
        activate(console, late.id, by=vendor.OTHER_ADMIN, generation=seen)
    assert standings(console) == {1: Standing.REPLACED, 2: Standing.CURRENT}
    activate(console, late.id, by=vendor.OTHER_ADMIN)
    assert standings(console)[3] == Standing.CURRENT


def test_a_second_click_finds_the_work_done(console: Console) -> None:
    upload = staged(console, vendor.lic())
    row = activate(console, upload.id)
    with pytest.raises(install.AlreadyUsed) as again:
        activate(console, upload.id)
    assert again.value.installed_id == row.id
    assert receipt_events(console) == [(1, "activated")]


def test_many_clicks_at_once_make_one_activation(console: Console) -> None:
    upload = staged(console, vendor.lic())

    def click(_: int) -> str:
        try:
            activate(console, upload.id, generation=0)
        except Conflict as conflict:
            return conflict.code
        return "activated"

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(click, range(8)))
    assert sorted(set(results)) == ["activated", "console.already_activated"]
    assert results.count("activated") == 1
    assert look(console).generation == 1


def test_when_the_receipt_cannot_be_signed_nothing_is_installed(console: Console) -> None:
    upload = staged(console, vendor.lic())
    stranger = replace(console, identity=replace(console.identity, installation_id="not an id!"))
    with pytest.raises(Exception, match="id"):
        activate(stranger, upload.id)
    assert standings(console) == {}
    assert look(console).generation == 0


def test_a_later_start_is_scheduled_and_the_running_license_goes_on(console: Console) -> None:
    activated(console, vendor.lic(1))
    row = activated(console, vendor.lic(2, starts=10 * DAY))
    situation = look(console)
    assert (row.standing, row.in_force_at) == (Standing.SCHEDULED, None)
    assert situation.current is not None
    assert situation.next is not None
    assert (situation.current.row.version, situation.next.row.version, situation.generation) == (1, 2, 2)
    assert receipt_events(console) == [(1, "activated"), (2, "scheduled")]


def test_a_scheduled_license_counts_from_its_instant_and_is_written_down_once(console: Console) -> None:
    activated(console, vendor.lic(1))
    activated(console, vendor.lic(2, starts=10 * DAY))
    begins = look(console).next.row.valid_from  # type: ignore[union-attr]
    assert look(console, begins - timedelta(seconds=1)).current.row.version == 1  # type: ignore[union-attr]
    assert look(console, begins).current.row.version == 2  # type: ignore[union-attr]
    for expected in (2, None):
        with transaction(console.engine) as session:
            taken = install.take_over(session, console, begins, wall_now())
        assert (taken.version if taken else None) == expected
    assert standings(console) == {1: Standing.REPLACED, 2: Standing.CURRENT}
    assert receipt_events(console) == [(1, "activated"), (2, "scheduled"), (2, "activated")]
    assert look(console, begins).generation == 3


def test_the_rounds_switch_over_and_publish(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    activated(console, vendor.lic(1))
    row = activated(console, vendor.lic(2, starts=timedelta(seconds=3)))
    rounds = Rounds(console, None)
    rounds.look_after()
    assert (console.published / "next.lic").read_bytes() == row.raw
    monkeypatch.setattr("workflow.console.rounds.utc_now", lambda: row.valid_from)
    rounds.look_after()
    assert (console.published / "current.lic").read_bytes() == row.raw
    assert not (console.published / "next.lic").exists()
    assert publishing.published_generation(console.published) == 3


def test_only_a_scheduled_license_means_nothing_is_allowed_yet(console: Console) -> None:
    activated(console, vendor.lic(1, starts=DAY))
    assert look(console).state is State.SCHEDULED
    assert look(console).claims is None


def test_a_newer_license_drops_the_one_that_waits(console: Console) -> None:
    activated(console, vendor.lic(1))
    activated(console, vendor.lic(2, starts=10 * DAY))
    activated(console, vendor.lic(3))
    assert standings(console) == {1: Standing.REPLACED, 2: Standing.REPLACED, 3: Standing.CURRENT}


def test_a_newer_scheduled_one_replaces_the_one_that_waits(console: Console) -> None:
    activated(console, vendor.lic(1))
    activated(console, vendor.lic(2, starts=10 * DAY))
    activated(console, vendor.lic(3, starts=12 * DAY))
    assert standings(console) == {1: Standing.CURRENT, 2: Standing.REPLACED, 3: Standing.SCHEDULED}


def test_what_has_begun_is_written_down_before_something_replaces_it(console: Console) -> None:
    activated(console, vendor.lic(1))
    activated(console, vendor.lic(2, starts=10 * DAY))
    at = utc_now() + 11 * DAY
    upload = staged(console, vendor.lic(3), now=at)
    activate(console, upload.id, generation=3, now=at)
    assert (2, "activated") in receipt_events(console)
    assert standings(console) == {1: Standing.REPLACED, 2: Standing.REPLACED, 3: Standing.CURRENT}


def test_who_decided_before_a_scheduled_license_began_is_not_told_that_somebody_activated_it(console: Console) -> None:
    activated(console, vendor.lic(1))
    activated(console, vendor.lic(2, starts=10 * DAY))
    at = utc_now() + 11 * DAY
    upload = staged(console, vendor.lic(3), now=at)
    with pytest.raises(install.SomeoneWasQuicker, match=r"^The license in force changed after you opened this page\."):
        activate(console, upload.id, now=at)


def test_a_next_license_that_was_called_back_costs_no_writing_once_its_day_has_come(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    activated(console, vendor.lic(1))
    row = activated(console, vendor.lic(2, starts=10 * DAY))
    assert listed(console, vendor.lrl(1, 2))
    monkeypatch.setattr("workflow.console.rounds.utc_now", lambda: row.valid_from)
    rounds = Rounds(console, None)
    rounds.look_after()
    with transaction(console.engine) as session:
        assert current.row_with(session, Standing.SCHEDULED)  # begun: a round that wants to write would wait in vain
        rounds.look_after()
    assert standings(console) == {1: Standing.CURRENT, 2: Standing.SCHEDULED}


def test_a_license_that_has_begun_is_stopped_for_good_although_no_console_ran_then(console: Console) -> None:
    activated(console, vendor.lic(1))
    activated(console, vendor.lic(2, starts=10 * DAY))
    at = utc_now() + 11 * DAY
    with transaction(console.engine) as session:
        offered = revocation_uploads.take_in(session, console, vendor.lrl(1, 2), "list.lrl", vendor.ADMIN, at, wall_now())
        assert isinstance(offered, RevocationUpload)
    with transaction(console.engine) as session:
        revocation_uploads.confirm(
            session, console, offered.id, vendor.ADMIN, seen_generation=3, acknowledged=True, now=at, wall=wall_now()
        )
    assert look(console, at).state is State.REVOKED
    assert standings(console) == {1: Standing.REPLACED, 2: Standing.CURRENT}
    assert receipt_events(console)[2:] == [(2, "activated"), (2, "deactivated")]


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_a_license_from_the_first_to_the_last_instant_of_the_calendar_is_used_and_followed(console: Console, zone: str) -> None:
    ends = datetime.max.replace(microsecond=0, tzinfo=UTC)
    begins = datetime.min.replace(tzinfo=UTC)
    activated(console, vendor.lic(1, valid_from=begins, valid_until=ends, grace_until=ends, time_zone=zone))
    assert current.summary(look(console))["valid_from"] == "0001-01-01T00:00:00Z"
    assert look(console).state is State.ACTIVE
    activated(console, vendor.lic(2))
    assert standings(console) == {1: Standing.REPLACED, 2: Standing.CURRENT}


def test_a_file_that_was_accepted_stays_accepted_whatever_strangers_wrote_into_it(console: Console) -> None:
    parts = json.loads(vendor.lic())
    # Signatures under unknown keys are ignored; this one would take twice the room if it were written again.
    parts["signatures"].append({"keyid": "安" * 40_000, "sig": "AAAA"})
    activated(console, json.dumps(parts, ensure_ascii=False).encode())
    assert look(console).state is State.ACTIVE


def test_roots_in_a_file_are_stored_on_activation_only(console: Console) -> None:
    second = vendor.root(vendor.root_payload(version=2))
    upload = staged(console, vendor.lic(1, roots=(second,)))
    assert look(console).trust.version == 1
    activate(console, upload.id)
    assert look(console).trust.version == 2


def test_a_license_whose_key_a_newer_root_drops_is_not_trusted_any_more(console: Console) -> None:
    activated(console, vendor.lic(1))
    third = vendor.root(vendor.root_payload(version=2, without=["issuer-prod"]))
    activated(console, vendor.lic(2, starts=10 * DAY, key="issuer-prod-spare", roots=(third,)))
    situation = look(console)
    assert situation.state is State.INVALID
    assert situation.claims is None


def test_receipts_are_signed_by_this_installation_and_chained(console: Console) -> None:
    for version in (1, 2, 3):
        activated(console, vendor.lic(version))
    with reading(console.engine) as session:
        rows = [receipts.get_receipt(session, number) for number in (1, 2, 3)]
    verified = [verify_receipt(row.raw) for row in rows]
    assert [each.claims.previous for each in verified] == [None, verified[0].payload_sha256, verified[1].payload_sha256]
    assert {each.keyid for each in verified} == {console.signer.keyid}
    assert {each.claims.installation.id for each in verified} == {console.identity.installation_id}
