"""The history that an auditor reads: installed and refused files in one line of time, page by page or as a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, and_, col, or_, select, true

from workflow.console.current import rfc3339
from workflow.console.store import InstalledLicense, RefusedUpload, RevocationUpload
from workflow.errors import NotFound
from workflow.license_file import LicenseClaims, decode_claims, say
from workflow.license_file import envelope as container

PAGE_SIZE = 25
CSV_COLUMNS = (
    "time", "result", "license_id", "version", "valid_from", "valid_until", "agents", "users",
    "person", "file", "payload_sha256", "file_sha256", "code", "reference",
)  # fmt: skip


class NoSuchEntry(NotFound):
    """No installed license with this number."""

    code = "console.no_installed_license"


Key = tuple[datetime, str]
"""Place in the list: the time and, within one instant, the reference of the upload."""


@dataclass(frozen=True)
class Entry:
    """One line of the history: an installed license, a refused file (only who, when and why), or a revocation list that was
    put in use. `claims` is that of an installed license."""

    key: Key
    installed: InstalledLicense | None = None
    claims: LicenseClaims | None = None
    refused: RefusedUpload | None = None
    listed: RevocationUpload | None = None


@dataclass(frozen=True)
class Page:
    """Entries, newest first, and the key to go on from when there are older ones."""

    entries: tuple[Entry, ...]
    older_than: Key | None


def page(session: Session, before: Key | None = None, size: int = PAGE_SIZE) -> Page:
    """The newest entries before a key."""
    installed = select(InstalledLicense).where(_is_before(InstalledLicense.created_at, InstalledLicense.reference, before))
    refused = select(RefusedUpload).where(_is_before(RefusedUpload.created_at, RefusedUpload.id, before))
    newest_installed = installed.order_by(
        col(InstalledLicense.created_at).desc(), col(InstalledLicense.reference).desc()
    ).limit(size + 1)
    newest_refused = refused.order_by(col(RefusedUpload.created_at).desc(), col(RefusedUpload.id).desc()).limit(size + 1)
    listed = select(RevocationUpload).where(
        col(RevocationUpload.taken_at).is_not(None), _is_before(RevocationUpload.created_at, RevocationUpload.id, before)
    )
    newest_listed = listed.order_by(col(RevocationUpload.created_at).desc(), col(RevocationUpload.id).desc()).limit(size + 1)
    entries = [
        Entry((row.created_at, row.reference), installed=row, claims=claims_of(row)) for row in session.exec(newest_installed)
    ]
    entries += [Entry((row.created_at, row.id), refused=row) for row in session.exec(newest_refused)]
    entries += [Entry((row.created_at, row.id), listed=row) for row in session.exec(newest_listed)]
    entries.sort(key=lambda each: each.key, reverse=True)
    return Page(tuple(entries[:size]), entries[size - 1].key if len(entries) > size else None)


def get_installed(session: Session, installed_id: int) -> InstalledLicense:
    """An installed license with its exact bytes. Raises NoSuchEntry."""
    found = session.get(InstalledLicense, installed_id)
    if found is None:
        raise NoSuchEntry(say("There is no such license in the history."))
    return found


def rows(session: Session) -> Iterator[tuple[str, ...]]:
    """The whole history as table rows under `CSV_COLUMNS`, newest first."""
    before: Key | None = None
    while True:
        part = page(session, before, size=200)
        yield from (_fields(entry) for entry in part.entries)
        if part.older_than is None:
            return
        before = part.older_than


def claims_of(row: InstalledLicense) -> LicenseClaims:
    """What an installed license says; it was verified when it was installed."""
    return decode_claims(container.decode(row.raw).payload)


def _is_before(at: datetime, reference: str, key: Key | None) -> ColumnElement[bool]:
    """The keyset condition on two columns (SQLModel types a column as what it holds)."""
    if key is None:
        return true()
    return or_(col(at) < key[0], and_(col(at) == key[0], col(reference) < key[1]))


def _fields(entry: Entry) -> tuple[str, ...]:
    if entry.installed is not None and entry.claims is not None:
        row, claims = entry.installed, entry.claims
        limits = tuple(_amount(claims.limits[name].max) for name in ("agents", "users"))
        return (
            rfc3339(row.created_at), row.standing, row.license_id, str(row.version), rfc3339(row.valid_from),
            rfc3339(row.valid_until), *limits, row.created_by, row.file_name, row.payload_sha256, "", "", row.reference,
        )  # fmt: skip
    if entry.listed is not None:
        taken = entry.listed
        return (
            rfc3339(taken.created_at), "revocation_list", "", str(taken.sequence), "", "", "", "", taken.uploaded_by,
            taken.file_name, taken.payload_sha256, "", "", taken.id,
        )  # fmt: skip
    if entry.refused is None:
        raise ValueError("an entry is an installed license, a refused file or a revocation list")
    refused = entry.refused
    return (
        rfc3339(refused.created_at), "refused", "", "", "", "", "", "", refused.uploaded_by, refused.file_name, "",
        refused.file_sha256 or "", refused.code, refused.id,
    )  # fmt: skip


def _amount(most: int | None) -> str:
    return "unlimited" if most is None else str(most)
