"""Cryptographic Message Syntax, written directly as DER: a detached signature, and content encrypted to one certificate.

RSA recipients get KeyTransRecipientInfo (RFC 5652, RFC 3370), those with an elliptic curve KeyAgreeRecipientInfo with an
ephemeral key (RFC 5753). Only what mail programs of today read is written: no GCM and no OAEP, since some show nothing then.
"""

import hashlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import assert_never

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from workflow.certificates import SignerKey

KEY_BYTES, BLOCK_BYTES = 32, 16

# Tags (X.690): universal ones, and the context-specific ones [0] to [2] around a value or, "primitive", in place of its tag.
INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x02, 0x03, 0x04, 0x05, 0x06
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31
CONTEXT_0, CONTEXT_1, CONTEXT_2, PRIMITIVE_0 = 0xA0, 0xA1, 0xA2, 0x80


def der(tag: int, *contents: bytes) -> bytes:
    """One value: its tag, its length in the shortest form, its content."""
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def integer(value: int) -> bytes:
    """An INTEGER that is not negative."""
    return der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    first, second, *others = map(int, dotted.split("."))
    octets = bytearray()
    for number in (40 * first + second, *others):
        piece = [number & 0x7F]
        while number := number >> 7:
            piece.append(0x80 | number & 0x7F)
        octets += bytes(reversed(piece))
    return der(OID, bytes(octets))


DATA = oid("1.2.840.113549.1.7.1")
SIGNED_DATA = oid("1.2.840.113549.1.7.2")
ENVELOPED_DATA = oid("1.2.840.113549.1.7.3")
CONTENT_TYPE = oid("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = oid("1.2.840.113549.1.9.4")
SIGNING_TIME = oid("1.2.840.113549.1.9.5")
CAPABILITIES = oid("1.2.840.113549.1.9.15")
AES_256_CBC = oid("2.16.840.1.101.3.4.1.42")
SHA_256 = der(SEQUENCE, oid("2.16.840.1.101.3.4.2.1"))
RSA = der(SEQUENCE, oid("1.2.840.113549.1.1.1"), der(NULL))
ECDSA_SHA_256 = der(SEQUENCE, oid("1.2.840.10045.4.3.2"))
# The public key of the sender's side has the recipient's curve: its parameters are left out (RFC 5753, 3.1.1).
EC_PUBLIC_KEY = der(SEQUENCE, oid("1.2.840.10045.2.1"))
AES_256_WRAP = der(SEQUENCE, oid("2.16.840.1.101.3.4.1.45"))
STANDARD_DH_SHA_256 = der(SEQUENCE, oid("1.3.132.1.11.1"), AES_256_WRAP)

# What the key of the key is derived with (ECC-CMS-SharedInfo, RFC 5753, 7.2): what it is for, and its length in bits.
SHARED_INFO = der(SEQUENCE, AES_256_WRAP, der(CONTEXT_2, der(OCTET_STRING, (8 * KEY_BYTES).to_bytes(4, "big"))))

# Which ciphers an answer may use: those that every mail program that reads this has.
_CAPABILITIES = der(
    SEQUENCE, CAPABILITIES, der(SET, der(SEQUENCE, der(SEQUENCE, AES_256_CBC), der(SEQUENCE, oid("2.16.840.1.101.3.4.1.2"))))
)
_CONTENT_IS_DATA = der(SEQUENCE, CONTENT_TYPE, der(SET, DATA))


def signature_over(
    content: bytes, certificate: x509.Certificate, key: SignerKey, chain: Sequence[x509.Certificate], at: datetime
) -> bytes:
    """A detached SignedData over exactly `content`, with the certificates that lead to the authority."""
    attributes = _signed_attributes(content, at)
    # Signed is the SET itself; in the message it stands under [0] (RFC 5652, 5.4).
    match key:
        case ec.EllipticCurvePrivateKey():
            algorithm, signature = ECDSA_SHA_256, key.sign(der(SET, attributes), ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPrivateKey():
            algorithm, signature = RSA, key.sign(der(SET, attributes), padding.PKCS1v15(), hashes.SHA256())
        case _:
            assert_never(key)
    signer = der(
        SEQUENCE,
        integer(1),
        issuer_and_serial(certificate),
        SHA_256,
        der(CONTEXT_0, attributes),
        algorithm,
        der(OCTET_STRING, signature),
    )
    signed = der(
        SEQUENCE,
        integer(1),
        der(SET, SHA_256),
        der(SEQUENCE, DATA),
        der(CONTEXT_0, *sorted(map(_as_der, (certificate, *chain)))),  # a SET OF: in the order of its bytes
        der(SET, signer),
    )
    return der(SEQUENCE, SIGNED_DATA, der(CONTEXT_0, signed))


def encrypted_to(certificate: x509.Certificate, content: bytes) -> bytes:
    """An EnvelopedData with `content`, AES-256-CBC, that only the owner of the certificate opens.

    The caller has checked the certificate with `certificates.read_certificate`: its key is RSA, or on a NIST curve.
    """
    content_key, first_block = os.urandom(KEY_BYTES), os.urandom(BLOCK_BYTES)
    match key := certificate.public_key():
        case rsa.RSAPublicKey():
            version, recipient = 0, _transported(certificate, key, content_key)
        case ec.EllipticCurvePublicKey():
            version, recipient = 2, _agreed(certificate, key, content_key)
        case _:
            raise TypeError("the certificate's key was to be checked before: RSA or an elliptic curve")
    cipher = Cipher(AES256(content_key), CBC(first_block)).encryptor()
    padded = BLOCK_BYTES - len(content) % BLOCK_BYTES  # RFC 5652, 6.3: one block more when it fits exactly
    sealed = cipher.update(content + bytes((padded,)) * padded) + cipher.finalize()
    enveloped = der(
        SEQUENCE,
        integer(version),
        der(SET, recipient),
        der(
            SEQUENCE,
            DATA,
            der(SEQUENCE, AES_256_CBC, der(OCTET_STRING, first_block)),
            der(PRIMITIVE_0, sealed),
        ),
    )
    return der(SEQUENCE, ENVELOPED_DATA, der(CONTEXT_0, enveloped))


@lru_cache(maxsize=64)
def issuer_and_serial(certificate: x509.Certificate) -> bytes:
    """How a certificate is named in a message."""
    return der(SEQUENCE, certificate.issuer.public_bytes(), integer(certificate.serial_number))


@lru_cache(maxsize=16)
def _as_der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _signed_attributes(content: bytes, at: datetime) -> bytes:
    digest = der(OCTET_STRING, hashlib.sha256(content).digest())
    attributes = (
        _CONTENT_IS_DATA,
        der(SEQUENCE, SIGNING_TIME, der(SET, _time(at))),
        der(SEQUENCE, MESSAGE_DIGEST, der(SET, digest)),
        _CAPABILITIES,
    )
    return b"".join(sorted(attributes))


def _time(at: datetime) -> bytes:
    """Two digits of the year until 2049, four from then on (RFC 5652, 11.3)."""
    utc = at.astimezone(UTC)
    if utc.year < 2050:
        return der(UTC_TIME, utc.strftime("%y%m%d%H%M%SZ").encode("ascii"))
    return der(GENERALIZED_TIME, utc.strftime("%Y%m%d%H%M%SZ").encode("ascii"))


def _transported(certificate: x509.Certificate, key: rsa.RSAPublicKey, content_key: bytes) -> bytes:
    """KeyTransRecipientInfo: the content's key, encrypted to an RSA key."""
    sealed = key.encrypt(content_key, padding.PKCS1v15())
    return der(SEQUENCE, integer(0), issuer_and_serial(certificate), RSA, der(OCTET_STRING, sealed))


def _agreed(certificate: x509.Certificate, key: ec.EllipticCurvePublicKey, content_key: bytes) -> bytes:
    """KeyAgreeRecipientInfo: the content's key, wrapped with one that both sides compute from a key made for this message."""
    ephemeral = ec.generate_private_key(key.curve)
    secret = ephemeral.exchange(ec.ECDH(), key)
    wrapping = X963KDF(hashes.SHA256(), KEY_BYTES, SHARED_INFO).derive(secret)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    originator = der(CONTEXT_1, EC_PUBLIC_KEY, der(BIT_STRING, b"\x00", point))
    wrapped = der(OCTET_STRING, aes_key_wrap(wrapping, content_key))
    return der(
        CONTEXT_1,
        integer(3),
        der(CONTEXT_0, originator),
        STANDARD_DH_SHA_256,
        der(SEQUENCE, der(SEQUENCE, issuer_and_serial(certificate), wrapped)),
    )
