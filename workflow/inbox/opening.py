"""Opening a caught message as its reader's mail program would: decrypt with the demo's key, check the signature.

`cryptography` writes and decrypts CMS but does not verify signatures, so the few steps of RFC 5652, section 5.4 and 5.6,
are here; the tests hold them against the openssl command line.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr
from pathlib import Path

from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs7

from workflow.certificates import UntrustedIssuer, check_issuer, has_address, mail_addresses
from workflow.errors import Misconfigured

_PARSER = BytesParser(policy=policy.SMTP)
ENCRYPTED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})


@dataclass(frozen=True)
class File:
    """An attachment."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Opened:
    """What a reader sees. `signature` says in words who signed, or why nobody can be believed."""

    message_id: str
    sender: str
    recipient: str
    """the address alone"""
    subject: str
    outer_subject: str
    text: str = ""
    html: str = ""
    files: tuple[File, ...] = ()
    encrypted: bool = False
    readable: bool = True
    signed: bool = False
    signature: str = "Not signed."
    outer_fields: tuple[tuple[str, str], ...] = ()
    """the header as every mail server on the way could read it"""


class Keyring:
    """The demo recipients' certificates with their keys, and the mail authority that vouches for the desk's signer."""

    def __init__(self, keys: Path, authority: Path | None) -> None:
        """Reads both once. Raises Misconfigured for a file that cannot be used."""
        self._keys = [_recipient_key(path) for path in sorted(keys.glob("*.pem"))]
        try:
            self.authority = authority.read_bytes() if authority else None
        except OSError as error:
            raise Misconfigured(f"The mail authority {authority} can't be read: {error.strerror}.") from error

    def decrypt(self, enveloped: bytes) -> bytes | None:
        """The content, with whichever key fits; None when none does."""
        for certificate, key in self._keys:
            try:
                return pkcs7.pkcs7_decrypt_der(enveloped, certificate, key, [])
            except ValueError:  # another recipient's
                continue
        return None


def _recipient_key(path: Path) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    try:
        pem = path.read_bytes()
        certificate, key = x509.load_pem_x509_certificate(pem), load_pem_private_key(pem, None)
    except (OSError, ValueError, TypeError) as error:
        raise Misconfigured(f"{path} can't be read. It must hold a certificate and its key, both PEM.") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Misconfigured(f"The key in {path} must be RSA.")
    return certificate, key


def open_message(raw: bytes, keyring: Keyring, received_at: datetime) -> Opened:
    """Reads, decrypts and checks one message as of the moment it was received. No message can make this raise."""
    outer = _parsed(raw)
    outside = Opened(
        message_id=_words(outer, "Message-ID"),
        sender=_words(outer, "From"),
        recipient=parseaddr(_words(outer, "To"))[1],
        subject=_words(outer, "Subject"),
        outer_subject=_words(outer, "Subject"),
        outer_fields=tuple((name, " ".join(str(value).split())) for name, value in outer.items()),
    )
    entity_bytes: bytes | None = raw
    if encrypted := outer.get_content_type() in ENCRYPTED:
        enveloped = outer.get_payload(decode=True)
        entity_bytes = keyring.decrypt(enveloped) if isinstance(enveloped, bytes) else None
    if entity_bytes is None:
        return replace(outside, encrypted=True, readable=False, signature="Nobody here has the key to this.")
    entity = _parsed(entity_bytes)
    signed, signature, content = False, outside.signature, entity
    if entity.get_content_type() == "multipart/signed":
        signed, signature = _check_signature(entity_bytes, entity, keyring, received_at)
        first = next(iter(entity.iter_parts()), None)
        content = first if isinstance(first, EmailMessage) else entity
    return replace(
        outside,
        sender=_words(content, "From") or outside.sender,
        subject=_words(content, "Subject") or outside.subject,
        text=_body(content, "plain"),
        html=_body(content, "html"),
        files=tuple(_files(content)),
        encrypted=encrypted,
        signed=signed,
        signature=signature,
    )


def _parsed(raw: bytes) -> EmailMessage:
    message = _PARSER.parsebytes(raw)
    assert isinstance(message, EmailMessage)
    return message


def _words(message: EmailMessage, name: str) -> str:
    value = message[name]
    return "" if value is None else " ".join(str(value).split())


def _files(content: EmailMessage) -> Iterator[File]:
    for part in content.walk():
        if part.get_content_disposition() == "attachment":
            data = part.get_payload(decode=True)
            yield File(part.get_filename() or "attachment", data if isinstance(data, bytes) else b"")


def _body(content: EmailMessage, subtype: str) -> str:
    part = content.get_body((subtype,))
    if part is None or part.get_content_subtype() != subtype:
        return ""
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except LookupError:  # a character set nobody knows
        return str(part.get_payload())


def _check_signature(raw: bytes, entity: EmailMessage, keyring: Keyring, at: datetime) -> tuple[bool, str]:
    """Whether the multipart/signed entity in `raw` is signed for its sender by someone the authority vouches for."""
    boundary = entity.get_boundary()
    parts = list(entity.iter_parts())
    if boundary is None or len(parts) != 2:
        return False, "The signature is not complete."
    delimiter = b"--" + boundary.encode("ascii", "replace")
    try:
        # The exact bytes between the first two delimiters, without the line end that belongs to the second one.
        signed_bytes = raw.split(delimiter + b"\r\n", 2)[1].removesuffix(b"\r\n")
        certificate, others = _signer_of(signed_bytes, parts[1].get_payload(decode=True))
    except _NotIntact as error:
        return False, str(error)
    except (IndexError, ValueError, KeyError, TypeError, AttributeError):  # what asn1crypto says to damaged containers
        return False, "The signature cannot be read."
    if keyring.authority is None:
        return False, "Signed, but this inbox knows no mail authority."
    try:
        check_issuer(certificate, [keyring.authority], at, others)
    except UntrustedIssuer:
        return False, "The signature is not by someone this inbox trusts."
    # The sender that counts is the one inside the signature: anybody can write another outside.
    sender = parseaddr(_words(_parsed(signed_bytes), "From") or _words(entity, "From"))[1]
    if not has_address(certificate, sender):
        return False, f"Signed by {', '.join(mail_addresses(certificate))}, who is not the sender {sender}."
    return True, f"Signed by {sender}."


class _NotIntact(Exception):
    """The signature does not fit the message; the sentence says why."""


def _signer_of(content: bytes, container: object) -> tuple[x509.Certificate, list[x509.Certificate]]:
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
