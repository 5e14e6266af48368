"""Hands the license in force to the platform's processes: a directory, every file of it replaced whole."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlmodel import Session, col, select

from workflow.console.current import row_with
from workflow.console.gate import CURRENT_FILE, GENERATION_FILE, NEXT_FILE, TRUST_DIRECTORY
from workflow.console.identity import Console
from workflow.console.store import Standing, StoredRoot, generation
from workflow.database import reading

_LOCK = ".lock"


def published_generation(directory: Path) -> int:
    """The number that the platform's processes see; -1 before anything was published."""
    try:
        return int((directory / GENERATION_FILE).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return -1


def publish(console: Console) -> int:
    """Writes what the database holds, if the directory is behind. Returns the generation that is published.

    Called after each commit and again by the console's rounds, so a crash in between is made good. Several processes
    may call it: one lock, and what is written is read under it, so an older generation never comes last.
    """
    directory = console.published
    directory.mkdir(mode=0o755, exist_ok=True)
    with reading(console.engine) as session:
        wanted = generation(session)
    if published_generation(directory) >= wanted:
        return published_generation(directory)
    with _locked(directory), reading(console.engine) as session:
        return _write(session, directory)


def _write(session: Session, directory: Path) -> int:
    (directory / TRUST_DIRECTORY).mkdir(mode=0o755, exist_ok=True)
    for root in session.exec(select(StoredRoot).order_by(col(StoredRoot.version))):
        _replace(directory / TRUST_DIRECTORY / f"root-{root.version}.json", root.raw)
    # The one in force first: a reader in between may find it twice, never not at all.
    for standing, name in ((Standing.CURRENT, CURRENT_FILE), (Standing.SCHEDULED, NEXT_FILE)):
        row = row_with(session, standing)
        if row is None:
            (directory / name).unlink(missing_ok=True)
        else:
            _replace(directory / name, row.raw)
    number = generation(session)
    _replace(directory / GENERATION_FILE, f"{number}\n".encode("ascii"))
    return number


def _replace(path: Path, content: bytes) -> None:
    waiting = path.with_name(f".{path.name}.new")
    with waiting.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    waiting.chmod(0o644)
    waiting.replace(path)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / _LOCK).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
