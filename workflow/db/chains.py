"""Whether a chain of events holds: nothing altered, nothing missing, nothing rewritten that was witnessed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from workflow.db.outbox import CHAINED, chain_hash


class Head(NamedTuple):
    """How many events a chain has had, and the hash of the last."""

    length: int
    hash: str


class Flaw(StrEnum):
    """What is wrong with a chain where it breaks."""

    ALTERED = "altered"
    """an event does not have the hash that it carries"""
    UNLINKED = "unlinked"
    """an event does not follow the one before it: one of the two was replaced"""
    MISSING = "missing"
    """an event is not there, and later ones or the chain's head say that it was"""
    TAIL_MISSING = "tail_missing"
    """events that a checkpoint has seen at the end of the chain are not there, and the head does not know of them"""
    REWRITTEN = "rewritten"
    """the chain is sound in itself and is another one than a checkpoint has seen"""
    SURPLUS = "surplus"
    """an event beyond the chain's head"""


@dataclass(frozen=True)
class Break:
    """The first event of a chain at which it does not hold. `checkpoint` is the one that knows better, if one does."""

    sequence: int
    flaw: Flaw
    checkpoint: int | None = None


class Link(Protocol):
    """What is read of a stored event: the columns `CHAINED`, and its hash."""

    sequence: int
    previous: str
    hash: str


Witnessed = Mapping[int, tuple[str, int]]
"""What checkpoints say of a chain: the hash of the event with this number, and the checkpoint's number."""
NOTHING: Witnessed = MappingProxyType({})


def break_in(told: Iterable[Link], head: Head, witnessed: Witnessed = NOTHING) -> Break | None:
    """Where a chain with this head breaks first; None when it holds. `told` are its events, oldest first."""
    previous, expected, vouched = "", 1, 0
    for row in told:
        if row.sequence != expected:
            return Break(expected, Flaw.MISSING)
        if chain_hash(_said(row)) != row.hash:
            return Break(expected, Flaw.ALTERED)
        if row.previous != previous:
            return Break(expected, Flaw.UNLINKED)
        if expected > head.length:
            return Break(expected, Flaw.SURPLUS)
        if expected in witnessed:
            known, checkpoint = witnessed[expected]
            if known != row.hash:
                # Which of the events since the checkpoint before was rewritten first, no checkpoint can tell.
                return Break(vouched + 1, Flaw.REWRITTEN, checkpoint)
            vouched = expected
        previous, expected = row.hash, expected + 1
    if head.length >= expected:
        return Break(expected, Flaw.MISSING)
    if head.hash != previous:
        return Break(max(1, expected - 1), Flaw.UNLINKED)
    unseen = [number for number in witnessed if number >= expected]
    return Break(expected, Flaw.TAIL_MISSING, witnessed[min(unseen)][1]) if unseen else None


def _said(row: Link) -> dict[str, Any]:
    return {name: getattr(row, name) for name in CHAINED}
