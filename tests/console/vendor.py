"""A small vendor for the console's tests: its keys, its trust roots, and licenses dated from now."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workflow.console import accounts
from workflow.console.accounts import ConsoleRole
from workflow.console.identity import Console, Setup, initialize
from workflow.database import transaction
from workflow.license_file import (
    REVOCATIONS_TYPE,
    TRUST_ROOT_TYPE,
    Activation,
    Bindings,
    Contact,
    Count,
    Ed25519Signer,
    Environment,
    Issuer,
    Kind,
    LicenseClaims,
    Licensee,
    Limit,
    Module,
    OnExpiry,
    Over,
    Purpose,
    RevocationContent,
    RevokedLicense,
    RootContent,
    TrustedKey,
    VersionFloor,
    build_root_payload,
    encode_revocations,
    keys_by_id,
    one_group,
    sign_document,
    sign_license,
)
from workflow.settings import Mode
from workflow.times import utc_now

TENANT = "T-20817"
LICENSE_ID = "PROD-7Q2MX-4TBK9-HZ0CE"
ZONE = "Asia/Shanghai"
ADMIN = "wei.zhang@harbourline.example"
OTHER_ADMIN = "yu.chen@harbourline.example"
MEMBER = "lena.ortiz@harbourline.example"
PASSWORD = "correct horse battery"
CONTACT = Contact("SERVICEME license desk", "https://licenses.example", "licensing@serviceme.example", "+86 21 5550 0100")
ENVIRONMENTS = tuple(Environment)
ROOT_KEYS = ("root-1", "root-2", "root-3")


@cache
def signer(name: str) -> Ed25519Signer:
    """The key of that name; it depends on nothing but the name."""
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(sha256(f"vendor {name}".encode()).digest()))


def issuers(environment: str) -> tuple[str, str]:
    """The names of the issuer key and its spare."""
    return f"issuer-{environment.lower()}", f"issuer-{environment.lower()}-spare"


def root_payload(
    version: int = 1, purpose: Purpose = Purpose.DEMO, without: Sequence[str] = (), revoker: str = "revoker"
) -> bytes:
    """A trust root; `without` names issuer keys that it drops, `revoker` the one key that signs revocation lists."""
    names = [name for environment in ENVIRONMENTS for name in issuers(environment) if name not in without]
    listed = [*ROOT_KEYS, *names, revoker, "auditor"]
    content = RootContent(
        version=version,
        purpose=purpose,
        keys=keys_by_id(*(TrustedKey("ed25519", signer(name).public_key, name) for name in listed)),
        root=one_group(2, *(signer(name).keyid for name in ROOT_KEYS)),
        issuers={
            environment: one_group(1, *(signer(name).keyid for name in issuers(environment) if name in names))
            for environment in ENVIRONMENTS
        },
        revokers=one_group(1, signer(revoker).keyid),
        auditors=one_group(1, signer("auditor").keyid),
        issued_at=datetime(2026, 1, 1, tzinfo=UTC),
        expires_at=datetime(2036, 1, 1, tzinfo=UTC),
    )
    return build_root_payload(content)


def root(payload: bytes | None = None) -> bytes:
    """A trust root signed by two of its three root keys."""
    return sign_document(TRUST_ROOT_TYPE, payload or root_payload(), [signer(name) for name in ROOT_KEYS[:2]])


def pin(payload: bytes | None = None) -> str:
    """What an installation pins."""
    return sha256(payload or root_payload()).hexdigest()


def whole(instant: datetime) -> datetime:
    """Instants in files have whole seconds."""
    return instant.replace(microsecond=0)


def claims(
    version: int = 1, *, starts: timedelta = timedelta(days=-30), lasts: timedelta = timedelta(days=365), **other: Any
) -> LicenseClaims:
    """A license that began 30 days ago and lasts a year, with some members changed."""
    now = whole(utc_now())
    start = now + starts
    made = LicenseClaims(
        license_id=LICENSE_ID,
        version=version,
        supersedes=None,
        issuer=Issuer("SERVICEME", "APP-2026-0142", "a1" * 32, 2, "b2" * 32),
        licensee=Licensee(TENANT, "Harbourline Logistics Co., Ltd."),
        contact=CONTACT,
        environment=Environment.PROD,
        issued_at=now - timedelta(hours=1),
        valid_from=start,
        valid_until=start + lasts,
        grace_until=start + lasts + timedelta(days=14),
        time_zone=ZONE,
        on_expiry=OnExpiry.BLOCK_NEW,
        kind=Kind.STANDARD,
        modules=(Module("agent-studio"), Module("knowledge-base"), Module("data-insight"), Module("workflow")),
        model_types=("chat", "embedding", "rerank", "vision", "speech"),
        limits={"agents": Limit(80, Count.TOTAL, Over.BLOCK_NEW), "users": Limit(500, Count.NAMED, Over.WARN)},
        restrictions=(),
        bindings=Bindings(),
        activation=Activation("00112233445566778899aabbccddeeff"),
    )
    return replace(made, **other)


def lic(
    version: int = 1,
    *,
    key: str = "issuer-prod",
    roots: tuple[bytes, ...] = (),
    revocations: bytes | None = None,
    **changes: Any,
) -> bytes:
    """The `.lic` file of such a license."""
    return sign_license(claims(version, **changes), [signer(key)], roots=roots, revocations=revocations)


def lrl(sequence: int, *versions: int, key: str = "revoker", below: int | None = None) -> bytes:
    """A revocation list that calls these versions of the license back, and all `below` a version."""
    now = whole(utc_now())
    content = RevocationContent(
        sequence=sequence,
        issued_at=now - timedelta(hours=1),
        next_update=now + timedelta(days=60),
        licenses=tuple(RevokedLicense(LICENSE_ID, version, "issued by mistake", now) for version in versions),
        floors=() if below is None else (VersionFloor(LICENSE_ID, below),),
    )
    return sign_document(REVOCATIONS_TYPE, encode_revocations(content), [signer(key)])


def fewer(version: int = 2, **changes: Any) -> bytes:
    """A license that takes the speech models away and grants more of the rest."""
    return lic(
        version,
        model_types=("chat", "embedding", "rerank", "vision"),
        modules=tuple(Module(code) for code in ("agent-studio", "knowledge-base", "data-insight", "workflow", "api-access")),
        limits={"agents": Limit(120, Count.TOTAL, Over.BLOCK_NEW), "users": Limit(800, Count.NAMED, Over.WARN)},
        **changes,
    )


def setup(**changes: Any) -> Setup:
    """What `console init` is told."""
    made = Setup(TENANT, "PROD", None, pin(), root(), company="Harbourline Logistics Co., Ltd.", time_zone=ZONE)
    return replace(made, **changes)


def install_console(directory: Path, **changes: Any) -> Console:
    """A console without a license and without accounts (hashing passwords takes its time)."""
    return initialize(directory, setup(**changes), Mode.DEMO, utc_now())


def add_people(console: Console) -> None:
    """Two administrators and one member who is not."""
    with transaction(console.engine) as session:
        for address, name, role in (
            (ADMIN, "Zhang Wei", ConsoleRole.ADMINISTRATOR),
            (OTHER_ADMIN, "Chen Yu", ConsoleRole.ADMINISTRATOR),
            (MEMBER, "Lena Ortiz", ConsoleRole.MEMBER),
        ):
            accounts.ensure_account(session, address, PASSWORD, role, utc_now(), name)
