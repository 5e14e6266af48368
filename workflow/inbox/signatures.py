"""Checks an S/MIME signature: the digest, the signature over it, the certificate behind it, and the sender it names.

`cryptography` writes and decrypts CMS but does not verify signatures, so the few steps of RFC 5652, section 5.4 and 5.6,
are here. The inbox is a stand-in for a mail program; nothing in the product relies on what it says.
"""

import hashlib
from datetime import datetime

from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from workflow.certificates import UntrustedIssuer, check_issuer, has_address, mail_addresses


def check_signature(
    content: bytes, container: bytes, *, sender: str, authority: bytes | None, at: datetime
) -> tuple[bool, str]:
    """Whether `container` (CMS, detached) is the signature of `sender` over exactly `content`, made with a certificate that
    `authority` (PEM) stands behind at `at`; and a sentence that says who signed, or what is wrong. Never raises."""
    try:
        certificate, others = _signer_of(content, container)
    except _NotIntact as error:
        return False, str(error)
    except (ValueError, KeyError, TypeError, AttributeError):  # what asn1crypto says to damaged containers
        return False, "The signature cannot be read."
    if authority is None:
        return False, "Signed, but this inbox knows no mail authority."
    try:
        check_issuer(certificate, [authority], at, others)
    except UntrustedIssuer:
        return False, "The signature is not by someone this inbox trusts."
    if not has_address(certificate, sender):
        return False, f"Signed by {', '.join(mail_addresses(certificate))}, who is not the sender {sender}."
    return True, f"Signed by {sender}."


class _NotIntact(Exception):
    """The signature does not fit the message; the sentence says why."""


def _signer_of(content: bytes, container: bytes) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """The certificate whose key signed `content`, and the others in the container. Raises _NotIntact, or what asn1crypto
    raises for a container that is none."""
    data = cms.ContentInfo.load(container, strict=True)["content"]
    (signer,) = data["signer_infos"]
    certificates = [x509.load_der_x509_certificate(each.chosen.dump()) for each in data["certificates"]]
    serial = signer["sid"].chosen["serial_number"].native
    certificate = next((each for each in certificates if each.serial_number == serial), None)
    if certificate is None:
        raise _NotIntact("The signer's certificate is missing.")
    if signer["digest_algorithm"]["algorithm"].native != "sha256":
        raise _NotIntact("The message is signed in a way this inbox does not accept.")
    (digest,) = (each["values"][0].native for each in signer["signed_attrs"] if each["type"].native == "message_digest")
    if digest != hashlib.sha256(content).digest():
        raise _NotIntact("The message was changed after it was signed.")
    try:
        _verify(certificate, signer["signature"].native, signer["signed_attrs"].untag().dump())
    except InvalidSignature as error:
        raise _NotIntact("The signature does not fit the message.") from error
    return certificate, [each for each in certificates if each is not certificate]


def _verify(certificate: x509.Certificate, signature: bytes, signed_attributes: bytes) -> None:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed_attributes, ec.ECDSA(hashes.SHA256()))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed_attributes, padding.PKCS1v15(), hashes.SHA256())
    else:
        raise ValueError("a key of another kind")
