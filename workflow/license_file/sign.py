"""Signing: claims in, the bytes of a `.lic` file out. Which key may sign is the caller's and the trust root's business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .claims import LICENSE_TYPE, LicenseClaims
from .envelope import MAX_PAYLOAD, MAX_PAYLOAD_TO_SIGN, Envelope, Signature, decode, encode, signed_bytes
from .errors import TooLarge
from .keys import algorithm_of, keyid_of, load_public_key
from .payload import decode_claims, encode_claims


class Signer(Protocol):
    """A private key that may live anywhere: in a file, in a token, in a key management service."""

    @property
    def keyid(self) -> str:
        """The id of the key, see `keyid_of`."""

    @property
    def alg(self) -> str:
        """The algorithm, one of `Algorithm`."""

    @property
    def public_key(self) -> bytes:
        """DER SubjectPublicKeyInfo."""

    def sign(self, message: bytes) -> bytes:
        """The signature over the raw message of at most 4,096 bytes."""


class _PrivateKeySigner:
    def __init__(self, private_key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> None:
        self.public_key = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.keyid = keyid_of(self.public_key)
        self.alg: str = algorithm_of(load_public_key(self.public_key))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.keyid[:16]})"


class Ed25519Signer(_PrivateKeySigner):
    """Signs with an Ed25519 key held in memory."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        super().__init__(private_key)
        self._private_key = private_key

    def sign(self, message: bytes) -> bytes:
        """64 bytes, the same for the same message."""
        return self._private_key.sign(message)


class EcdsaSigner(_PrivateKeySigner):
    """Signs with an ECDSA key on P-256 held in memory. Raises `KeyUnusable` for another curve."""

    def __init__(self, private_key: EllipticCurvePrivateKey) -> None:
        super().__init__(private_key)
        self._private_key = private_key

    def sign(self, message: bytes) -> bytes:
        """A DER signature, different on each call."""
        return self._private_key.sign(message, ECDSA(SHA256()))


def sign_license(
    claims: LicenseClaims | bytes,
    signers: Sequence[Signer],
    *,
    roots: Sequence[bytes] = (),
    revocations: bytes | None = None,
) -> bytes:
    """The `.lic` file for `claims`, or for payload bytes that were built and stored before.

    Raises `MalformedLicense` for claims that no platform would accept and `TooLarge` for a payload above
    `MAX_PAYLOAD_TO_SIGN` bytes.
    """
    payload = claims if isinstance(claims, bytes) else encode_claims(claims)
    decode_claims(payload)
    if len(payload) > MAX_PAYLOAD_TO_SIGN:
        raise TooLarge(
            f"The license would have {len(payload):,} bytes; at most {MAX_PAYLOAD_TO_SIGN:,} can be signed. "
            "Shorten the texts of the restrictions or list fewer modules."
        )
    return encode(Envelope(LICENSE_TYPE, payload, _signatures(LICENSE_TYPE, payload, signers), tuple(roots), revocations))


def sign_document(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> bytes:
    """The envelope around any other payload: a trust root, a revocation list, a receipt. Raises `TooLarge`."""
    if len(payload) > MAX_PAYLOAD:
        raise TooLarge(f"The document has {len(payload):,} bytes; at most {MAX_PAYLOAD:,} can be signed.")
    return encode(Envelope(payload_type, payload, _signatures(payload_type, payload, signers)))


def join_signatures(raws: Sequence[bytes]) -> bytes:
    """One document out of several that each carry some of its signatures, as when people sign at different places.

    Raises `ValueError` unless all are the very same document, and `LicenseRefused` for one that cannot be read.
    """
    envelopes = [decode(raw) for raw in raws]
    if len({(each.payload_type, each.payload) for each in envelopes}) != 1:
        raise ValueError("the signatures belong to different documents")
    signatures = {each.keyid: each for envelope in envelopes for each in envelope.signatures}
    return encode(Envelope(envelopes[0].payload_type, envelopes[0].payload, tuple(signatures.values())))


def _signatures(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> tuple[Signature, ...]:
    if not signers or len({signer.keyid for signer in signers}) != len(signers):
        raise ValueError("signing needs at least one signer, each with its own key")
    message = signed_bytes(payload_type, payload)
    return tuple(Signature(signer.keyid, signer.sign(message)) for signer in signers)
