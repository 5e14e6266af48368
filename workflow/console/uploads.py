"""Taking a file in: verified at once, then staged for one person's decision, or recorded as refused."""

import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, delete, select

from workflow.console import clock, current, receipts
from workflow.console.current import Situation
from workflow.console.identity import Console, digest
from workflow.console.said import packed
from workflow.console.store import InstalledLicense, RefusedUpload, StagedUpload
from workflow.errors import NotFound
from workflow.license_file import (
    MAX_ENVELOPE,
    Check,
    Expected,
    LicenseRefused,
    PastLicense,
    TooLarge,
    TrustError,
    TrustRoot,
    VerifiedLicense,
    newer_roots,
    say,
    sentence_of,
    verify_license,
)
from workflow.license_file import envelope as container

STAGED_FOR = timedelta(minutes=30)
LONGEST_NAME = 120
LONGEST_MESSAGE = 1_000


class NoSuchUpload(NotFound):
    """Unknown, forgotten, or somebody else's."""

    code = "console.no_upload"

    def __init__(self) -> None:
        super().__init__(say("This upload is not here any more. Upload the file again."))


@dataclass(frozen=True)
class AlreadyInstalled:
    """The very license that is in force or scheduled: good news, nothing to do."""

    row: InstalledLicense


Outcome = StagedUpload | RefusedUpload | AlreadyInstalled


def take_in(session: Session, console: Console, raw: bytes, file_name: str, by: str, now: datetime, wall: datetime) -> Outcome:
    """Verifies a file and keeps the outcome. A refusal is an outcome, not an error: it belongs in the history.

    `now` is the product's time, `wall` the machine's (for the half hour that a staged file waits).
    """
    situation = current.look(session, console, now)
    name = shown_name(file_name)
    try:
        verified = verify_new(session, console, situation, raw)
    except LicenseRefused as refused:
        row = refuse(session, refused, name, len(raw), digest(raw), by, situation.now)
        receipts.write_refusal(session, console, refused, row.id, situation.trust, situation.clock, wall)
        return row
    if verified.already_installed:
        known = select(InstalledLicense).where(col(InstalledLicense.payload_sha256) == verified.payload_sha256)
        return AlreadyInstalled(session.exec(known.order_by(col(InstalledLicense.id).desc())).first() or _missing())
    _forget_old(session, wall)
    staged = StagedUpload(
        id=reference(situation.now),
        raw=raw,
        file_name=name,
        payload_sha256=verified.payload_sha256,
        verdict=verified.state.value,
        checks=_stored(verified.checks),
        uploaded_by=by,
        created_at=situation.now,
        until=wall + STAGED_FOR,
    )
    session.add(staged)
    return staged


def refuse_too_large(session: Session, file_name: str, size: int, by: str, now: datetime) -> RefusedUpload:
    """Records a file that was cut off at the limit; `size` is at least that of the file as far as it was read."""
    refused = TooLarge(
        say(
            "This file is larger than %(most)s KB, the most that a license file can have. "
            "Choose the .lic file from the e-mail.",
            most=MAX_ENVELOPE // 1024,
        )
    )
    return refuse(session, refused, shown_name(file_name), size, None, by, now)


def verify_new(session: Session, console: Console, situation: Situation, raw: bytes) -> VerifiedLicense:
    """Every check of a file that is to be installed, against what was installed before. Raises LicenseRefused.

    The time that counts is judged by the newest root, also one that the file brings: a key that it drops may have
    signed an `issued_at` far ahead, and that must not make every later license look ended.
    """
    reading = clock.read(session, _newest_root(situation.trust, raw), console.identity.environment, situation.clock.said)
    expected = Expected(
        tenant_id=console.identity.tenant_id,
        environment=console.identity.environment,
        installation_id=console.identity.installation_id,
        history=history(session),
        revocations=situation.revocations,
        clock_suspect=reading.is_suspect,
        usage=situation.use.limits if situation.use else {},
    )
    return verify_license(raw, situation.trust, expected, reading.now)


def _newest_root(trust: TrustRoot, raw: bytes) -> TrustRoot:
    try:
        return (trust, *newer_roots(trust, container.decode(raw).roots))[-1]
    except (LicenseRefused, TrustError):
        return trust  # the verifier words the refusal


def history(session: Session) -> tuple[PastLicense, ...]:
    """What was ever activated or scheduled; the verifier decides what of it still binds."""
    rows = session.exec(
        select(
            InstalledLicense.license_id,
            InstalledLicense.version,
            InstalledLicense.payload_sha256,
            InstalledLicense.keyids,
        )
    ).all()
    return tuple(PastLicense(name, version, sha256, tuple(keyids)) for name, version, sha256, keyids in rows)


def find_staged(session: Session, upload_id: str, by: str) -> StagedUpload | None:
    """The staged upload of this person, used or not; None when there is none."""
    staged = session.get(StagedUpload, upload_id)
    return staged if staged is not None and staged.uploaded_by == by else None


def get_refused(session: Session, upload_id: str) -> RefusedUpload:
    """A refused upload, whoever sent it: the history shows it to every administrator. Raises NoSuchUpload."""
    found = session.get(RefusedUpload, upload_id)
    if found is None:
        raise NoSuchUpload
    return found


def shown_name(file_name: str) -> str:
    """A file name that is safe to show and to store: no folders, no control or direction characters, not too long."""
    base = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    visible = "".join(each for each in unicodedata.normalize("NFC", base) if unicodedata.category(each)[0] != "C")
    name = " ".join(visible.split())
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 8]}…{name[-7:]}"
    return name or "unnamed file"


def refuse(
    session: Session, refused: LicenseRefused, name: str, size: int, sha256: str | None, by: str, now: datetime
) -> RefusedUpload:
    """Keeps that a file was refused, and why: never what it claims. `sha256` is None for a file that was cut off."""
    message = sentence_of(refused)
    row = RefusedUpload(
        id=reference(now),
        file_name=name,
        size=size,
        file_sha256=sha256,
        code=refused.code,
        message=message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE],
        checks=_stored(refused.checks),
        contact=asdict(refused.contact) if refused.contact else None,
        uploaded_by=by,
        created_at=now,
    )
    session.add(row)
    return row


def _stored(checks: Sequence[Check]) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "result": each.result.value, "title": packed(each.title), "detail": packed(each.detail)}
        for each in checks
    ]


def reference(now: datetime) -> str:
    """A new reference of an upload, as people are shown it: UP-20261124-104351-7c1e52a0"""
    return f"UP-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def _forget_old(session: Session, wall: datetime) -> None:
    """Staged files that ran out or were used a day ago; what was installed is kept elsewhere."""
    session.exec(delete(StagedUpload).where(col(StagedUpload.until) < wall - timedelta(days=1)))


def _missing() -> InstalledLicense:
    raise LookupError("the verifier knows an installed license that the store does not")
