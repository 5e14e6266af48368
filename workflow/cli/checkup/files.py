"""Disk space, and whether files that hold secrets are their owner's only."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from workflow.cli.checkup.findings import Environ, Finding, fail, ok, warn
from workflow.errors import DeskError
from workflow.settings import Database, load

LITTLE, TOO_LITTLE = 2_000_000_000, 200_000_000


def readable_by_others(path: Path) -> bool:
    """Whether somebody other than the owner may read or write it."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def look(environ: Environ) -> Iterator[Finding]:
    """The data directory and a SQLite database."""
    try:
        settings = load(Database, environ)
    except DeskError:
        return  # told among the settings
    data = settings.data_dir
    if not data.is_dir():
        yield warn("files", f"The data directory {data} is not there.", "Make it with mode 0700, or set LICDESK_DATA_DIR.")
        return
    yield disk(data, shutil.disk_usage(data).free)
    if readable_by_others(data):
        yield warn("files", f"Others can look into {data}.", f"Run: chmod 700 {data}")
    else:
        yield ok("files", f"{data} is its owner's only.")
    if settings.database_url.startswith("sqlite:///"):
        path = Path(settings.database_url.removeprefix("sqlite:///").partition("?")[0])
        for each in (path, *path.parent.glob(f"{path.name}-*")):
            if readable_by_others(each):
                yield fail("files", f"Others can read the database {each}.", f"Run: chmod 600 {each}")


def disk(where: Path, free: int) -> Finding:
    """Whether so many free bytes are enough."""
    said = f"{free / 1e9:,.1f} GB are free at {where}."
    if free < TOO_LITTLE:
        return fail("disk", said, "Make room now: the desk stops writing when the disk is full.")
    return warn("disk", said, "Make room.") if free < LITTLE else ok("disk", said)
