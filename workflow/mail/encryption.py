"""S/MIME: signs a letter, encrypts it to one recipient, and protects its header (RFC 8551, RFC 9788)."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from workflow.certificates import SignerKey, SignerUnusable, check_signer
from workflow.errors import Misconfigured
from workflow.mail import cms
from workflow.mail.messages import (
    CRLF,
    MIME_VERSION,
    Letter,
    OuterHeaders,
    base64_lines,
    join_parts,
    new_boundary,
    protected_payload,
    write_body,
    write_fields,
)


class NothingToSignWith(Misconfigured):
    """The desk has no key to sign encrypted mail of this kind with, so it is not sent."""

    code = "mail.nothing_to_sign_with"


@dataclass(frozen=True)
class MailSigner:
    """Who signs this desk's mail: a certificate, its key, and the certificates between it and the authority."""

    certificate: x509.Certificate
    key: SignerKey
    chain: tuple[x509.Certificate, ...] = ()

    @classmethod
    def load(
        cls, certificate_path: Path, key_path: Path, password: bytes | None = None, *, address: str, at: datetime
    ) -> "MailSigner":
        """Reads PEM files (the signer's certificate first, then the chain) and checks that they fit each other, mail
        from `address`, and the time. Raises SignerUnusable."""
        try:
            certificate, *chain = x509.load_pem_x509_certificates(certificate_path.read_bytes())
            key = load_pem_private_key(key_path.read_bytes(), password)
        except OSError as error:
            raise SignerUnusable(f"The mail signer's file {error.filename} can't be read: {error.strerror}.") from error
        except (ValueError, TypeError) as error:
            raise SignerUnusable(
                f"Check the mail signer's files {certificate_path} and {key_path}: they must be PEM, "
                "and an encrypted key needs its password."
            ) from error
        return cls(certificate, check_signer(certificate, key, address=address, at=at), tuple(chain))


def encrypt_for(letter: Letter, recipient_pem: bytes, signer: MailSigner, *, headers: OuterHeaders) -> bytes:
    """The whole message, signed and then encrypted to the recipient's certificate (RSA or EC), ready for SMTP.

    Outside stand only `headers` with their neutral subject; the letter's own subject and everything else travel inside.
    The caller has checked the certificate with `certificates.read_certificate`.
    """
    outer = headers.fields(headers.subject)
    signed = _signed(protected_payload(letter, headers, outer), signer, headers.date)
    enveloped = cms.encrypted_to(_certificate(recipient_pem), signed)
    structure = (
        MIME_VERSION,
        ("Content-Type", b'application/pkcs7-mime; smime-type=enveloped-data;\r\n name="smime.p7m"'),
        ("Content-Transfer-Encoding", b"base64"),
        ("Content-Disposition", b'attachment; filename="smime.p7m"'),
    )
    return write_fields((*outer, *structure)) + CRLF + base64_lines(enveloped)


@lru_cache(maxsize=256)
def _certificate(pem: bytes) -> x509.Certificate:
    """A recipient's certificate; its key is prepared for its first use, which costs more than the use itself."""
    return x509.load_pem_x509_certificate(pem)


def sign_only(letter: Letter, signer: MailSigner | None, *, headers: OuterHeaders) -> bytes:
    """The whole message in clear, for letters that carry no license: signed, or plain when this desk has no signer."""
    outer = headers.fields(letter.subject)
    if signer is None:
        content_type, body = write_body(letter)
        return write_fields((*outer, MIME_VERSION, ("Content-Type", content_type))) + CRLF + body + CRLF
    return write_fields((*outer, MIME_VERSION)) + _signed(protected_payload(letter, headers, None), signer, headers.date)


def _signed(payload: bytes, signer: MailSigner, at: datetime) -> bytes:
    """A multipart/signed entity (its Content-Type line first) over exactly the bytes of `payload`."""
    signature = cms.signature_over(payload, signer.certificate, signer.key, signer.chain, at)
    signature_part = (
        b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
        b"Content-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n' + base64_lines(signature)
    )
    boundary = new_boundary()
    return (
        b"Content-Type: multipart/signed; micalg=sha-256;\r\n"
        b' protocol="application/pkcs7-signature";\r\n boundary="'
        + boundary
        + b'"\r\n\r\n'
        + join_parts((payload, signature_part), boundary)
    )
