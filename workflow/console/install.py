"""Putting a verified license in force, or in line for its day. One transaction: row, pointer, generation, receipt."""

import logging
from datetime import datetime

from sqlmodel import Session, col, select

from workflow.console import changes, current, receipts, revocations, store, uploads
from workflow.console.changes import Change
from workflow.console.current import Situation
from workflow.console.identity import Console
from workflow.console.said import packed
from workflow.console.store import InstalledLicense, RevocationUpload, StagedUpload, Standing, StoredRoot
from workflow.errors import Conflict, Invalid, Problem
from workflow.license_file import (
    LicenseRefused,
    Loss,
    ReceiptEvent,
    Revoked,
    State,
    VerifiedLicense,
    losses,
    say,
    sentence_of,
)

ALREADY_THERE = say("This very license was installed meanwhile. There is nothing left to do.")

log = logging.getLogger("licdesk.console.install")


class SomeoneWasQuicker(Conflict):
    """Another change took effect after the preview was shown."""

    code = "console.changed_meanwhile"


class UploadRanOut(Conflict):
    """The half hour is over."""

    code = "console.upload_ran_out"
    title = "This upload ran out"


class AlreadyUsed(Conflict):
    """A second click. `installed_id` is what the first one made."""

    code = "console.already_activated"
    title = "Already done"

    def __init__(self, installed_id: int) -> None:
        super().__init__(say("This file was activated already."))
        self.installed_id = installed_id


class NotAcknowledged(Invalid):
    """Something granted would go, and nobody said that this is meant."""

    code = "console.not_acknowledged"

    def __init__(self) -> None:
        message = say("Confirm that you understand what stops working")
        super().__init__(message, [Problem("acknowledged", self.code, message)])


class NoLongerAccepted(Conflict):
    """The file passed when it was uploaded and does not now."""

    code = "console.no_longer_accepted"
    title = "This file can no longer be used"


def activate(
    session: Session,
    console: Console,
    upload_id: str,
    by: str,
    *,
    seen_generation: int,
    acknowledged: bool,
    now: datetime,
    wall: datetime,
) -> InstalledLicense:
    """Puts a staged license in force at once, or schedules one that starts later; the running one never ends early.

    `seen_generation` is what the preview was made against. Raises NoSuchUpload, AlreadyUsed, UploadRanOut,
    SomeoneWasQuicker, NotAcknowledged or NoLongerAccepted; then nothing is changed.
    """
    staged = _usable(session, upload_id, by, wall)
    take_over(session, console, now, wall)  # what has begun counts before anything replaces it
    situation = current.look(session, console, now)
    if situation.generation != seen_generation:
        raise SomeoneWasQuicker(_what_happened(session))
    verified = _still_good(session, console, situation, staged)
    lost = takes_away(situation, verified)
    if lost and not acknowledged:
        raise NotAcknowledged
    row = _install(session, console, verified, staged, lost, before=situation, now=now, wall=wall)
    staged.used_at, staged.installed_id = row.created_at, row.id
    session.add(staged)
    return row


def preview(situation: Situation, verified: VerifiedLicense) -> tuple[Change, ...]:
    """What the new license changes against the one in force."""
    return changes.between(situation.claims, verified.claims, situation.now)


def takes_away(situation: Situation, verified: VerifiedLicense) -> tuple[Loss, ...]:
    """What the new license switches off of the one in force; somebody has to acknowledge it."""
    return losses(situation.claims, verified.claims, situation.now)


def take_over(session: Session, console: Console, now: datetime, wall: datetime) -> InstalledLicense | None:
    """Writes down that a scheduled license has begun, with its receipt; None when none is due.

    Readers count it from its instant on anyway. One whose signature is no longer trusted stays where it is.
    """
    row = current.row_with(session, Standing.SCHEDULED)
    if row is None:
        return None
    situation = current.look(session, console, now)
    if situation.current is None or situation.current.row.id != row.id:
        return None
    _replace(session, Standing.CURRENT, situation.now)
    row.standing, row.in_force_at = Standing.CURRENT, row.valid_from
    session.add(row)
    _tell(session, console, row, ReceiptEvent.ACTIVATED, situation, wall)
    log.info("License %s version %d took over.", row.license_id, row.version)
    return row


def tell_stopped(session: Session, console: Console, before: Situation, *, now: datetime, wall: datetime) -> None:
    """A receipt for each license that counted in `before` and that the revocation list in use now stops: so that the desk
    learns that its word has arrived. Belongs to the transaction that put the list in use."""
    after = current.look(session, console, now)
    for held in (after.current, after.next):
        if held is not None and isinstance(held.refusal, Revoked) and _counted(before, held.row):
            receipts.write(
                session, console, held.row, ReceiptEvent.DEACTIVATED, after.trust, after.clock, wall, held.refusal.code
            )
            log.info("License %s version %d was stopped by a revocation list.", held.row.license_id, held.row.version)


def _counted(situation: Situation, row: InstalledLicense) -> bool:
    return any(held and held.claims and held.row.id == row.id for held in (situation.current, situation.next))


def _usable(session: Session, upload_id: str, by: str, wall: datetime) -> StagedUpload:
    staged = uploads.find_staged(session, upload_id, by)
    if staged is None:
        raise uploads.NoSuchUpload
    if staged.installed_id is not None:
        raise AlreadyUsed(staged.installed_id)
    require_in_time(staged.until, wall)
    return staged


def require_in_time(until: datetime, wall: datetime) -> None:
    """Raises UploadRanOut once the time of a staged file is over."""
    if until <= wall:
        raise UploadRanOut(say("A file waits for 30 minutes after its upload. Upload it again; nothing was changed."))


def _what_happened(session: Session) -> str:
    newest = session.exec(select(InstalledLicense).order_by(col(InstalledLicense.id).desc()).limit(1)).first()
    taken = select(RevocationUpload).where(col(RevocationUpload.taken_at).is_not(None))
    listed = session.exec(taken.order_by(col(RevocationUpload.taken_at).desc()).limit(1)).first()
    changed_at = None if newest is None else newest.in_force_at or newest.created_at
    if listed is not None and listed.taken_at is not None and (changed_at is None or changed_at < listed.taken_at):
        return say(
            "%(who)s put revocation list number %(n)s in use after you opened this page. Nothing of yours was changed.",
            who=listed.uploaded_by,
            n=listed.sequence,
        )
    if newest is None or (newest.standing == Standing.CURRENT and newest.in_force_at != newest.created_at):
        # A scheduled license has begun by itself: nobody did anything.
        return say("The license in force changed after you opened this page. Nothing of yours was changed.")
    did = say("activated") if newest.standing != Standing.SCHEDULED else say("scheduled")
    return say(
        "%(who)s %(did)s version %(n)s after you opened this page. Nothing of yours was changed.",
        who=newest.created_by,
        did=did,
        n=newest.version,
    )


def _still_good(session: Session, console: Console, situation: Situation, staged: StagedUpload) -> VerifiedLicense:
    try:
        verified = uploads.verify_new(session, console, situation, staged.raw)
    except LicenseRefused as refused:
        raise NoLongerAccepted(sentence_of(refused)) from refused
    if verified.already_installed:
        raise NoLongerAccepted(ALREADY_THERE)
    return verified


def _install(
    session: Session,
    console: Console,
    verified: VerifiedLicense,
    staged: StagedUpload,
    lost: tuple[Loss, ...],
    *,
    before: Situation,
    now: datetime,
    wall: datetime,
) -> InstalledLicense:
    _keep_what_came_inside(session, verified, now)
    situation = current.look(session, console, now)  # under the roots that count from here on
    at, claims = situation.now, verified.claims
    starts_later = verified.state is State.SCHEDULED
    # Every version that waits is lower than this one, so nothing overtakes what a person has just decided.
    _replace(session, Standing.SCHEDULED, at)
    if not starts_later:
        _replace(session, Standing.CURRENT, at)
    tell_stopped(session, console, before, now=now, wall=wall)
    row = InstalledLicense(
        raw=staged.raw,
        payload_sha256=verified.payload_sha256,
        license_id=claims.license_id,
        version=claims.version,
        standing=Standing.SCHEDULED if starts_later else Standing.CURRENT,
        keyids=list(verified.keyids),
        issued_at=claims.issued_at,
        valid_from=claims.valid_from,
        valid_until=claims.valid_until,
        grace_until=claims.grace_until,
        file_name=staged.file_name,
        reference=staged.id,
        acknowledged=[packed(each.text) for each in lost],
        created_by=staged.uploaded_by,
        created_at=at,
        in_force_at=None if starts_later else at,
    )
    session.add(row)
    session.flush()  # the receipt names the row
    event = ReceiptEvent.SCHEDULED if starts_later else ReceiptEvent.ACTIVATED
    _tell(session, console, row, event, situation, wall)
    log.info("%s: license %s version %d by %s.", event, row.license_id, row.version, row.created_by)
    return row


def _keep_what_came_inside(session: Session, verified: VerifiedLicense, now: datetime) -> None:
    for root in verified.new_roots:
        session.add(StoredRoot(version=root.version, raw=root.raw, payload_sha256=root.payload_sha256, created_at=now))
    session.flush()  # the chain is read again right away
    if verified.revocations is not None:
        revocations.keep(session, verified.revocations, verified.trust, now)


def _replace(session: Session, standing: Standing, now: datetime) -> None:
    row = current.row_with(session, standing)
    if row is not None:
        row.standing, row.replaced_at = Standing.REPLACED, now
        session.add(row)
        session.flush()  # one current and one scheduled row: the old one has to go before the new one comes


def _tell(
    session: Session, console: Console, row: InstalledLicense, event: ReceiptEvent, situation: Situation, wall: datetime
) -> None:
    store.next_generation(session, situation.now)
    receipts.write(session, console, row, event, console.trust(session), situation.clock, wall)
