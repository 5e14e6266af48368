"""The caught mail on disk, as a Maildir: one file per message, complete or not there at all."""

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workflow.errors import NotFound


@dataclass(frozen=True)
class Caught:
    """One message as it arrived. `id` is its file's name."""

    id: str
    received_at: datetime
    raw: bytes


class Maildir:
    """A Maildir that only this process writes to."""

    def __init__(self, path: Path) -> None:
        self._new = path / "new"
        self._tmp = path / "tmp"
        for folder in (self._new, self._tmp, path / "cur"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def store(self, raw: bytes) -> str:
        """Keeps a message; when this returns, it is on disk. Returns its id."""
        name = f"{time.time_ns()}.{secrets.token_hex(4)}.desk"
        waiting = self._tmp / name
        with waiting.open("xb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())  # the 250 that follows is a promise
        waiting.rename(self._new / name)
        return name

    def get(self, name: str) -> Caught:
        """The message with this id. Raises NotFound, also for a name that is a path."""
        if name not in {entry.name for entry in os.scandir(self._new)}:
            raise NotFound("There is no such message. It may have been cleared.")
        return self._read(self._new / name)

    def latest(self, limit: int = 200) -> Iterator[Caught]:
        """The newest messages first."""
        for name in sorted((entry.name for entry in os.scandir(self._new)), reverse=True)[:limit]:
            yield self._read(self._new / name)

    @staticmethod
    def _read(path: Path) -> Caught:
        nanoseconds = int(path.name.split(".", 1)[0])
        return Caught(path.name, datetime.fromtimestamp(nanoseconds / 1e9, UTC), path.read_bytes())
