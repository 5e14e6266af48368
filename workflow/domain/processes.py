"""The processes that say that they live, and what their silence means."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType


class ProcessKind(StrEnum):
    """Every kind of process that has to be there. Each writes a heartbeat under `kind` or `kind@host`."""

    RELAY = "relay"
    GENERAL = "general"
    SIGNING = "signing"
    BEAT = "beat"
    WITNESS = "witness"


LETS_GO_QUIET: Mapping[ProcessKind, timedelta] = MappingProxyType(
    {
        ProcessKind.RELAY: timedelta(minutes=1),
        ProcessKind.GENERAL: timedelta(minutes=1),
        ProcessKind.SIGNING: timedelta(minutes=1),
        ProcessKind.BEAT: timedelta(minutes=5),
        ProcessKind.WITNESS: timedelta(minutes=5),
    }
)
"""How long nothing is heard of a process before something is wrong. The scheduler is heard through the scan it wakes."""
FORGOTTEN_AFTER = timedelta(days=1)
"""How long a process that went without a word stays on the list."""


@dataclass(frozen=True)
class SignOfLife:
    """When a process was last heard of."""

    process: str
    at: datetime
    detail: str = ""

    @property
    def kind(self) -> ProcessKind | None:
        """Which kind it is; None for one that this version does not know."""
        name = self.process.partition("@")[0]
        return next((kind for kind in ProcessKind if kind == name), None)

    def is_silent(self, wall: datetime) -> bool:
        """Whether it has not been heard of for too long."""
        allowed = LETS_GO_QUIET[self.kind] if self.kind else timedelta(minutes=5)
        return wall - self.at > allowed


def missing_kinds(heard: Iterable[SignOfLife], wall: datetime) -> tuple[ProcessKind, ...]:
    """The kinds of which no process lives."""
    alive = {each.kind for each in heard if not each.is_silent(wall)}
    return tuple(kind for kind in ProcessKind if kind not in alive)
