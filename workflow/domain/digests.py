"""When many letters to one person become one: which kinds are folded together, how many go by themselves, when a digest is due.

docs/decisions/0008-a-digest-instead-of-a-flood.md says why.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from workflow.domain.events import ASKING, LetterKind

SINGLES = 5
"""How many letters of a kind go to one person by themselves within a window."""
WINDOW = timedelta(minutes=15)


class DigestKind(StrEnum):
    """What a digest lists: what waits for the reader's decision, or what stopped and needs somebody to look."""

    DECISIONS = "decisions"
    TROUBLES = "troubles"


FOLDED: Mapping[LetterKind, DigestKind] = MappingProxyType(
    {**dict.fromkeys(ASKING, DigestKind.DECISIONS), LetterKind.NEEDS_ATTENTION: DigestKind.TROUBLES}
)
"""The letters that a digest can stand for. Others tell somebody of their own application: each is read once and kept."""


def kinds_of(digest: DigestKind) -> tuple[LetterKind, ...]:
    """The letters that such a digest stands for."""
    return tuple(kind for kind, folded in FOLDED.items() if folded is digest)


def due_at(sent: int, window_ends_at: datetime, waiting: int, now: datetime) -> datetime | None:
    """When a digest of `waiting` letters is due; None when each of them goes by itself.

    `sent` counts those that went by themselves in the window that runs; more than `SINGLES` after a digest was made in it.
    Many at once are listed at once, unless there was a digest in this window already. Nothing waits for longer than a window,
    whatever the machine's clock said when that window began.
    """
    if sent + waiting <= SINGLES:
        return None
    return now if waiting > SINGLES >= sent else min(window_ends_at, now + WINDOW)
