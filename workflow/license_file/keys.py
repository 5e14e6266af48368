"""Public keys: their ids, the algorithms, and the keys that must be refused. The key decides the algorithm."""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from .errors import KeyUnusable
from .wording import say

VerifyingKey = Ed25519PublicKey | EllipticCurvePublicKey | MLDSA65PublicKey


class Algorithm(StrEnum):
    """The signature algorithms of the format."""

    ED25519 = "ed25519"
    ECDSA_P256_SHA256 = "ecdsa-p256-sha256"
    ML_DSA_65 = "ml-dsa-65"


_P: Final = 2**255 - 19
_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
#: The y coordinates of the eight Ed25519 points of small order. With such a "key" one constant signature fits any
#: message; OpenSSL loads them without complaint.
SMALL_ORDER_Y: Final = frozenset({0, 1, _P - 1, _ORDER_8, _P - _ORDER_8})


def keyid_of(public_key: bytes) -> str:
    """The id of a key: SHA-256 of its DER SubjectPublicKeyInfo, in lowercase hexadecimal digits."""
    return sha256(public_key).hexdigest()


def load_public_key(spki: bytes) -> VerifyingKey:
    """The key in a DER SubjectPublicKeyInfo.

    Raises `KeyUnusable` for other algorithms, for a second spelling of a key (its id would differ, so one key could
    be counted twice) and for Ed25519 keys of small order.
    """
    try:
        key = load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable(say("A public key cannot be read; it must be a DER SubjectPublicKeyInfo.")) from None
    if not isinstance(key, VerifyingKey) or (isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1)):
        raise KeyUnusable(say("A public key is neither Ed25519 nor ECDSA on P-256 nor ML-DSA-65."))
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
        raise KeyUnusable(say("A public key is not in its canonical DER encoding."))
    if isinstance(key, Ed25519PublicKey):
        y = int.from_bytes(key.public_bytes_raw(), "little") & (2**255 - 1)
        if y >= _P or y in SMALL_ORDER_Y:
            raise KeyUnusable(say("An Ed25519 public key is of small order; anybody could sign for it."))
    return key


def algorithm_of(key: VerifyingKey) -> Algorithm:
    """The one algorithm a key is used with."""
    match key:
        case Ed25519PublicKey():
            return Algorithm.ED25519
        case EllipticCurvePublicKey():
            return Algorithm.ECDSA_P256_SHA256
        case _:
            return Algorithm.ML_DSA_65


def is_good_signature(key: VerifyingKey, signature: bytes, message: bytes) -> bool:
    """Whether `signature` (RFC 8032, DER ECDSA, or FIPS 204 with an empty context) is the key's over `message`."""
    try:
        match key:
            case Ed25519PublicKey():
                key.verify(signature, message)
            case EllipticCurvePublicKey():
                key.verify(signature, message, ECDSA(SHA256()))
            case _:
                key.verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
