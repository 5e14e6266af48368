"""Opening a caught message as its reader's mail program would: decrypt with the demo's key, check the signature."""

import email
from dataclasses import dataclass, replace
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from email.utils import parseaddr
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs7

from workflow.errors import Misconfigured
from workflow.inbox.envelopes import decrypt_agreed
from workflow.inbox.pgp import OpenPGPKeys, told_about
from workflow.inbox.signatures import check_signature

SMIME_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
OPENPGP_TYPE = "multipart/encrypted"
SMIME, OPENPGP = "S/MIME", "OpenPGP"


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
    protocol: str = ""
    """how it is encrypted, S/MIME or OpenPGP"""
    readable: bool = True
    signed: bool = False
    signature: str = "Not signed."
    outer_fields: tuple[tuple[str, str], ...] = ()
    """the header as every mail server on the way could read it"""


class Keyring:
    """The demo recipients' certificates with their keys, the mail authority that vouches for the desk's signer, and OpenPGP
    keys: the recipients' private ones, the desk's public one."""

    def __init__(self, keys: Path, authority: Path | None) -> None:
        """Reads all once. Raises Misconfigured for a file that cannot be used."""
        self._keys = [_recipient_key(path) for path in sorted(keys.glob("*.pem"))]
        self.openpgp = OpenPGPKeys.read(sorted(keys.glob("*.asc")))
        try:
            self.authority = authority.read_bytes() if authority else None
        except OSError as error:
            raise Misconfigured(f"The mail authority {authority} can't be read: {error.strerror}.") from error

    def decrypt(self, enveloped: bytes) -> bytes | None:
        """The content, with whichever key fits; None when none does."""
        for certificate, key in self._keys:
            try:
                if isinstance(key, ec.EllipticCurvePrivateKey):
                    return decrypt_agreed(enveloped, certificate, key)
                return pkcs7.pkcs7_decrypt_der(enveloped, certificate, key, [])
            except ValueError:  # another recipient's
                continue
        return None


def _recipient_key(path: Path) -> tuple[x509.Certificate, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]:
    try:
        pem = path.read_bytes()
        certificate, key = x509.load_pem_x509_certificate(pem), load_pem_private_key(pem, None)
    except (OSError, ValueError, TypeError) as error:
        raise Misconfigured(f"{path} can't be read. It must hold a certificate and its key, both PEM.") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise Misconfigured(f"The key in {path} must be RSA, or on an elliptic curve.")
    return certificate, key


def open_message(raw: bytes, keyring: Keyring, received_at: datetime) -> Opened:
    """Reads, decrypts and checks one message as of the moment it was received. No message can make this raise."""
    outer = _parsed(raw)
    outside = Opened(
        message_id=_words(outer, "Message-ID"),
        sender=_words(outer, "From"),
        recipient=_address(outer, "To"),
        subject=_words(outer, "Subject"),
        outer_subject=_words(outer, "Subject"),
        outer_fields=tuple((name, _decoded(str(value))) for name, value in outer.items()),
    )
    unreadable = replace(outside, encrypted=True, readable=False, signature="Nobody here has the key to this.")
    protocol = ""
    if outer.get_content_type() == OPENPGP_TYPE:
        protocol = OPENPGP
        opened = keyring.openpgp.decrypt(_openpgp_message(outer))
        if opened is None:
            return replace(unreadable, protocol=OPENPGP)
        content, signer = _parsed(opened[0]), opened[1]
        signed, signature = told_about(signer, _address(content, "From") or _address(outer, "From"))
    elif outer.get_content_type() in SMIME_TYPES:
        protocol = SMIME
        decrypted = keyring.decrypt(_content(outer))
        if decrypted is None:
            return replace(unreadable, protocol=SMIME)
        content, signed, signature = _verified(decrypted, keyring.authority, received_at)
    else:
        content, signed, signature = _verified(raw, keyring.authority, received_at)
    texts = {part.get_content_type(): _text(part) for part in reversed(_leaves(content)) if not _is_file(part)}
    return replace(
        outside,
        sender=_words(content, "From") or outside.sender,
        subject=_words(content, "Subject") or outside.subject,
        text=texts.get("text/plain", ""),
        html=texts.get("text/html", ""),
        files=tuple(File(part.get_filename() or "attachment", _content(part)) for part in _leaves(content) if _is_file(part)),
        encrypted=bool(protocol),
        protocol=protocol,
        signed=signed,
        signature=signature,
    )


def _verified(entity: bytes, authority: bytes | None, at: datetime) -> tuple[Message, bool, str]:
    """The message inside an entity that may be signed, whether it is, and a sentence about the signature."""
    message = _parsed(entity)
    if message.get_content_type() != "multipart/signed":
        return message, False, "Not signed."
    payload = message.get_payload()
    parts = [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []
    delimiter = b"--" + str(message.get_boundary()).encode("ascii", "replace")
    pieces = entity.split(delimiter, 3)
    if len(parts) != 2 or len(pieces) != 4:
        return message, False, "The signature is not complete."
    # The exact bytes between the first two delimiters, without the line end that belongs to the second one. They are also
    # what is shown: another reading of the same message could show words that nobody signed.
    signed_bytes = pieces[1].removeprefix(b"\r\n").removesuffix(b"\r\n")
    content = _parsed(signed_bytes)
    # The sender that counts is the one inside the signature: anybody can write another outside.
    sender = _address(content, "From") or _address(message, "From")
    return content, *check_signature(signed_bytes, _content(parts[1]), sender=sender, authority=authority, at=at)


def _openpgp_message(outer: Message) -> bytes:
    """The second part of RFC 3156; nothing when it is not there."""
    payload = outer.get_payload()
    parts = [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []
    return _content(parts[1]) if len(parts) == 2 else b""


def _parsed(raw: bytes) -> Message:
    # The standard library's newer policies parse header fields on access, and raise IndexError for some that arrive.
    return email.message_from_bytes(raw, policy=compat32)


def _words(message: Message, name: str) -> str:
    return _decoded(str(message.get(name, "")))


def _address(message: Message, name: str) -> str:
    """The address alone, read before decoding: an encoded name must not be able to look like an address."""
    return parseaddr(str(message.get(name, "")))[1]


def _decoded(value: str) -> str:
    try:
        decoded = str(make_header(decode_header(value)))
    except (LookupError, ValueError, HeaderParseError):  # a character set nobody knows, broken encoding
        decoded = value
    return " ".join(decoded.encode("utf-8", "replace").decode("utf-8").split())


def _leaves(message: Message) -> list[Message]:
    return [part for part in message.walk() if not part.is_multipart()]


def _is_file(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_content_maintype() != "text"


def _content(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(part: Message) -> str:
    try:
        text = _content(part).decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        text = _content(part).decode("utf-8", "replace")
    return text.replace("\r\n", "\n")
