"""Opening a caught message as its reader's mail program would: decrypt with the demo's key, check the signature.

`cryptography` writes and decrypts CMS but does not verify signatures, so the few steps of RFC 5652, section 5.4 and 5.6,
are here; the tests hold them against the openssl command line.
"""

import hashlib
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs7

_PARSER = BytesParser(policy=policy.SMTP)


@dataclass(frozen=True)
class File:
    """An attachment."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Opened:
    """What a reader sees. `signature` says in words who signed, or why nobody can be believed."""

    outer: EmailMessage
    subject: str
    text: str
    html: str
    files: tuple[File, ...]
    encrypted: bool
    readable: bool
    signed: bool
    signature: str
    protected: dict[str, str] = field(default_factory=dict)


class Keyring:
    """The demo recipients' certificates with their keys, and the mail authority that vouches for the desk's signer."""

    def __init__(self, keys: Path, authority: Path | None) -> None:
        self._keys = keys
        self._authority = authority

    def decrypt(self, enveloped: bytes) -> bytes | None:
        """The content, with whichever key fits; None when none does."""
        for path in sorted(self._keys.glob("*.pem")):
            pem = path.read_bytes()
            certificate = x509.load_pem_x509_certificate(pem)
            key = load_pem_private_key(pem, None)
            assert isinstance(key, rsa.RSAPrivateKey)
            try:
                return pkcs7.pkcs7_decrypt_der(enveloped, certificate, key, [pkcs7.PKCS7Options.Binary])
            except ValueError:  # another recipient's
                continue
        return None

    def authority(self) -> x509.Certificate | None:
        """The mail authority's certificate, when this inbox knows one."""
        return x509.load_pem_x509_certificate(self._authority.read_bytes()) if self._authority else None


def open_message(raw: bytes, keyring: Keyring) -> Opened:
    """Reads, decrypts and checks one message; nothing about it can make this raise but a damaged file of ours."""
    outer = _PARSER.parsebytes(raw)
    assert isinstance(outer, EmailMessage)
    encrypted = outer.get_content_type() == "application/pkcs7-mime"
    inner_bytes: bytes | None = raw
    if encrypted:
        enveloped = outer.get_payload(decode=True)
        inner_bytes = keyring.decrypt(enveloped) if isinstance(enveloped, bytes) else None
    if inner_bytes is None:
        return Opened(outer, str(outer["Subject"] or ""), "", "", (), True, False, False, "Nobody here has the key to this.")
    entity = _PARSER.parsebytes(inner_bytes)
    assert isinstance(entity, EmailMessage)
    signed, signature, content = False, "Not signed.", entity
    if entity.get_content_type() == "multipart/signed":
        signed, signature = _check_signature(inner_bytes, entity, keyring)
        first = next(iter(entity.iter_parts()), None)
        if isinstance(first, EmailMessage):
            content = first
    text, html = _body(content, "plain"), _body(content, "html")
    files = tuple(
        File(part.get_filename() or "attachment", part.get_payload(decode=True) or b"")  # type: ignore[arg-type]
        for part in content.walk()
        if part.get_content_disposition() == "attachment"
    )
    subject = str(content["Subject"] or outer["Subject"] or "")
    protected = {name: str(content[name]) for name in ("From", "To", "Date", "Message-ID") if content[name]}
    return Opened(outer, subject, text, html, files, encrypted, True, signed, signature, protected)


def _body(content: EmailMessage, subtype: str) -> str:
    part = content.get_body((subtype,))
    if part is None or part.get_content_subtype() != subtype:
        return ""
    return str(part.get_content())


def _check_signature(raw: bytes, entity: EmailMessage, keyring: Keyring) -> tuple[bool, str]:
    """Whether the multipart/signed entity in `raw` is signed by someone the authority vouches for, and who."""
    boundary = entity.get_boundary()
    parts = list(entity.iter_parts())
    if boundary is None or len(parts) != 2:
        return False, "The signature is not complete."
    delimiter = b"--" + boundary.encode("ascii")
    try:
        # The exact bytes between the first two delimiters, without the line end that belongs to the second one.
        signed_bytes = raw.split(delimiter + b"\r\n", 2)[1].removesuffix(b"\r\n")
        blob = parts[1].get_payload(decode=True)
        assert isinstance(blob, bytes)
        data = cms.ContentInfo.load(blob)["content"]
        signer = data["signer_infos"][0]
        certificates = [x509.load_der_x509_certificate(each.chosen.dump()) for each in data["certificates"]]
    except (IndexError, ValueError, KeyError, TypeError, AssertionError):
        return False, "The signature cannot be read."
    serial = signer["sid"].chosen["serial_number"].native
    certificate = next((each for each in certificates if each.serial_number == serial), None)
    if certificate is None:
        return False, "The signer's certificate is missing."
    digest = next(each["values"][0].native for each in signer["signed_attrs"] if each["type"].native == "message_digest")
    if digest != hashlib.sha256(signed_bytes).digest():
        return False, "The message was changed after it was signed."
    try:
        _verify(certificate, signer["signature"].native, signer["signed_attrs"].untag().dump())
        authority = keyring.authority()
        if authority is None:
            return False, "Signed, but this inbox knows no mail authority."
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False, "The signature is not by someone this inbox trusts."
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return True, f"Signed by {', '.join(names.get_values_for_type(x509.RFC822Name))}."


def _verify(certificate: x509.Certificate, signature: bytes, signed_attributes: bytes) -> None:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed_attributes, ec.ECDSA(hashes.SHA256()))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed_attributes, padding.PKCS1v15(), hashes.SHA256())
    else:
        raise ValueError("a key of another kind")
