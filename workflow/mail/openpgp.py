"""OpenPGP/MIME: a letter signed with the desk's OpenPGP key and encrypted to a recipient's, in one (RFC 3156, section 6.2)."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workflow.certificates import SignerUnusable
from workflow.mail.messages import (
    CRLF,
    MIME_VERSION,
    Attachment,
    Letter,
    OuterHeaders,
    join_parts,
    new_boundary,
    protected_payload,
    write_fields,
)
from workflow.openpgp_keys import has_user_id, sequoia

if TYPE_CHECKING:
    from pysequoia import PySigner


@dataclass(frozen=True)
class OpenPGPSigner:
    """The desk's OpenPGP key: what signs, and what a reader needs to check it."""

    public: str
    """ASCII-armored"""
    fingerprint: str
    not_after: datetime | None
    key: "PySigner" = field(repr=False)

    @classmethod
    def load(cls, path: Path, password: bytes | None = None, *, address: str, at: datetime) -> "OpenPGPSigner":
        """Reads a private key and checks that it signs, now, for mail from `address`. Raises SignerUnusable, and
        OpenPGPNotInstalled without the optional library."""
        library = sequoia()
        try:
            secret = library.Tsk.from_bytes(path.read_bytes())
            public = secret.extract_certificate()
            signer = secret.signer(password.decode() if password is not None else None)
            ends, revoked = public.expiration, public.is_revoked
        except OSError as error:
            raise SignerUnusable(f"The mail signer's file {path} can't be read: {error.strerror}.") from error
        except RuntimeError:
            # The library's own words could quote what it read, so they go no further.
            raise SignerUnusable(
                f"Check the OpenPGP key {path}: it must be a private key that may sign, "
                "and an encrypted one needs its password."
            ) from None
        if revoked or (ends is not None and at > ends):
            raise SignerUnusable(f"The OpenPGP key {path} has ended or was revoked. Configure one that is valid now.")
        if not has_user_id(public, address):
            raise SignerUnusable(f"The OpenPGP key {path} must name the sender {address}. Configure one that does.")
        return cls(str(public), public.fingerprint, ends, signer)


def end_of_key(path: Path) -> datetime | None:
    """When the key in a file ends; None for one without an end. It is not opened. Raises OSError, SignerUnusable."""
    try:
        end: datetime | None = sequoia().Cert.from_bytes(path.read_bytes()).expiration
    except RuntimeError:
        raise SignerUnusable(f"Check the OpenPGP key {path}: it cannot be read.") from None
    return end


def encrypt_to_key(letter: Letter, recipient: bytes, signer: OpenPGPSigner, *, headers: OuterHeaders) -> bytes:
    """The whole message, signed and encrypted to the recipient's OpenPGP key, ready for SMTP.

    Outside stand only `headers` with their neutral subject. The desk's public key travels inside, so that a reader can check
    the signature. The caller has checked the key with `openpgp_keys.read_openpgp_key` and gives its `encryption_only`.
    """
    library = sequoia()
    outer = headers.fields(headers.subject)
    ours = Attachment(
        f"OpenPGP_0x{signer.fingerprint[-16:].upper()}.asc", signer.public.encode("ascii"), "application/pgp-keys"
    )
    payload = protected_payload(replace(letter, attachments=(*letter.attachments, ours)), headers, outer)
    sealed = library.encrypt(payload, [library.Cert.from_bytes(recipient)], signer.key)
    boundary = new_boundary()
    version = (
        b"Content-Type: application/pgp-encrypted\r\nContent-Description: PGP/MIME version identification\r\n\r\nVersion: 1\r\n"
    )
    message = (
        b'Content-Type: application/octet-stream; name="encrypted.asc"\r\n'
        b"Content-Description: OpenPGP encrypted message\r\n"
        b'Content-Disposition: inline; filename="encrypted.asc"\r\n\r\n' + sealed.replace(b"\n", CRLF)
    )
    structure = (
        MIME_VERSION,
        (
            "Content-Type",
            b'multipart/encrypted; protocol="application/pgp-encrypted";\r\n boundary="' + boundary + b'"',
        ),
    )
    return write_fields((*outer, *structure)) + CRLF + join_parts((version, message), boundary)
