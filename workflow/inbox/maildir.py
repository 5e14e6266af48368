"""The caught mail on disk, as a Maildir: one file per message, complete or not there at all."""

import os
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_NAME = re.compile(r"[0-9]{19}\.[0-9a-f]{8}\.desk")


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
        _sync(self._new)
        return name

    def find(self, name: str) -> Caught | None:
        """The message with this id; None when there is none, also for a name that is a path."""
        try:
            return self._read(self._new / name) if _NAME.fullmatch(name) else None
        except FileNotFoundError:
            return None

    def ids(self) -> list[str]:
        """The ids of all messages, newest first. No file is opened."""
        return sorted((entry.name for entry in os.scandir(self._new) if _NAME.fullmatch(entry.name)), reverse=True)

    @staticmethod
    def _read(path: Path) -> Caught:
        nanoseconds = int(path.name.split(".", 1)[0])
        return Caught(path.name, datetime.fromtimestamp(nanoseconds / 1e9, UTC), path.read_bytes())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)  # the file's name is part of the promise
    finally:
        os.close(handle)
