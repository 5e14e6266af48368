"""Every state × `on_expiry`: what the table in docs/platform.md says is what a gate on a real feed answers."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.console import vendor
from tests.license_gate.published import DAY, Clock, Directory
from workflow.license_file import OnExpiry
from workflow.license_gate import LicenseGate, State

PAGE = Path(__file__).parents[2] / "docs" / "platform.md"
MEANS = {
    # allows_reading, allows, allows_model, allows_new
    "everything": (True, True, True, True),
    "no additions": (True, True, True, False),
    "only reading": (True, False, False, False),
    "nothing": (False, False, False, False),
}
AFTER = {State.ACTIVE: 0 * DAY, State.EXPIRING: 310 * DAY, State.GRACE: 340 * DAY, State.EXPIRED: 360 * DAY}


def cells() -> Iterator[tuple[State, OnExpiry, str]]:
    """The cells of the table, as a reader of the page finds them."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| state |"))
    columns = [OnExpiry(each.strip(" `")) for each in lines[start].strip("|").split("|")[1:]]
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return
        name, *words = (each.strip(" `") for each in line.strip("|").split("|"))
        yield from ((State(name), on_expiry, word) for on_expiry, word in zip(columns, words, strict=True))


CELLS = tuple(cells())


def in_state(directory: Directory, clock: Clock, state: State, on_expiry: OnExpiry) -> None:
    """Publishes what brings a gate into the state."""
    raw = vendor.lic(on_expiry=on_expiry)
    match state:
        case State.NONE:
            directory.publish()
        case State.SCHEDULED:
            directory.publish(following=vendor.lic(on_expiry=on_expiry, starts=DAY))
        case State.REVOKED:
            directory.publish(raw, revocations=vendor.lrl(1, 1))
        case State.INVALID:
            directory.publish(vendor.lic(on_expiry=on_expiry, key="issuer-uat"))
        case _:
            directory.publish(raw)
            clock.now += AFTER[state]


def test_the_table_has_every_cell_once() -> None:
    assert sorted((state, on_expiry) for state, on_expiry, _ in CELLS) == sorted(
        (state, on_expiry) for state in State for on_expiry in OnExpiry
    )


@pytest.mark.parametrize(("state", "on_expiry", "means"), CELLS)
def test_a_gate_answers_what_the_table_says(directory: Directory, state: State, on_expiry: OnExpiry, means: str) -> None:
    clock = Clock()
    in_state(directory, clock, state, on_expiry)
    with directory.gate(clock) as gate:
        assert gate.state is state
        assert answers(gate) == MEANS[means]
        assert not gate.allows("never licensed")
        assert not gate.allows_reading("never licensed")
        assert not gate.allows_model("never licensed")
        licensed = state not in (State.NONE, State.SCHEDULED, State.REVOKED, State.INVALID)
        assert (gate.limit("agents"), gate.limit("users")) == ((80, 500) if licensed else (0, 0))
        assert gate.allows_another("agents", 79) is MEANS[means][3]
        assert not gate.allows_another("agents", 80)
        assert gate.allows_another("users", 500) is MEANS[means][3], "users above the limit are only warned of"


def answers(gate: LicenseGate) -> tuple[bool, bool, bool, bool]:
    """The four questions about something licensed."""
    return gate.allows_reading("agent-studio"), gate.allows("agent-studio"), gate.allows_model("chat"), gate.allows_new()


def test_each_state_begins_at_its_very_instant(directory: Directory) -> None:
    claims = vendor.claims(starts=DAY, lasts=90 * DAY)
    directory.publish(following=vendor.lic(starts=DAY, lasts=90 * DAY))
    clock = Clock()
    moment = timedelta(microseconds=1)
    with directory.gate(clock) as gate:
        for instant, before, after in (
            (claims.valid_from, State.SCHEDULED, State.ACTIVE),
            (claims.valid_until - 30 * DAY, State.ACTIVE, State.EXPIRING),
            (claims.valid_until, State.EXPIRING, State.GRACE),
            (claims.grace_until, State.GRACE, State.EXPIRED),
        ):
            clock.now = instant - moment
            assert gate.state is before
            clock.now = instant
            assert gate.state is after
