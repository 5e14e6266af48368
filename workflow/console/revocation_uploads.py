"""A revocation list from the file to the decision: verified at once, shown with what it stops here, then in use."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, delete, select

from workflow.console import current, install, revocations, store, uploads
from workflow.console.current import Held, Situation
from workflow.console.identity import Console, digest
from workflow.console.store import InstalledLicense, RefusedUpload, RevocationUpload
from workflow.errors import Conflict
from workflow.license_file import (
    REVOCATIONS_TYPE,
    Check,
    LicenseRefused,
    Result,
    RevocationList,
    newest_list,
    say,
    sentence_of,
    verify_revocations,
)
from workflow.license_file import envelope as container

log = logging.getLogger("licdesk.console.revocations")


class ListTaken(Conflict):
    """A second click: the list is in use already."""

    code = "console.list_taken"
    title = "Already done"


@dataclass(frozen=True)
class AlreadyInUse:
    """The very list that counts: nothing to do."""

    sequence: int


Outcome = RevocationUpload | RefusedUpload | AlreadyInUse


@dataclass(frozen=True)
class Named:
    """One line of a list: a version, or every version below one. `reason` is the issuer's; None for a floor.

    `installed` are the versions of it that were ever installed here, oldest first.
    """

    license_id: str
    version: int | None
    below: int | None
    reason: str | None
    at: datetime | None
    installed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Preview:
    """What a list does here. `stops` are the license in force and the next one, if it names them and they still count."""

    listed: RevocationList
    stops: tuple[Held, ...]
    here: tuple[Named, ...]
    elsewhere: tuple[Named, ...]


def is_list(raw: bytes) -> bool:
    """Whether a file says that it is a revocation list; what it is worth is another question."""
    try:
        return container.decode(raw).payload_type == REVOCATIONS_TYPE
    except LicenseRefused:
        return False


def take_in(session: Session, console: Console, raw: bytes, file_name: str, by: str, now: datetime, wall: datetime) -> Outcome:
    """Verifies a list and stages it for this person's decision. A refusal is kept in the history like that of a license.

    `now` is the product's time, `wall` the machine's (for the half hour that a staged file waits).
    """
    situation = current.look(session, console, now)
    name = uploads.shown_name(file_name)
    try:
        offered = _newer(situation, raw)
    except LicenseRefused as refused:
        refused.checks = (Check("list", Result.FAILED, say("The revocation list can be used"), sentence_of(refused)),)
        return uploads.refuse(session, refused, name, len(raw), digest(raw), by, situation.now)
    if situation.revocations is not None and offered is situation.revocations:
        return AlreadyInUse(offered.sequence)
    session.exec(
        delete(RevocationUpload).where(
            col(RevocationUpload.taken_at).is_(None), col(RevocationUpload.until) < wall - timedelta(days=1)
        )
    )
    staged = RevocationUpload(
        id=uploads.reference(situation.now),
        raw=raw,
        file_name=name,
        payload_sha256=offered.payload_sha256,
        sequence=offered.sequence,
        uploaded_by=by,
        created_at=situation.now,
        until=wall + uploads.STAGED_FOR,
    )
    session.add(staged)
    return staged


def find_staged(session: Session, upload_id: str, by: str) -> RevocationUpload | None:
    """The list that this person uploaded, in use or not; None when there is none."""
    staged = session.get(RevocationUpload, upload_id)
    return staged if staged is not None and staged.uploaded_by == by else None


def preview(session: Session, situation: Situation, raw: bytes) -> Preview:
    """What the list names, that of this platform apart. Raises UntrustedRevocations when it no longer can be used."""
    offered = _newer(situation, raw)
    installed = session.exec(
        select(InstalledLicense.license_id, InstalledLicense.version).order_by(col(InstalledLicense.id))
    ).all()
    named = _named(offered, installed)
    ours = {license_id for license_id, _ in installed}
    return Preview(
        listed=offered,
        stops=_stopped(situation, offered),
        here=tuple(each for each in named if each.license_id in ours),
        elsewhere=tuple(each for each in named if each.license_id not in ours),
    )


def confirm(
    session: Session,
    console: Console,
    upload_id: str,
    by: str,
    *,
    seen_generation: int,
    acknowledged: bool,
    now: datetime,
    wall: datetime,
) -> RevocationUpload:
    """Puts a staged list in use; what it names stops at once.

    `seen_generation` is what the preview was made against. Raises NoSuchUpload, ListTaken, UploadRanOut, SomeoneWasQuicker,
    NotAcknowledged or NoLongerAccepted; then nothing is changed.
    """
    staged = find_staged(session, upload_id, by)
    if staged is None:
        raise uploads.NoSuchUpload
    if staged.taken_at is not None:
        raise ListTaken(say("This list was put in use already."))
    install.require_in_time(staged.until, wall)
    install.take_over(session, console, now, wall)  # else what a license that has begun replaced would count again
    situation = current.look(session, console, now)
    if situation.generation != seen_generation:
        raise install.SomeoneWasQuicker(
            say("The license in force changed after you opened this page. Nothing of yours was changed.")
        )
    try:
        offered = _newer(situation, staged.raw)
    except LicenseRefused as refused:
        raise install.NoLongerAccepted(sentence_of(refused)) from refused
    if _stopped(situation, offered) and not acknowledged:
        raise install.NotAcknowledged
    if revocations.keep(session, offered, situation.trust, situation.now):
        store.next_generation(session, situation.now)
        install.tell_stopped(session, console, situation, now=now, wall=wall)
    staged.taken_at = situation.now
    session.add(staged)
    log.info("Revocation list number %d put in use by %s.", offered.sequence, staged.uploaded_by)
    return staged


def _newer(situation: Situation, raw: bytes) -> RevocationList:
    return newest_list(situation.revocations, verify_revocations(raw, situation.trust, situation.now))


def _stopped(situation: Situation, offered: RevocationList) -> tuple[Held, ...]:
    counting = (held for held in (situation.current, situation.next) if held is not None and held.claims is not None)
    return tuple(held for held in counting if offered.reason_against(held.row.license_id, held.row.version) is not None)


def _named(offered: RevocationList, installed: Sequence[tuple[str, int]]) -> tuple[Named, ...]:
    def of(license_id: str, version: int | None, below: int | None) -> tuple[int, ...]:
        held = (number for name, number in installed if name == license_id)
        return tuple(number for number in held if number == version or (below is not None and number < below))

    versions = [
        Named(each.license_id, each.version, None, each.reason, each.at, of(each.license_id, each.version, None))
        for each in offered.content.licenses
    ]
    floors = [
        Named(each.license_id, None, each.min_version, None, None, of(each.license_id, None, each.min_version))
        for each in offered.content.floors
    ]
    return (*versions, *floors)
