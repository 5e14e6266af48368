"""The preview's comparison: every term, and everything that is taken away."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.console import vendor
from workflow.console import changes
from workflow.license_file import (
    Count,
    LicenseClaims,
    Licensee,
    Limit,
    Module,
    OnExpiry,
    Over,
    Restriction,
    Term,
    losses,
    title,
)
from workflow.times import utc_now

BASE = vendor.claims()
NOW = utc_now()
SOON = BASE.valid_from + timedelta(days=60)


def changed(**other: Any) -> LicenseClaims:
    return replace(BASE, **other)


def limits(agents: Limit) -> dict[str, Limit]:
    return {**BASE.limits, "agents": agents}


def lost(before: LicenseClaims, after: LicenseClaims) -> list[str]:
    return [each.text for each in losses(before, after, NOW)]


LOSSES = [
    ({"modules": BASE.modules[:-1]}, "Workflow stops working"),
    ({"modules": (Module("agent-studio", SOON), *BASE.modules[1:])}, "Agent Studio ends earlier than before"),
    ({"model_types": BASE.model_types[:-1]}, "Speech models stop working"),
    ({"limits": limits(Limit(79, Count.TOTAL, Over.BLOCK_NEW))}, "At most 79 agents are allowed, until now 80"),
    (
        {"limits": {**BASE.limits, "users": Limit(500, Count.NAMED, Over.BLOCK_NEW)}},
        "New users are refused above the limit, until now there was a warning",
    ),
    ({"limits": {**BASE.limits, "users": Limit(500, Count.CONCURRENT, Over.WARN)}}, "Users are counted in another way"),
    ({"restrictions": (Restriction("internal", "Own staff only."),)}, "A new restriction applies: Own staff only."),
    ({"valid_until": BASE.valid_until - timedelta(days=10)}, "The license ends 10 days earlier"),
    ({"valid_until": BASE.valid_until - timedelta(seconds=2)}, "The license ends some hours earlier"),
    ({"grace_until": BASE.valid_until}, "The days of grace after the end go down to 0"),
    ({"on_expiry": OnExpiry.READ_ONLY}, "More is switched off after the license ends"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "text"), LOSSES)
def test_what_is_taken_away_is_named_and_only_that(change: dict[str, Any], text: str) -> None:
    assert lost(BASE, changed(**change)) == [text]


def test_an_unlimited_maximum_that_gets_a_number_is_a_loss() -> None:
    unlimited = changed(limits=limits(Limit(None, Count.TOTAL, Over.BLOCK_NEW)))
    assert lost(unlimited, BASE) == ["At most 80 agents are allowed, until now without limit"]
    assert lost(BASE, unlimited) == []


def test_the_first_license_takes_nothing_away() -> None:
    assert losses(None, changed(restrictions=(Restriction("a", "b"),)), NOW) == ()


def test_a_module_that_has_ended_cannot_be_lost() -> None:
    ended = changed(modules=(*BASE.modules, Module("old", vendor.whole(NOW - timedelta(days=1)))))
    assert lost(ended, BASE) == []


def test_changed_terms_come_first_and_every_term_is_there() -> None:
    compared = changes.between(BASE, changed(licensee=Licensee(vendor.TENANT, "New Name Ltd.")), NOW)
    assert compared[0].term is Term.COMPANY
    assert {each.term for each in compared} == set(Term)
    assert [each.is_changed for each in compared] == [True] + [False] * (len(Term) - 1)


@pytest.mark.parametrize(("later", "days"), [(-1, 0), (0, 0), (1, 1), (86_400, 1), (86_401, 2)])
def test_a_gap_between_two_licenses_is_counted_in_begun_days(later: int, days: int) -> None:
    assert changes.gap_days(BASE, changed(valid_from=BASE.valid_until + timedelta(seconds=later))) == days


@pytest.mark.parametrize(("code", "words"), [("agent-studio", "Agent Studio"), ("api-access", "API Access"), ("chat", "Chat")])
def test_codes_are_shown_as_titles(code: str, words: str) -> None:
    assert title(code) == words
