"""The history that an auditor reads: installed and refused files in one line of time, page by page or as CSV."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from workflow.console.current import rfc3339
from workflow.console.store import InstalledLicense, RefusedUpload
from workflow.errors import NotFound
from workflow.license_file import LicenseClaims, decode_claims
from workflow.license_file import envelope as container

PAGE_SIZE = 25
CSV_COLUMNS = (
    "time", "result", "license_id", "version", "valid_from", "valid_until", "agents", "users",
    "person", "file", "payload_sha256", "file_sha256", "code", "reference",
)  # fmt: skip


class NoSuchEntry(NotFound):
    """No installed license with this number."""

    code = "console.no_installed_license"


@dataclass(frozen=True)
class Entry:
    """One line of the history. Of a refused file only who, when and why; `claims` is none then."""

    at: datetime
    installed: InstalledLicense | None = None
    claims: LicenseClaims | None = None
    refused: RefusedUpload | None = None


@dataclass(frozen=True)
class Page:
    """Entries, newest first, and the instant to go on from when there are older ones."""

    entries: tuple[Entry, ...]
    older_than: datetime | None


def page(session: Session, before: datetime | None = None, size: int = PAGE_SIZE) -> Page:
    """The newest entries before an instant."""
    installed = select(InstalledLicense).order_by(col(InstalledLicense.created_at).desc()).limit(size + 1)
    refused = select(RefusedUpload).order_by(col(RefusedUpload.created_at).desc()).limit(size + 1)
    if before is not None:
        installed = installed.where(col(InstalledLicense.created_at) < before)
        refused = refused.where(col(RefusedUpload.created_at) < before)
    entries = [_installed_entry(row) for row in session.exec(installed)]
    entries += [Entry(row.created_at, refused=row) for row in session.exec(refused)]
    entries.sort(key=lambda each: each.at, reverse=True)
    return Page(tuple(entries[:size]), entries[size - 1].at if len(entries) > size else None)


def get_installed(session: Session, installed_id: int) -> InstalledLicense:
    """An installed license with its exact bytes. Raises NoSuchEntry."""
    found = session.get(InstalledLicense, installed_id)
    if found is None:
        raise NoSuchEntry("There is no such license in the history.")
    return found


def as_csv(session: Session) -> Iterator[str]:
    """The whole history, newest first, line by line."""
    yield _line(CSV_COLUMNS)
    before: datetime | None = None
    while True:
        part = page(session, before, size=200)
        for entry in part.entries:
            yield _line(_fields(entry))
        if part.older_than is None:
            return
        before = part.older_than


def claims_of(row: InstalledLicense) -> LicenseClaims:
    """What an installed license says; it was verified when it was installed."""
    return decode_claims(container.decode(row.raw).payload)


def _installed_entry(row: InstalledLicense) -> Entry:
    return Entry(row.created_at, installed=row, claims=claims_of(row))


def _fields(entry: Entry) -> tuple[str, ...]:
    if entry.installed is not None and entry.claims is not None:
        row, claims = entry.installed, entry.claims
        limits = tuple(_amount(claims.limits[name].max) for name in ("agents", "users"))
        return (
            rfc3339(row.created_at), row.standing, row.license_id, str(row.version), rfc3339(row.valid_from),
            rfc3339(row.valid_until), *limits, row.created_by, row.file_name, row.payload_sha256, "", "", row.reference,
        )  # fmt: skip
    if entry.refused is None:
        raise ValueError("an entry is either an installed or a refused file")
    refused = entry.refused
    return (
        rfc3339(refused.created_at), "refused", "", "", "", "", "", "", refused.uploaded_by, refused.file_name, "",
        refused.file_sha256 or "", refused.code, refused.id,
    )  # fmt: skip


def _amount(most: int | None) -> str:
    return "unlimited" if most is None else str(most)


def _line(fields: tuple[str, ...]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow([_inert(each) for each in fields])
    return written.getvalue()


def _inert(field: str) -> str:
    """A file name must not become a formula when the table is opened in a spreadsheet."""
    return f"'{field}" if field.startswith(("=", "+", "-", "@", "\t")) else field
