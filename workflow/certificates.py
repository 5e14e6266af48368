"""X.509 checks of recipients and of the mail signer. Reads the bytes it is given; opens no file and asks no server."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from workflow.errors import Invalid, Misconfigured

LARGEST_FILE = 65_536
LONGEST_CHAIN = 10
"""certificates in one file: more than any authority needs between itself and a person"""
SMALLEST_RSA = 2_048
CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
"""the curves that every mail program with S/MIME knows, under the names of NIST"""
MAIL_PURPOSES = {ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}

SignerKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Extension = TypeVar("Extension", bound=x509.ExtensionType)


class CertificateRefused(Invalid):
    """A certificate that no mail may be encrypted to."""

    code = "certificate.refused"
    title = "This certificate can't be used"


class CertificateUnreadable(CertificateRefused):
    """Not a certificate in PEM, DER or PKCS#7."""

    code = "certificate.unreadable"


class HoldsPrivateKey(CertificateRefused):
    """The file carries a secret that must not leave its owner."""

    code = "certificate.private_key"


class OtherAddress(CertificateRefused):
    """The certificate belongs to another mailbox."""

    code = "certificate.address"


class NotValidNow(CertificateRefused):
    """Not valid yet, or not any more."""

    code = "certificate.validity"


class UnsuitableKey(CertificateRefused):
    """A key that is too weak, or of a kind we cannot encrypt to."""

    code = "certificate.key"


class OtherPurpose(CertificateRefused):
    """The issuer did not allow encrypted mail with it."""

    code = "certificate.purpose"


class UntrustedIssuer(CertificateRefused):
    """No trusted authority stands behind it."""

    code = "certificate.issuer"


class SignerUnusable(Misconfigured):
    """The mail signer's certificate and key do not fit together, or receivers would reject them."""

    code = "mail.signer"


@dataclass(frozen=True)
class RecipientCertificate:
    """A certificate that was good for encrypting mail to one of its addresses at the time it was read."""

    certificate: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    """what it was uploaded with, for finding the way to an authority"""
    fingerprint: str
    """SHA-256 of the DER form, hex"""
    subject: str
    not_before: datetime
    not_after: datetime
    """last second of its validity"""
    addresses: tuple[str, ...]
    key_type: str
    """for example RSA 2048"""

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        """The certificate and then its intermediates."""
        return b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.intermediates))


def read_certificate(data: bytes, address: str, at: datetime, *, authorities: Sequence[bytes] = ()) -> RecipientCertificate:
    """Reads a recipient's certificate (PEM, DER or PKCS#7) and promises that mail to `address` may be encrypted to it at `at`.

    A file may bring intermediates; the recipient's own is the one with the address, whatever the order.
    With `authorities` (PEM, one or more certificates each) one of them must stand behind it; without, the certificate
    is taken as pinned by whoever confirmed its fingerprint. Raises CertificateRefused.
    """
    found = _load_all(data)
    own = [each for each in found if has_address(each, address)]
    if not own:
        raise OtherAddress(f"This file names {_addresses_in(found)}. Upload a certificate that names {address}.")
    certificate = _best_of(own, at)
    intermediates = tuple(each for each in found if each is not certificate)
    if authorities:
        check_issuer(certificate, authorities, at, intermediates)
    return RecipientCertificate(
        certificate=certificate,
        intermediates=intermediates,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        subject=certificate.subject.rfc4514_string(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        addresses=mail_addresses(certificate),
        key_type=_encryption_key_type(certificate),
    )


def check_signer(certificate: x509.Certificate, key: object, *, address: str, at: datetime) -> SignerKey:
    """Promises that receivers will accept mail from `address` signed by `key` under `certificate`; returns the key.

    The encryption library signs with any key, also one that does not belong to the certificate: every receiver would
    then show a broken signature. Raises SignerUnusable.
    """
    match key:
        case ec.EllipticCurvePrivateKey() if isinstance(key.curve, ec.SECP256R1):
            pass
        case rsa.RSAPrivateKey() if key.key_size >= SMALLEST_RSA:
            pass
        case _:
            raise SignerUnusable("Give the mail signer an EC P-256 key or an RSA key of at least 2,048 bits.")
    if _spki(key.public_key()) != _spki(certificate.public_key()):
        raise SignerUnusable("The mail signer's key does not belong to its certificate. Configure a matching pair.")
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise SignerUnusable(
            f"The mail signer's certificate is valid from {_day(certificate.not_valid_before_utc)} "
            f"to {_day(certificate.not_valid_after_utc)}. Configure one that is valid now."
        )
    usage = _extension(certificate, x509.KeyUsage)
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if (usage and not usage.digital_signature) or (purposes and not MAIL_PURPOSES & set(purposes)):
        raise SignerUnusable("The mail signer's certificate is not made for signing mail (emailProtection).")
    if not has_address(certificate, address):
        raise SignerUnusable(f"The mail signer's certificate must name the sender {address}. Configure one that does.")
    return key


def check_issuer(
    certificate: x509.Certificate,
    authorities: Sequence[bytes],
    at: datetime,
    intermediates: Sequence[x509.Certificate] = (),
) -> None:
    """Promises that a chain of valid certificates leads to one of the authorities (PEM). Raises UntrustedIssuer."""
    roots = [each for pem in authorities for each in x509.load_pem_x509_certificates(pem)]
    # The library's default policies are those of web servers and refuse certificates for mail; purpose and address are
    # checked by our own rules above, so extensions are free here.
    # The library itself insists that whoever signed a certificate is an authority (basicConstraints).
    authority = verification.ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, None
    )
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(roots))
        .time(at)
        .extension_policies(ca_policy=authority, ee_policy=verification.ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    try:
        verifier.verify(certificate, list(intermediates))
    except verification.VerificationError as error:
        issuer = certificate.issuer.rfc4514_string()
        raise UntrustedIssuer(
            f"The issuer {issuer} is not among the trusted mail authorities. Upload a certificate from one of them, "
            "or ask an operator to confirm this one's fingerprint."
        ) from error


def mail_addresses(certificate: x509.Certificate) -> tuple[str, ...]:
    """The mail addresses a certificate is for (subjectAltName), in its own spelling."""
    names = _extension(certificate, x509.SubjectAlternativeName)
    return tuple(names.get_values_for_type(x509.RFC822Name)) if names else ()


def has_address(certificate: x509.Certificate, address: str) -> bool:
    """Whether the certificate is for this address; letter case does not count, as in every mail system of today."""
    return address.casefold() in {each.casefold() for each in mail_addresses(certificate)}


def _load_all(data: bytes) -> list[x509.Certificate]:
    """Every certificate in a file: PEM or DER, alone or as a PKCS#7 chain (.p7b, .p7c)."""
    if len(data) > LARGEST_FILE:
        raise CertificateUnreadable(f"Upload one certificate, or its chain, of at most {LARGEST_FILE // 1024} KB.")
    if b"PRIVATE KEY-----" in data or _PRIVATE_DER.match(data):
        raise HoldsPrivateKey(
            "This file holds a private key. Upload the certificate only, and replace the key if others saw the file."
        )
    try:
        if b"-----BEGIN PKCS7" in data or b"-----BEGIN CMS" in data:
            found = pkcs7.load_pem_pkcs7_certificates(data.replace(b" CMS-----", b" PKCS7-----"))
        elif b"-----BEGIN" in data:
            found = x509.load_pem_x509_certificates(data)
        elif _PKCS7_DER.match(data):
            found = pkcs7.load_der_pkcs7_certificates(data)
        else:
            found = [x509.load_der_x509_certificate(data)]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateUnreadable(
            "Upload an X.509 certificate in PEM or DER form (.pem, .crt, .cer) or its PKCS#7 chain (.p7b, .p7c)."
        ) from error
    found = list(dict.fromkeys(found))
    if not 1 <= len(found) <= LONGEST_CHAIN:
        raise CertificateUnreadable(f"This file holds {len(found)} certificates. Upload the recipient's own and its chain.")
    return found


# A SEQUENCE that begins with a version number is a private key (PKCS#8, PKCS#1, SEC 1) or a key store (PKCS#12); one that
# begins with an object identifier is a PKCS#7 message; a certificate begins with a SEQUENCE.
_PRIVATE_DER = re.compile(rb"\x30(?:[\x00-\x7f]|\x80|\x81.|\x82..|\x83...)\x02\x01", re.DOTALL)
_PKCS7_DER = re.compile(rb"\x30(?:[\x00-\x7f]|\x80|\x81.|\x82..|\x83...)\x06", re.DOTALL)


def _best_of(own: Sequence[x509.Certificate], at: datetime) -> x509.Certificate:
    """The one that mail may be encrypted to and that lasts longest: people upload their signing certificate beside it.
    Raises what is wrong with the first when there is none."""
    refused: list[CertificateRefused] = []
    for certificate in sorted(own, key=lambda each: each.not_valid_after_utc, reverse=True):
        try:
            _check_validity(certificate, at)
            _encryption_key_type(certificate)
            _check_purpose(certificate)
        except CertificateRefused as error:
            refused.append(error)
        else:
            return certificate
    raise refused[0]


def _addresses_in(found: Sequence[x509.Certificate]) -> str:
    return " and ".join(dict.fromkeys(name for each in found for name in mail_addresses(each))) or "no mail address"


def _check_validity(certificate: x509.Certificate, at: datetime) -> None:
    if at < certificate.not_valid_before_utc:
        raise NotValidNow(f"This certificate is valid from {_day(certificate.not_valid_before_utc)}. Upload it then.")
    if at > certificate.not_valid_after_utc:
        raise NotValidNow(f"This certificate ended on {_day(certificate.not_valid_after_utc)}. Upload its successor.")


def _encryption_key_type(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except ValueError as error:
        raise CertificateUnreadable("The key in this certificate can't be read. Upload another certificate.") from error
    match key:
        case rsa.RSAPublicKey() if key.key_size >= SMALLEST_RSA:
            return f"RSA {key.key_size}"
        case rsa.RSAPublicKey():
            raise UnsuitableKey(
                f"The RSA key in this certificate has {key.key_size:,} bits. Upload one with at least {SMALLEST_RSA:,}."
            )
        case ec.EllipticCurvePublicKey() if key.curve.name in CURVES:
            return f"EC {CURVES[key.curve.name]}"
        case _:
            raise UnsuitableKey(
                f"Upload a certificate with an RSA key of at least {SMALLEST_RSA:,} bits, or with one on P-256, P-384 or P-521."
            )


def _check_purpose(certificate: x509.Certificate) -> None:
    usage = _extension(certificate, x509.KeyUsage)
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if usage:
        # A key is encrypted to an RSA key, and agreed on with one on a curve (RFC 8551, 4.4.2; RFC 5753, 2).
        agrees = isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
        named, allowed = ("keyAgreement", usage.key_agreement) if agrees else ("keyEncipherment", usage.key_encipherment)
        if not allowed:
            raise OtherPurpose(f"This certificate is for signatures only. Upload the one for encryption ({named}).")
    if purposes and not MAIL_PURPOSES & set(purposes):
        raise OtherPurpose("This certificate is not made for mail. Upload one whose purpose is emailProtection.")


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension) as error:
        raise CertificateUnreadable("The extensions of this certificate can't be read. Upload another one.") from error


def _spki(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"
