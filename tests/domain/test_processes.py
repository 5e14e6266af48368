"""When the silence of a process means something."""

from datetime import UTC, datetime, timedelta

import pytest

from workflow.domain.processes import LETS_GO_QUIET, ProcessKind, SignOfLife, missing_kinds

WALL = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)


def heard(process: str, seconds: float) -> SignOfLife:
    return SignOfLife(process, WALL - timedelta(seconds=seconds))


@pytest.mark.parametrize("kind", ProcessKind)
def test_a_process_is_silent_once_its_pause_is_too_long(kind: ProcessKind) -> None:
    allowed = LETS_GO_QUIET[kind].total_seconds()
    assert not heard(f"{kind}@host", allowed).is_silent(WALL)
    assert heard(f"{kind}@host", allowed + 1).is_silent(WALL)


def test_one_living_process_of_a_kind_is_enough() -> None:
    everybody = [heard(f"{kind}@a", 3) for kind in ProcessKind]
    assert missing_kinds(everybody, WALL) == ()
    without = [each for each in everybody if each.kind is not ProcessKind.RELAY]
    assert missing_kinds([*without, heard("relay@b", 3600)], WALL) == (ProcessKind.RELAY,)
    assert missing_kinds([], WALL) == tuple(ProcessKind)


def test_a_process_of_another_version_is_nobody_we_miss() -> None:
    assert heard("courier@host", 3).kind is None
    assert not heard("courier@host", 3).is_silent(WALL)
