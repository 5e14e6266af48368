"""What platforms report: receipts as they arrive, and the operator's word that an installation is who it says.

Anyone who holds a `.lic` can make a key and a receipt, so a receipt of an unconfirmed installation is kept and changes
nothing. The signature is the only credential.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import applications, customers, events, licenses, moves
from workflow.db.tables import Application, Installation, IssuedLicense, Receipt
from workflow.domain.application import COUNTING, Action, Standing, Status, allows
from workflow.domain.events import (
    Event,
    LicenseActivated,
    LicenseScheduled,
    LicenseSuperseded,
    ReceiptHandedIn,
    ReceiptKept,
    SystemFact,
)
from workflow.domain.roles import Actor, Permission, require, system
from workflow.errors import NotFound
from workflow.license_file import ReceiptEvent, VerifiedReceipt, verify_receipt

MOST_UNCONFIRMED = 5
MOST_WAITING = 20
"""Anyone who holds a `.lic` can send receipts: so many unconfirmed keys per license, so many receipts of each."""
PLATFORM = system("platform")


def concerns_us(session: Session, raw: bytes) -> bool:
    """Whether these bytes are a well-signed receipt of a license of this desk. Only looks. Raises LicenseRefused."""
    return licenses.find_by_payload(session, verify_receipt(raw).claims.payload_sha256) is not None


def record_receipt(session: Session, raw: bytes, now: datetime) -> Receipt | None:
    """Keeps a receipt and, when its installation is confirmed, applies it. Returns None when there is nothing to keep it for.

    Raises LicenseRefused for bytes that are no well-signed receipt. The same receipt again changes nothing; other bytes under
    a known receipt id are not kept, nor is a receipt for a payload this desk never issued, or of an installation that belongs
    to another environment.
    """
    verified = verify_receipt(raw)
    claims = verified.claims
    issued = licenses.find_by_payload(session, claims.payload_sha256)
    if issued is None or (issued.license_id, issued.version) != (claims.license_id, claims.version):
        return None
    environment, tenant = customers.environment_with_tenant(session, issued.environment)
    if (tenant.tenant_id, environment.name) != (claims.tenant_id, claims.environment.value):
        return None
    digest = hashlib.sha256(raw).hexdigest()
    known = session.get(Receipt, claims.receipt_id)
    if known is not None:
        return known if known.sha256 == digest else None
    installation = licenses.lock_installation(session, claims.installation.id, verified.keyid)
    if installation is not None and installation.environment != issued.environment:
        return None  # whoever holds another environment's file must not speak for it
    if installation is None:
        if licenses.unconfirmed_for(session, issued.id) >= MOST_UNCONFIRMED:
            return None
        installation = Installation(
            installation_id=claims.installation.id,
            keyid=verified.keyid,
            environment=environment.id,
            first_seen_at=now,
        )
        session.add(installation)
        session.flush()  # the receipt refers to it
    elif installation.confirmed_at is None and len(licenses.waiting_receipts(session, installation.id)) >= MOST_WAITING:
        return None
    receipt = Receipt(
        receipt_id=claims.receipt_id,
        installation=installation.id,
        license=issued.id,
        event=claims.event.value,
        envelope=raw,
        sha256=digest,
        at=claims.at,
        received_at=now,
    )
    session.add(receipt)
    session.flush()  # a second one with this id fails here, before it is applied
    if installation.confirmed_at is not None:
        _apply(session, receipt, issued, verified, now)
    return receipt


def hand_in(session: Session, actor: Actor, raw: bytes, now: datetime) -> Receipt | None:
    """`record_receipt` for a file that a person brings; the history of the application says who.

    The person vouches for nothing: the signature stays the only credential. What has arrived before is not told again.
    """
    claims = verify_receipt(raw).claims
    is_news = session.get(Receipt, claims.receipt_id) is None
    receipt = record_receipt(session, raw, now)
    if receipt is not None and is_news:
        issued = licenses.get_license(session, receipt.license)
        application = applications.get_locked(session, issued.application)
        fact = ReceiptHandedIn(claims.license_id, claims.version, claims.installation.id, claims.receipt_id, claims.event.value)
        outbox.record(session, fact, actor, now, application=application)
    return receipt


def carriers(session: Session, application: UUID) -> Mapping[str, str]:
    """Who brought which receipt as a file, by its id, for the licenses of one application; the others came by themselves."""
    told = events.of_kind(session, str(application), ReceiptHandedIn.type)
    return {json.loads(each.payload)["receipt_id"]: each.actor_name for each in told}


def confirm_installation(session: Session, actor: Actor, installation_id: UUID, now: datetime) -> Installation:
    """An operator vouches for an installation's key fingerprint; what it sent so far is applied, in its order."""
    require(actor, Permission.OPERATE)
    installation = session.get(Installation, installation_id, with_for_update=True, populate_existing=True)
    if installation is None:
        raise NotFound("There is no such installation.")
    if installation.confirmed_at is not None:
        return installation
    installation.confirmed_at, installation.confirmed_by = now, actor.person_id
    outbox.record(session, SystemFact("installation.confirmed", installation.installation_id, installation.keyid), actor, now)
    for receipt in licenses.waiting_receipts(session, installation.id):
        _apply(session, receipt, licenses.get_license(session, receipt.license), verify_receipt(receipt.envelope), now)
    return installation


def expect_installation(
    session: Session, actor: Actor, environment: UUID, installation_id: str, keyid: str, now: datetime
) -> Installation:
    """Confirms an installation whose fingerprint is known before its first receipt, as set-up on one machine does."""
    require(actor, Permission.OPERATE)
    found = licenses.lock_installation(session, installation_id, keyid)
    if found is None:
        found = Installation(installation_id=installation_id, keyid=keyid, environment=environment, first_seen_at=now)
        session.add(found)
        session.flush()  # confirmed by its id
    return confirm_installation(session, actor, found.id, now)


def _apply(session: Session, receipt: Receipt, issued: IssuedLicense, verified: VerifiedReceipt, now: datetime) -> None:
    application = applications.get_locked(session, issued.application)
    match verified.claims.event:
        case ReceiptEvent.ACTIVATED:
            reason = _activate(session, receipt, issued, application, verified, now)
        case ReceiptEvent.SCHEDULED:
            reason = _schedule(session, receipt, issued, application, verified, now)
        case ReceiptEvent.REFUSED | ReceiptEvent.DEACTIVATED:
            why = f": {verified.claims.reason}" if verified.claims.reason else ""
            reason = f"It reports that the license was {verified.claims.event.value}{why}."
    receipt.outcome, receipt.reason = ("kept", reason) if reason else ("applied", None)
    if reason:
        kept = ReceiptKept(receipt.receipt_id, receipt.event, reason)
        outbox.record(session, kept, PLATFORM, now, application=application)


def _activate(
    session: Session,
    receipt: Receipt,
    issued: IssuedLicense,
    application: Application,
    verified: VerifiedReceipt,
    now: datetime,
) -> str | None:
    """Returns why the receipt changes nothing, or None when it did."""
    if not allows(Status(application.status), Action.ACTIVATE):
        return f"The application is {application.status} already."
    if issued.version <= licenses.highest_activated(session, issued.license_id):
        return "A newer version was activated before."
    for older in licenses.predecessors_of(session, issued):
        _supersede(session, older, issued, now)
    licenses.change_standing(
        session, issued, (Standing.ISSUED, Standing.SCHEDULED), standing=Standing.ACTIVATED, activated_at=verified.claims.at
    )
    moves.move(session, application, Action.ACTIVATE, now)
    claims = verified.claims
    fact = LicenseActivated(
        issued.license_id, issued.version, claims.installation.id, receipt.receipt_id, claims.at.isoformat()
    )
    outbox.record(session, fact, PLATFORM, now, application=application)
    return None


def _schedule(
    session: Session,
    receipt: Receipt,
    issued: IssuedLicense,
    application: Application,
    verified: VerifiedReceipt,
    now: datetime,
) -> str | None:
    if not licenses.change_standing(session, issued, (Standing.ISSUED,), standing=Standing.SCHEDULED):
        return f"The license is {issued.standing} already."
    fact: Event = LicenseScheduled(issued.license_id, issued.version, verified.claims.installation.id, receipt.receipt_id)
    outbox.record(session, fact, PLATFORM, now, application=application)
    return None


def _supersede(session: Session, older: IssuedLicense, by: IssuedLicense, now: datetime) -> None:
    application = applications.get_application_by_id(session, older.application)
    licenses.change_standing(
        session,
        older,
        COUNTING,
        standing=Standing.SUPERSEDED,
        superseded_by=by.id,
        next_reminder_at=None,
    )
    if allows(Status(application.status), Action.SUPERSEDE):
        moves.move(session, application, Action.SUPERSEDE, now)
        fact = LicenseSuperseded(older.license_id, older.version, by.version)
        outbox.record(session, fact, PLATFORM, now, application=application)
