"""The activation receipt: what a platform did with a license, signed by the key that the platform made at first start.

A good signature only says which installation wrote it. Anyone can make a key, so an operator confirms each one.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64encode
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from . import envelope as container
from . import strict_json
from .claims import CROCKFORD, Environment
from .envelope import Envelope, signed_bytes
from .errors import BadSignature, KeyUnusable, MalformedLicense, WrongType
from .fields import Members, instant_text, lower_hex
from .keys import Algorithm, algorithm_of, is_good_signature, keyid_of, load_public_key
from .payload import license_id_from
from .sign import Signer, sign_document

RECEIPT_TYPE: Final = "application/vnd.serviceme.activation-receipt.v1+json"
SCHEMA: Final = 1
#: Largest receipt that is read, in bytes.
MAX_RECEIPT: Final = 16_384


class ReceiptEvent(StrEnum):
    """What happened to the license on the platform."""

    SCHEDULED = "scheduled"
    ACTIVATED = "activated"
    REFUSED = "refused"
    DEACTIVATED = "deactivated"


class ClockHealth(StrEnum):
    """How the platform's wall clock compared with the time it has already seen."""

    OK = "ok"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Installation:
    """A platform: its random id and the Ed25519 key (DER SubjectPublicKeyInfo) made at its first start."""

    id: str
    keyid: str
    spki: bytes

    @staticmethod
    def of(installation_id: str, signer: Signer) -> Installation:
        """The installation that signs with this key."""
        return Installation(installation_id, signer.keyid, signer.public_key)


@dataclass(frozen=True, slots=True)
class ReceiptClaims:
    """The members of a receipt. `reason` is the code of a refusal, else empty. `revocation_sequence` is 0 without a
    list. `previous` is the SHA-256 of the payload of this installation's receipt before, None for the first."""

    receipt_id: str
    license_id: str
    version: int
    payload_sha256: str
    event: ReceiptEvent
    reason: str
    tenant_id: str
    environment: Environment
    installation: Installation
    at: datetime
    platform_version: str
    trust_root_version: int
    revocation_sequence: int
    clock: ClockHealth
    previous: str | None


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt whose signature fits the installation key inside it."""

    claims: ReceiptClaims
    payload: bytes
    payload_sha256: str
    keyid: str


def encode_receipt(claims: ReceiptClaims) -> bytes:
    """The payload of a receipt. Raises `MalformedLicense`."""
    payload = strict_json.canonical(
        {
            "type": "activation-receipt",
            "schema": SCHEMA,
            "receipt_id": claims.receipt_id,
            "license_id": claims.license_id,
            "version": claims.version,
            "payload_sha256": claims.payload_sha256,
            "event": claims.event,
            "reason": claims.reason,
            "tenant_id": claims.tenant_id,
            "environment": claims.environment,
            "installation": {
                "id": claims.installation.id,
                "keyid": claims.installation.keyid,
                "spki": b64encode(claims.installation.spki).decode("ascii"),
            },
            "at": instant_text(claims.at),
            "platform_version": claims.platform_version,
            "trust_root_version": claims.trust_root_version,
            "revocation_sequence": claims.revocation_sequence,
            "clock": claims.clock,
            "previous": claims.previous,
        }
    )
    decode_receipt(payload)
    return payload


def decode_receipt(payload: bytes) -> ReceiptClaims:
    """The members of a receipt. Raises `MalformedLicense`."""
    members = Members(strict_json.decode(payload))
    members.fixed("type", "activation-receipt")
    members.fixed("schema", SCHEMA)
    previous = members.take("previous")
    claims = ReceiptClaims(
        receipt_id=members.code("receipt_id"),
        license_id=license_id_from(members),
        version=members.integer("version", least=1),
        payload_sha256=members.digest("payload_sha256"),
        event=members.choice("event", ReceiptEvent),
        reason=members.text("reason", longest=100, least=0),
        tenant_id=members.text("tenant_id", longest=100),
        environment=members.choice("environment", Environment),
        installation=_installation(members.object("installation")),
        at=members.instant("at"),
        platform_version=members.text("platform_version", longest=50),
        trust_root_version=members.integer("trust_root_version", least=1),
        revocation_sequence=members.integer("revocation_sequence", least=0),
        clock=members.choice("clock", ClockHealth),
        previous=None if previous is None else lower_hex(previous, "previous", 64),
    )
    members.end()
    return claims


def sign_receipt(claims: ReceiptClaims, signer: Signer) -> bytes:
    """The `.lrc` file. `signer` is the installation's own key; another one raises `ValueError`."""
    if signer.public_key != claims.installation.spki:
        raise ValueError("a receipt is signed with the key of its installation")
    return sign_document(RECEIPT_TYPE, encode_receipt(claims), [signer])


def verify_receipt(raw: bytes) -> VerifiedReceipt:
    """Verify a `.lrc` file of at most `MAX_RECEIPT` bytes.

    The key is inside the receipt, so unlike a license it is parsed before the signature is checked. Raises
    `LicenseRefused`: TooLarge, Damaged, WrongType, MalformedLicense or BadSignature.
    """
    envelope = container.decode(raw, limit=MAX_RECEIPT)
    if envelope.payload_type != RECEIPT_TYPE:
        raise WrongType("This is not an activation receipt. Choose the .lrc file that License Management offers.")
    claims = decode_receipt(envelope.payload)
    _require_self_signed(envelope, claims)
    return VerifiedReceipt(claims, envelope.payload, sha256(envelope.payload).hexdigest(), claims.installation.keyid)


def phone_code(activation_code: str, license_id: str, version: int, installation_id: str, day: date) -> str:
    """The activation as 16 characters that can be read out: whoever knows it held the file (80 bits)."""
    message = f"{license_id}|{version}|{installation_id}|{day.isoformat()}"
    digest = hmac.digest(bytes.fromhex(activation_code), message.encode(), sha256)
    number = int.from_bytes(digest[:10], "big")
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(75, -5, -5))


def _installation(members: Members) -> Installation:
    text = members.text("spki", longest=200)
    try:
        spki = binascii.a2b_base64(text)
        key = load_public_key(spki)
    except (binascii.Error, ValueError, KeyUnusable):
        raise MalformedLicense("installation.spki is not a usable public key.") from None
    installation = Installation(members.code("id"), members.digest("keyid"), spki)
    members.end()
    if algorithm_of(key) is not Algorithm.ED25519 or b64encode(spki).decode("ascii") != text:
        raise MalformedLicense("installation.spki is not an Ed25519 key in canonical base64.")
    if keyid_of(spki) != installation.keyid:
        raise MalformedLicense("installation.keyid is not the id of installation.spki.")
    return installation


def _require_self_signed(envelope: Envelope, claims: ReceiptClaims) -> None:
    message = signed_bytes(envelope.payload_type, envelope.payload)
    key = load_public_key(claims.installation.spki)
    if [each.keyid for each in envelope.signatures] != [claims.installation.keyid] or not is_good_signature(
        key, envelope.signatures[0].sig, message
    ):
        raise BadSignature("The receipt was changed after it was signed. Download it again in License Management.")
