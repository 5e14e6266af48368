"""A recipient's key of either kind, read the same way when it is uploaded and when something is sent: a certificate or an
OpenPGP key, and why it is believed. Reads the bytes it is given; asks no server.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from workflow.certificate_revocation import RevocationLists, check_revoked
from workflow.certificates import RecipientCertificate, UntrustedIssuer, check_issuer, read_certificate
from workflow.domain.delivery import Channel, KeyKind, Trust
from workflow.openpgp_keys import read_openpgp_key


@dataclass(frozen=True)
class MailTrust:
    """Whom this desk believes about certificates: authorities (PEM), and where the lists of what they took back are now."""

    authorities: tuple[bytes, ...] = ()
    revocations: Callable[[], RevocationLists] = tuple


@dataclass(frozen=True)
class ReadKey:
    """A key that mail to its owner may be encrypted to, as far as the key itself can say. One that is `pinned` counts only
    after a person has confirmed its fingerprint."""

    kind: KeyKind
    text: str
    """what is kept on file: PEM or ASCII armor"""
    fingerprint: str
    ends_at: datetime | None
    trust: Trust
    key_type: str
    """for example RSA 2048 or cv25519"""
    owner: str
    """whose it is, in its own words"""
    encrypts_to: bytes
    """what a message is encrypted to"""

    @property
    def channel(self) -> Channel:
        """How mail to this key travels."""
        return Channel(self.kind.value)


def read_key(data: bytes, address: str, at: datetime, trust: MailTrust) -> ReadKey:
    """Reads a certificate (PEM, DER or PKCS#7) or an OpenPGP key and promises that mail to `address` may be encrypted to it at
    `at`. Raises CertificateRefused, OpenPGPKeyRefused or OpenPGPNotInstalled."""
    if _is_openpgp(data):
        key = read_openpgp_key(data, address, at)
        owner = next((each for each in key.user_ids if address.casefold() in each.casefold()), address)
        return ReadKey(
            kind=KeyKind.OPENPGP,
            text=key.armored,
            fingerprint=key.fingerprint,
            ends_at=key.not_after,
            trust=Trust.PINNED,
            key_type=key.key_type,
            owner=owner,
            encrypts_to=key.encryption_only,
        )
    read = read_certificate(data, address, at)
    check_revoked(read.certificate, read.intermediates, trust.authorities, trust.revocations())
    return ReadKey(
        kind=KeyKind.SMIME,
        text=read.chain_pem.decode(),
        fingerprint=read.fingerprint,
        ends_at=read.not_after,
        trust=_trust_in(read, trust.authorities, at),
        key_type=read.key_type,
        owner=read.subject,
        encrypts_to=read.pem,
    )


def in_groups(fingerprint: str) -> str:
    """A fingerprint as two people read it to each other: four characters at a time, in capitals."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4)).upper()


def _trust_in(read: RecipientCertificate, authorities: Sequence[bytes], at: datetime) -> Trust:
    """Whether an authority vouches for a certificate; without one a person has to."""
    if not authorities:
        return Trust.PINNED
    try:
        check_issuer(read.certificate, authorities, at, read.intermediates)
    except UntrustedIssuer:
        return Trust.PINNED
    return Trust.CA


def _is_openpgp(data: bytes) -> bool:
    # A certificate in DER begins with 0x30; the first byte of every OpenPGP packet has its highest bit set (RFC 9580, 4.2).
    return b"-----BEGIN PGP" in data or data[:1] >= b"\x80"
