"""Receipts: signed by the installation's own key, chained, kept in an outbox until the desk has taken them.

On a machine with no way to the desk they wait here and are downloaded as `.lrc` files.
"""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import httpx
from sqlmodel import Session, col, or_, select

from workflow.console import revocations
from workflow.console.clock import ClockReading
from workflow.console.identity import Console
from workflow.console.store import InstalledLicense, OutgoingReceipt, SendState, installation_of
from workflow.database import reading, transaction
from workflow.errors import NotFound
from workflow.license_file import (
    ClockHealth,
    Environment,
    Installation,
    LicenseRefused,
    ReceiptClaims,
    ReceiptEvent,
    TrustRoot,
    say,
    sign_receipt,
    verify_receipt,
)

MEDIA_TYPE = "application/vnd.serviceme.activation-receipt+json"
PLATFORM_VERSION = "1"
TIMEOUT = timedelta(seconds=10)
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=15)
AT_ONCE = 10

log = logging.getLogger("licdesk.console.receipts")


class NoSuchReceipt(NotFound):
    """No receipt with this number."""

    code = "console.no_receipt"


@dataclass(frozen=True)
class Waiting:
    """A receipt that is due, copied out of the transaction that claimed it."""

    sequence: int
    raw: bytes
    attempts: int


def write(
    session: Session,
    console: Console,
    row: InstalledLicense,
    event: ReceiptEvent,
    trust: TrustRoot,
    clock: ClockReading,
    now: datetime,
    reason: str = "",
) -> OutgoingReceipt:
    """Signs the receipt for what just happened to `row` and puts it in the outbox, chained to the one before.

    Belongs to the transaction that made it true. `now` is the wall clock, for the retries; `reason` is the code of what stopped
    the license.
    """
    if row.id is None:
        raise ValueError("a license is stored before its receipt is written")
    about = _About(row.license_id, row.version, row.payload_sha256)
    receipt = _signed(session, console, about, event, reason, trust, clock, now)
    receipt.installed_id = row.id
    return receipt


def write_refusal(
    session: Session,
    console: Console,
    refused: LicenseRefused,
    upload_id: str,
    trust: TrustRoot,
    clock: ClockReading,
    now: datetime,
) -> OutgoingReceipt | None:
    """The same for a file that was refused, so that the desk learns that its license did not arrive where it should.

    None when the file is not genuine: it names no license that anybody has issued.
    """
    if refused.claims is None or refused.payload_sha256 is None:
        return None
    about = _About(refused.claims.license_id, refused.claims.version, refused.payload_sha256)
    receipt = _signed(session, console, about, ReceiptEvent.REFUSED, refused.code, trust, clock, now)
    receipt.refused_id = upload_id
    return receipt


@dataclass(frozen=True)
class _About:
    """The license that a receipt names."""

    license_id: str
    version: int
    payload_sha256: str


def _signed(
    session: Session,
    console: Console,
    about: _About,
    event: ReceiptEvent,
    reason: str,
    trust: TrustRoot,
    clock: ClockReading,
    now: datetime,
) -> OutgoingReceipt:
    listed = revocations.held(session, trust, clock.now)
    claims = ReceiptClaims(
        receipt_id=str(uuid4()),
        license_id=about.license_id,
        version=about.version,
        payload_sha256=about.payload_sha256,
        event=event,
        reason=reason,
        tenant_id=console.identity.tenant_id,
        environment=Environment(console.identity.environment),
        installation=Installation.of(console.identity.installation_id, console.signer),
        at=clock.now.replace(microsecond=0),
        platform_version=PLATFORM_VERSION,
        trust_root_version=trust.version,
        revocation_sequence=listed.sequence if listed else 0,
        clock=ClockHealth.BEHIND if clock.is_suspect else ClockHealth.OK,
        previous=_last_digest(session),
    )
    raw = sign_receipt(claims, console.signer)
    receipt = OutgoingReceipt(
        receipt_id=claims.receipt_id,
        raw=raw,
        payload_sha256=verify_receipt(raw).payload_sha256,
        event=event.value,
        created_at=clock.now,
        next_at=now,
    )
    session.add(receipt)
    return receipt


def of_license(session: Session, installed_id: int) -> Sequence[OutgoingReceipt]:
    """The receipts about one installed license, oldest first."""
    found = select(OutgoingReceipt).where(col(OutgoingReceipt.installed_id) == installed_id)
    return session.exec(found.order_by(col(OutgoingReceipt.sequence))).all()


def of_refusal(session: Session, upload_id: str) -> OutgoingReceipt | None:
    """The receipt about a refused file; None when the file was not genuine."""
    return session.exec(select(OutgoingReceipt).where(col(OutgoingReceipt.refused_id) == upload_id)).first()


def get_receipt(session: Session, sequence: int) -> OutgoingReceipt:
    """The receipt with this number. Raises NoSuchReceipt."""
    found = session.get(OutgoingReceipt, sequence)
    if found is None:
        raise NoSuchReceipt(say("There is no such receipt here."))
    return found


def file_name(receipt: OutgoingReceipt) -> str:
    """PROD-7Q2MX-4TBK9-HZ0CE-v2-activated.lrc"""
    claims = verify_receipt(receipt.raw).claims
    return f"{claims.license_id}-v{claims.version}-{receipt.event}.lrc"


def desk_address(console: Console, configured: str | None) -> str | None:
    """Where receipts are posted: the setting, else what `console init` was told; None: nowhere, files only."""
    with reading(console.engine) as session:
        return configured or installation_of(session).desk_url


def send_waiting(console: Console, desk_url: str, client: httpx.Client, wall: datetime, now: datetime) -> int:
    """Posts the receipts that are due, oldest first, and returns how many the desk took.

    `wall` is the machine's time, for the retries; `now` is shown. The first failure ends the round: the desk is away,
    and the order is worth keeping. A receipt sent twice (its answer was lost) is harmless, the desk knows its id.
    """
    sent = 0
    while sent < AT_ONCE and (waiting := _claim_next(console, wall)) is not None:
        problem = _post(client, desk_url, waiting.raw)
        with transaction(console.engine) as session:
            receipt = session.get_one(OutgoingReceipt, waiting.sequence)
            receipt.last_error = problem
            if problem is None:
                receipt.state, receipt.sent_at = SendState.SENT, now
            else:
                receipt.next_at = wall + _pause(waiting.attempts)
            session.add(receipt)
        if problem is not None:
            log.warning("Receipt %d was not taken by the desk: %s", waiting.sequence, problem)
            break
        sent += 1
    return sent


def _claim_next(console: Console, wall: datetime) -> Waiting | None:
    # No pause is that long: it was set by a clock that was ahead, as a machine's may be before it has asked the network.
    due = or_(col(OutgoingReceipt.next_at) <= wall, col(OutgoingReceipt.next_at) > wall + 2 * LONGEST_PAUSE)
    with transaction(console.engine) as session:
        receipt = session.exec(
            select(OutgoingReceipt)
            .where(col(OutgoingReceipt.state) == SendState.WAITING, due)
            .order_by(col(OutgoingReceipt.sequence))
            .limit(1)
        ).first()
        if receipt is None or receipt.sequence is None:
            return None
        receipt.attempts += 1
        # Until the answer is known another process leaves it alone; after a crash it is due again by itself.
        receipt.next_at = wall + 2 * TIMEOUT
        session.add(receipt)
        return Waiting(receipt.sequence, receipt.raw, receipt.attempts)


def _post(client: httpx.Client, desk_url: str, raw: bytes) -> str | None:
    """None when the desk took it, else what to show a person."""
    address = f"{desk_url.rstrip('/')}/api/v1/receipts"
    headers = {"Content-Type": MEDIA_TYPE}
    try:
        answer = client.post(address, content=raw, headers=headers, timeout=TIMEOUT.total_seconds())
    except httpx.HTTPError as error:
        return say("The desk cannot be reached (%(error)s).", error=type(error).__name__)
    if answer.status_code == httpx.codes.ACCEPTED:
        return None
    return say("The desk answered %(status)s.", status=answer.status_code)


def _pause(attempts: int) -> timedelta:
    pause = min(FIRST_PAUSE * 2.0 ** min(attempts - 1, 12), LONGEST_PAUSE)
    return pause + pause * secrets.randbelow(200) / 1000  # many consoles must not knock at the same second


def _last_digest(session: Session) -> str | None:
    newest = select(OutgoingReceipt.payload_sha256).order_by(col(OutgoingReceipt.sequence).desc()).limit(1)
    return session.exec(newest).first()
