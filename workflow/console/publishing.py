"""Hands the license in force to the platform's processes: a directory, every file of it replaced whole, and over HTTP."""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlmodel import Session

from workflow.console import store
from workflow.console.current import rfc3339, row_with
from workflow.console.identity import Console
from workflow.console.store import ClockFloor, Standing, StoredRevocations
from workflow.database import reading
from workflow.license_gate import CURRENT_FILE, GENERATION_FILE, NEXT_FILE, REVOCATIONS_FILE, SEEN_FILE, TRUST_DIRECTORY

_LOCK = ".lock"

log = logging.getLogger("licdesk.console.publishing")


def published_generation(directory: Path) -> int:
    """The number that the platform's processes see; -1 before anything was published."""
    try:
        return int((directory / GENERATION_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return -1


def publish(console: Console) -> bool:
    """Writes what the database holds, if the directory has another generation. False when it could not be written.

    Called after each commit and again by the console's rounds, so a crash or a full disk in between is made good: the
    license counts, and whoever activated it is not told otherwise. Several processes may call it: one lock, and what is
    written is read under it, so an older generation never comes last.
    """
    with reading(console.engine) as session:
        wanted = store.generation(session)
    # Not only a lower number: after the console was restored from a backup the directory is ahead.
    return published_generation(console.published) == wanted or _write_all(console)


def mend(console: Console) -> bool:
    """Writes what the database holds wherever the directory differs, also the highest time seen. False when it could not.

    For now and then: files that somebody changed come right without waiting for the next license.
    """
    return _write_all(console)


def feed(session: Session) -> dict[str, Any]:
    """The same for a gate that reads over HTTP. Holds the envelopes, and with them the activation code."""
    files = _files(session)
    return {
        "generation": store.generation(session),
        "licenses": [_text(files[name]) for name in (CURRENT_FILE, NEXT_FILE) if name in files],
        "roots": [_text(raw) for raw in store.roots_of(session)],
        "revocations": _text(files[REVOCATIONS_FILE]) if REVOCATIONS_FILE in files else None,
        "seen": _text(files[SEEN_FILE]).strip() if SEEN_FILE in files else None,
    }


def _text(raw: bytes) -> str:
    """A signed file is UTF-8; one that was tampered with arrives damaged, for the gate to refuse."""
    return raw.decode(errors="replace")


def _write_all(console: Console) -> bool:
    directory = console.published
    try:
        (directory / TRUST_DIRECTORY).mkdir(mode=0o755, parents=True, exist_ok=True)
        with _locked(directory), reading(console.engine) as session:
            _write(session, directory)
    except OSError as error:
        log.error("The license in force could not be published in %s: %s. It is tried again.", directory, error)
        return False
    return True


def _write(session: Session, directory: Path) -> None:
    for number, root in enumerate(store.roots_of(session), start=1):
        _replace(directory / TRUST_DIRECTORY / f"root-{number}.json", root)
    files = _files(session)
    # The license in force first: a reader in between may find it twice, never not at all. What is called back comes
    # after what replaces it, and the number last.
    for name in (CURRENT_FILE, NEXT_FILE, REVOCATIONS_FILE, SEEN_FILE):
        if name in files:
            _replace(directory / name, files[name])
        else:
            (directory / name).unlink(missing_ok=True)
    _replace(directory / GENERATION_FILE, f"{store.generation(session)}\n".encode("ascii"))


def _files(session: Session) -> Mapping[str, bytes]:
    current, following = (row_with(session, each) for each in (Standing.CURRENT, Standing.SCHEDULED))
    listed = session.get(StoredRevocations, 1)
    floor = session.get(ClockFloor, 1)
    found = {
        CURRENT_FILE: current.raw if current else None,
        NEXT_FILE: following.raw if following else None,
        REVOCATIONS_FILE: listed.raw if listed else None,
        SEEN_FILE: f"{rfc3339(floor.seen)}\n".encode("ascii") if floor else None,
    }
    return {name: raw for name, raw in found.items() if raw is not None}


def _replace(path: Path, content: bytes) -> None:
    """Leaves a file alone that is right; else the new one is complete, and on the disk, before it has the name."""
    with suppress(OSError):
        if not path.is_symlink() and path.read_bytes() == content:
            return
    waiting = path.with_name(f".{path.name}.new")
    waiting.unlink(missing_ok=True)  # of a process that died; or a link that somebody laid to another file of ours
    descriptor = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fchmod(descriptor, 0o644)  # whatever the umask says: the platform runs as somebody else
        os.fsync(descriptor)
    waiting.replace(path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """The name of a replaced file is on the disk, too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
