"""A license on its way through the desk, and the platform that reports what became of it."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import select

from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.queries import licenses
from workflow.db.tables import Installation
from workflow.domain.events import Job
from workflow.license_file import (
    ClockHealth,
    Ed25519Signer,
    ReceiptClaims,
    ReceiptEvent,
    sign_receipt,
    verify_license,
)
from workflow.license_file import Installation as Platform
from workflow.services import receipts
from workflow.times import wall_now

PLATFORM_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def issue(company: Company, **changes: Any) -> str:
    """An application that is delivered; returns its number."""
    number = company.apply(**changes)
    company.approve(number)
    company.run(Job.SIGN)
    company.run(Job.DELIVER)
    return number


def receipt_for(company: Company, number: str, event: ReceiptEvent = ReceiptEvent.ACTIVATED, serial: int = 1) -> bytes:
    """What a platform writes once it has activated the license of an application. `serial` tells receipts apart."""
    with transaction(company.engine) as session:
        application = company.application(number)
        raw = licenses.get_of_application(session, application.id).envelope
    verified = verify_license(raw, company.room.chain().current, None, wall_now())
    claims = verified.claims
    signer = Ed25519Signer(PLATFORM_KEY)
    return sign_receipt(
        ReceiptClaims(
            receipt_id=f"01930000-0000-7000-8000-{serial:012d}",
            license_id=claims.license_id,
            version=claims.version,
            payload_sha256=verified.payload_sha256,
            event=event,
            reason="",
            tenant_id=claims.licensee.tenant_id,
            environment=claims.environment,
            installation=Platform.of("01920000-0000-7000-8000-00000000000a", signer),
            at=wall_now().replace(microsecond=0),
            platform_version="1",
            trust_root_version=1,
            revocation_sequence=0,
            previous=None,
            clock=ClockHealth.OK,
        ),
        signer,
    )


def confirm(company: Company) -> None:
    """The operator vouches for every platform that has reported."""
    with transaction(company.engine) as session:
        for each in session.exec(select(Installation)).all():
            receipts.confirm_installation(session, company.operator, each.id, wall_now())
