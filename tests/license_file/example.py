"""One vendor with all its keys, one customer and one license, the same on every run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workflow.license_file import (
    REVOCATIONS_TYPE,
    TRUST_ROOT_TYPE,
    Activation,
    Bindings,
    ClockHealth,
    Contact,
    Count,
    Ed25519Signer,
    Environment,
    Expected,
    Groups,
    Installation,
    Issuer,
    KeyUse,
    Kind,
    LicenseClaims,
    Licensee,
    Limit,
    Module,
    OnExpiry,
    Over,
    Purpose,
    ReceiptClaims,
    ReceiptEvent,
    Restriction,
    RevocationContent,
    RootContent,
    Signer,
    TrustChain,
    TrustedKey,
    TrustRoot,
    build_root_payload,
    encode_claims,
    encode_revocations,
    keys_by_id,
    one_group,
    sign_document,
    sign_license,
    sign_receipt,
)

NOW = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
TENANT = "acme-manufacturing"

CLAIMS = LicenseClaims(
    license_id="PROD-7Q2MX-4TBK9-HZ0CE",
    version=1,
    supersedes=None,
    issuer=Issuer("SERVICEME License Desk", "APP-2026-0142", "a1" * 32, 2, "b2" * 32),
    licensee=Licensee(TENANT, "安可制造 (Acme Manufacturing Co., Ltd.)"),
    contact=Contact("SERVICEME license desk", "https://licenses.example.com", "licenses@example.com", "+86 21 5550 0100"),
    environment=Environment.PROD,
    issued_at=datetime(2026, 10, 1, 8, 0, tzinfo=UTC),
    valid_from=datetime(2026, 10, 31, 16, 0, tzinfo=UTC),
    valid_until=datetime(2027, 3, 31, 16, 0, tzinfo=UTC),
    grace_until=datetime(2027, 4, 14, 16, 0, tzinfo=UTC),
    time_zone="Asia/Shanghai",
    on_expiry=OnExpiry.BLOCK_NEW,
    kind=Kind.STANDARD,
    modules=(Module("agent-studio"), Module("knowledge-base", datetime(2027, 1, 1, tzinfo=UTC))),
    model_types=("chat", "embedding"),
    limits={"agents": Limit(50, Count.TOTAL, Over.BLOCK_NEW), "users": Limit(500, Count.NAMED, Over.WARN)},
    restrictions=(Restriction("internal-use", "For the customer's own employees only."),),
    bindings=Bindings(),
    activation=Activation("00112233445566778899aabbccddeeff"),
    ext={"contract": "C-2026-77"},
)


@cache
def signer(name: str) -> Ed25519Signer:
    """The key of that name; it depends on nothing but the name."""
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(sha256(f"example {name}".encode()).digest()))


def trusted(name: str, use: KeyUse = KeyUse.SIGN) -> TrustedKey:
    """How a trust root lists the key of that name."""
    return TrustedKey("ed25519", signer(name).public_key, name, use)


def role(threshold: int, *names: str) -> Groups:
    """Any `threshold` of the keys of these names."""
    return one_group(threshold, *(signer(name).keyid for name in names))


ROOT_KEYS = ("root-1", "root-2", "root-3")
ISSUERS = {environment: (f"issuer-{environment.lower()}", f"issuer-{environment.lower()}-spare") for environment in Environment}
ROOT_CONTENT = RootContent(
    version=1,
    purpose=Purpose.DEMO,
    keys=keys_by_id(
        *(trusted(name) for name in ROOT_KEYS),
        *(trusted(name) for names in ISSUERS.values() for name in names),
        trusted("revoker"),
        trusted("revoker-spare"),
        trusted("auditor"),
    ),
    root=role(2, *ROOT_KEYS),
    issuers={environment: role(1, *names) for environment, names in ISSUERS.items()},
    revokers=role(1, "revoker", "revoker-spare"),
    auditors=role(1, "auditor"),
    issued_at=datetime(2026, 1, 1, tzinfo=UTC),
    expires_at=datetime(2031, 1, 1, tzinfo=UTC),
)


def signed_root(content: RootContent = ROOT_CONTENT, signers: tuple[str, ...] = ROOT_KEYS[:2]) -> bytes:
    """A trust root document, signed by the keys of these names."""
    return sign_document(TRUST_ROOT_TYPE, build_root_payload(content), [signer(name) for name in signers])


def pin_of(content: RootContent = ROOT_CONTENT) -> str:
    """What an installation pins."""
    return sha256(build_root_payload(content)).hexdigest()


@cache
def trust() -> TrustRoot:
    """Version 1 of the vendor's trust root."""
    return TrustRoot.pinned(signed_root(), pin_of())


def chain(*later: bytes) -> TrustChain:
    """Version 1 and what follows."""
    return TrustChain.load([signed_root(), *later], pin_of())


def claims(**changes: Any) -> LicenseClaims:
    """The example license with some members changed."""
    return replace(CLAIMS, **changes)


def lic(
    key: str | Signer = "issuer-prod", /, *, roots: tuple[bytes, ...] = (), revocations: bytes | None = None, **changes: Any
) -> bytes:
    """The `.lic` file of the example license with some members changed, signed by the key of that name."""
    signing = signer(key) if isinstance(key, str) else key
    return sign_license(claims(**changes), [signing], roots=roots, revocations=revocations)


def lrl(sequence: int = 1, key: str = "revoker", **changes: Any) -> bytes:
    """A revocation list."""
    content = RevocationContent(
        sequence=sequence,
        issued_at=datetime(2026, 10, 20, tzinfo=UTC),
        next_update=datetime(2026, 12, 20, tzinfo=UTC),
    )
    return sign_document(REVOCATIONS_TYPE, encode_revocations(replace(content, **changes)), [signer(key)])


PLATFORM = Expected(tenant_id=TENANT, environment="PROD")


@cache
def installation() -> Installation:
    """The platform, as its receipts name it."""
    return Installation.of("inst-1", signer("installation"))


RECEIPT = ReceiptClaims(
    receipt_id="0199aaaa-0000-7000-8000-000000000001",
    license_id=CLAIMS.license_id,
    version=1,
    payload_sha256=sha256(encode_claims(CLAIMS)).hexdigest(),
    event=ReceiptEvent.ACTIVATED,
    reason="",
    tenant_id=TENANT,
    environment=Environment.PROD,
    installation=installation(),
    at=NOW,
    platform_version="4.2.0",
    trust_root_version=1,
    revocation_sequence=0,
    clock=ClockHealth.OK,
    previous=None,
)


def receipt(key: str = "installation", **changes: Any) -> bytes:
    """The `.lrc` file of the example receipt with some members changed."""
    return sign_receipt(replace(RECEIPT, **changes), signer(key))
