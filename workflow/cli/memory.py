"""How much memory the processes of a run take together."""

import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Memory:
    """Bytes, and how many processes hold them."""

    size: int
    processes: int

    def __str__(self) -> str:
        return f"{self.size / 1_000_000:.0f} MB in {self.processes} processes"


def memory_of(sessions: Collection[int]) -> Memory:
    """The memory of every process of these sessions (what `start_new_session` makes), their children included.

    On Linux pages that processes share count once; elsewhere once for each, so the figure is higher than the truth.
    """
    sizes = _on_linux(sessions) if sys.platform == "linux" else _by_ps(sessions)
    return Memory(sum(sizes), len(sizes))


def _on_linux(sessions: Collection[int]) -> list[int]:
    sizes = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.getsid(int(entry.name)) in sessions:
                rollup = (entry / "smaps_rollup").read_text()
                sizes.append(sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")))
        except (OSError, ValueError):
            continue  # it has just ended
    return sizes


def _by_ps(sessions: Collection[int]) -> list[int]:
    listed = subprocess.run(["ps", "-axo", "sess=,pgid=,rss="], capture_output=True, text=True, check=False).stdout  # noqa: S607
    rows = [line.split() for line in listed.splitlines()]
    return [int(row[2]) * 1024 for row in rows if len(row) == 3 and int(row[1]) in sessions]
