"""Where the license comes from: the console's published directory, or a single file. Nothing read here is trusted yet."""

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from ..license_file import MAX_ENVELOPE, LicenseRefused
from ..license_file import envelope as container

# The layout of a published directory.
CURRENT_FILE: Final = "current.lic"
NEXT_FILE: Final = "next.lic"
REVOCATIONS_FILE: Final = "revocations.lrl"
GENERATION_FILE: Final = "generation"
SEEN_FILE: Final = "seen"
TRUST_DIRECTORY: Final = "trust"

MAX_ROOTS: Final = 1_000
READINGS: Final = 5
_LONGEST_NUMBER: Final = 40


class FeedAway(Exception):
    """The feed cannot be read right now. The last answers stay."""


class FeedDamaged(FeedAway):
    """What is there is not a license file: damaged, or still being copied."""


@dataclass(frozen=True, slots=True)
class Published:
    """One reading of a feed, nothing of it verified. `roots` start at the pinned one; `newer_roots` came inside the file.

    `seen` is the highest time that the console has seen. It is not signed, so it may only end things, never begin them.
    """

    generation: int
    licenses: tuple[bytes, ...] = ()
    roots: tuple[bytes, ...] = ()
    newer_roots: tuple[bytes, ...] = ()
    revocations: bytes | None = None
    seen: datetime | None = None


class Feed(Protocol):
    """A place that is looked at again and again."""

    def news(self) -> Published | None:
        """Everything there is, or None when it is what was read before. Raises FeedAway or OSError when it cannot be read."""

    def forget(self) -> None:
        """Makes the next look read everything again; also called in a forked child, which must not share connections."""


class Mark(NamedTuple):
    """What tells one state of the files from another: the file that is written last, and all."""

    number: Hashable
    files: Hashable


class _Files(ABC):
    """What directory and file have in common: a look costs a few `stat` calls, and only what differs is read."""

    def __init__(self) -> None:
        self._mark: Mark | None = None
        self._unfinished: Mark | None = None

    def news(self) -> Published | None:
        """Reads when a file was replaced, and again when one is replaced meanwhile."""
        mark = self._looks()
        if mark == self._mark:
            return None
        # The same number over other files: a generation that is being written, or files that somebody changed or mended.
        if self._mark is not None and mark.number == self._mark.number and mark != self._unfinished:
            self._unfinished = mark
            return None
        for _ in range(READINGS):
            before, found = mark, self._read()
            mark = self._looks()
            if mark == before:
                self._mark = mark
                return found
        return None

    def forget(self) -> None:
        """Reads everything again at the next look."""
        self._mark = None

    @abstractmethod
    def _looks(self) -> "Mark":
        """How the files look without reading them."""

    @abstractmethod
    def _read(self) -> Published:
        """What the files hold."""


class DirectoryFeed(_Files):
    """The directory that the console writes, each file of it replaced whole and the generation number last."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._trust = directory / TRUST_DIRECTORY
        self._watched = tuple(directory / name for name in (CURRENT_FILE, NEXT_FILE, REVOCATIONS_FILE, GENERATION_FILE))

    def _looks(self) -> Mark:
        marks = tuple(_file_mark(path) for path in self._watched)
        if marks[-1] is None:  # not begun, or a mount that comes back
            raise FeedAway(f"{self._directory} holds no published license.")
        return Mark(marks[-1], (marks, _file_mark(self._trust)))

    def _read(self) -> Published:
        current, following, revocations, generation = self._watched
        return Published(
            generation=_whole_number(_some_bytes(generation)),
            licenses=tuple(raw for path in (current, following) if (raw := _some_bytes(path)) is not None),
            roots=_roots_in(self._trust),
            revocations=_some_bytes(revocations),
            seen=instant_from(_some_bytes(self._directory / SEEN_FILE)),
        )


class FileFeed(_Files):
    """One `.lic` file, for a platform without a console: the pinned root (and newer ones) lie in `trust`, and newer roots
    and revocations may come inside the file. The generation counts the contents that this process has seen."""

    def __init__(self, path: Path, trust: Path) -> None:
        super().__init__()
        self._path = path
        self._trust = trust
        self._generation = 0

    def _looks(self) -> Mark:
        mark = _file_mark(self._path)
        if mark is None:
            raise FeedAway(f"There is no file {self._path}.")
        return Mark(mark, _file_mark(self._trust))

    def _read(self) -> Published:
        raw = _some_bytes(self._path)
        if raw is None:
            raise FeedAway(f"There is no file {self._path}.")
        try:
            envelope = container.decode(raw)
        except LicenseRefused as refused:  # perhaps it is still being copied
            raise FeedDamaged(f"{self._path} cannot be read. {refused}") from None
        self._generation += 1
        return Published(
            generation=self._generation,
            licenses=(raw,),
            roots=_roots_in(self._trust),
            newer_roots=envelope.roots,
            revocations=envelope.revocations,
        )


def instant_from(raw: bytes | None) -> datetime | None:
    """2026-12-06T16:00:00Z as an instant; None for anything else."""
    try:
        found = datetime.fromisoformat(raw.decode("ascii").strip()) if raw else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _roots_in(directory: Path) -> tuple[bytes, ...]:
    raws: list[bytes] = []
    while len(raws) < MAX_ROOTS and (raw := _some_bytes(directory / f"root-{len(raws) + 1}.json")) is not None:
        raws.append(raw)
    return tuple(raws)


def _some_bytes(path: Path) -> bytes | None:
    """The content, cut one byte above what a reader of license files takes; None when there is no such file."""
    try:
        # Whoever can write the feed may plant a pipe: opening it must not wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FeedAway(f"{path} is not a regular file.")
        return stream.read(MAX_ENVELOPE + 1)


def _file_mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _whole_number(raw: bytes | None) -> int:
    text = (raw or b"").strip()
    if not text.isdigit() or len(text) > _LONGEST_NUMBER:
        raise FeedAway("The generation number is not readable.")
    return int(text)
