"""OpenPGP checks of recipients' keys. Reads the bytes it is given; opens no file and asks no server.

The library encrypts to expired and to revoked keys without a word, so whether a key may be used is decided here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from workflow.errors import Invalid, Misconfigured

if TYPE_CHECKING:
    from pysequoia import Cert
    from pysequoia.packet import Packet

LARGEST_FILE = 262_144
"""Keys collect signatures of other people; 256 KB hold hundreds of them."""
SMALLEST_RSA = 2_048
PRIVATE = b"-----BEGIN PGP PRIVATE KEY BLOCK-----"


class OpenPGPKeyRefused(Invalid):
    """An OpenPGP key that no mail may be encrypted to."""

    code = "openpgp.refused"
    title = "This OpenPGP key can't be used"


class OpenPGPUnreadable(OpenPGPKeyRefused):
    """Not an OpenPGP public key, armored or binary."""

    code = "openpgp.unreadable"


class HoldsPrivateOpenPGPKey(OpenPGPKeyRefused):
    """The file carries a secret that must not leave its owner."""

    code = "openpgp.private_key"


class SeveralOpenPGPKeys(OpenPGPKeyRefused):
    """More than one key: which of them is the recipient's own is not for us to guess."""

    code = "openpgp.several"


class OpenPGPNotValidNow(OpenPGPKeyRefused):
    """Not valid yet, or not any more."""

    code = "openpgp.validity"


class OpenPGPRevoked(OpenPGPKeyRefused):
    """Its owner took the key back."""

    code = "openpgp.revoked"


class NoEncryptionKey(OpenPGPKeyRefused):
    """A key for signatures only."""

    code = "openpgp.no_encryption"


class WeakOpenPGPKey(OpenPGPKeyRefused):
    """Too short, or of a kind that is not trusted any more."""

    code = "openpgp.weak"


class OtherOpenPGPAddress(OpenPGPKeyRefused):
    """The key belongs to another mailbox."""

    code = "openpgp.address"


class AddressRevoked(OpenPGPKeyRefused):
    """The key's owner does not use it for this mailbox any more."""

    code = "openpgp.address_revoked"


class AddressNotBound(OpenPGPKeyRefused):
    """The key does not prove that this mailbox is its owner's."""

    code = "openpgp.address_not_bound"


class OpenPGPNotInstalled(Misconfigured):
    """The optional library for OpenPGP is not there."""

    code = "openpgp.not_installed"


@dataclass(frozen=True)
class RecipientKey:
    """An OpenPGP key that was good for encrypting mail to one of its addresses at the time it was read."""

    armored: str
    """the public key as it was given, without anything secret"""
    fingerprint: str
    """of its primary key, hex"""
    user_ids: tuple[str, ...]
    addresses: tuple[str, ...]
    not_after: datetime | None
    """last second in which mail may be encrypted to it; None for a key without an end"""
    key_type: str
    """what a message is encrypted with, for example cv25519 or RSA 3072"""
    encryption_only: bytes
    """the one part of it that a message is encrypted to, still bound to its primary key"""


def read_openpgp_key(data: bytes, address: str, at: datetime) -> RecipientKey:
    """Reads a recipient's public key (ASCII-armored or binary) and promises that mail to `address` may be encrypted to it at
    `at`. Whose key it is nobody but a person can confirm, by its fingerprint. Raises OpenPGPKeyRefused, OpenPGPNotInstalled.
    """
    certificate, parts = _load_one(data)
    primary = parts[0]
    _check_strength(primary.packet)
    if certificate.is_revoked:
        raise OpenPGPRevoked("The owner of this key has revoked it. Ask them for the key they use now.")
    primary_ends = _end_of(certificate)
    _check_validity(primary.packet, primary_ends, at)
    user_ids, addresses = _check_address(certificate, parts, address)
    subkey = _encryption_part(primary, parts, at)
    ends = [each for each in (primary_ends, subkey.ends) if each is not None]
    return RecipientKey(
        armored=str(certificate),
        fingerprint=certificate.fingerprint,
        user_ids=user_ids,
        addresses=addresses,
        not_after=min(ends, default=None),
        key_type=_key_type(subkey.key),
        encryption_only=subkey.certificate,
    )


def is_installed() -> bool:
    """Whether the optional library is there."""
    return find_spec("pysequoia") is not None


@cache
def sequoia() -> ModuleType:
    """The library. Raises OpenPGPNotInstalled: it is an extra, so it is loaded when it is needed and not before."""
    try:
        import pysequoia
        import pysequoia.packet
    except ImportError as error:
        raise OpenPGPNotInstalled("OpenPGP needs one more package here. Run: pip install 'license-desk[openpgp]'") from error
    return pysequoia


def has_user_id(certificate: "Cert", address: str) -> bool:
    """Whether one of the user ids that count is for this address."""
    packets = sequoia().packet.PacketPile.from_bytes(bytes(certificate))
    counting = {str(each) for each in certificate.user_ids}
    return address.casefold() in {
        each.user_id_email.casefold() for each in packets if each.user_id in counting and each.user_id_email is not None
    }


@dataclass
class _Part:
    """A component of a key (the primary key, a user id, a subkey) and the signatures that follow it."""

    packet: "Packet"
    signatures: list["Packet"] = field(default_factory=list)


@dataclass(frozen=True)
class _EncryptionKey:
    key: "Packet"
    ends: datetime | None
    certificate: bytes


def _load_one(data: bytes) -> tuple["Cert", list[_Part]]:
    """The one key in the file and its parts, the primary key first."""
    if len(data) > LARGEST_FILE:
        raise OpenPGPUnreadable(f"Upload one public key of at most {LARGEST_FILE // 1024} KB.")
    tags = sequoia().packet.Tag
    try:
        packets = list(sequoia().packet.PacketPile.from_bytes(data))
        # Looked at before the library is: of a private key it takes the public half, as if nothing were wrong.
        if PRIVATE in data or any(each.tag in (tags.SecretKey, tags.SecretSubkey) for each in packets):
            raise HoldsPrivateOpenPGPKey(
                "This file holds a private key. Upload the public key only, and replace the key if others saw the file."
            )
        _refuse_version_3(packets)
        found = sequoia().Cert.split_bytes(data)
        if len(found) > 1:
            raise SeveralOpenPGPKeys(f"This file holds {len(found)} keys. Upload the recipient's own alone.")
        if not found:
            raise _unreadable()
        return found[0], list(_parts(sequoia().packet.PacketPile.from_bytes(bytes(found[0]))))
    except RuntimeError as error:  # the library's only kind; its text is long and not for people
        raise _unreadable() from error


def _unreadable() -> OpenPGPUnreadable:
    return OpenPGPUnreadable("Upload an OpenPGP public key, ASCII-armored (.asc) or binary (.gpg or .pgp).")


def _refuse_version_3(packets: Iterable["Packet"]) -> None:
    tags = sequoia().packet.Tag
    for each in packets:
        if each.tag == tags.PublicKey and each.body[:1] in (b"\x02", b"\x03"):
            raise WeakOpenPGPKey("This key is of the format of before 1998 (version 3). Ask the recipient for a new one.")


def _parts(packets: Iterable["Packet"]) -> Iterator[_Part]:
    tags = sequoia().packet.Tag
    part: _Part | None = None
    for packet in packets:
        if packet.tag in (tags.PublicKey, tags.PublicSubkey, tags.UserID, tags.UserAttribute):
            if part is not None:
                yield part
            part = _Part(packet)
        elif packet.tag == tags.Signature and part is not None:
            part.signatures.append(packet)
    if part is not None:
        yield part


def _check_strength(key: "Packet") -> None:
    kinds = sequoia().packet.PublicKeyAlgorithm
    if key.key_algorithm in (kinds.DSA, kinds.ElGamalEncrypt, kinds.ElGamalEncryptSign):
        raise WeakOpenPGPKey("DSA and ElGamal keys are not used any more. Ask the recipient for a key on Curve25519 or RSA.")
    if _is_rsa(key) and (bits := _rsa_bits(key)) < SMALLEST_RSA:
        raise WeakOpenPGPKey(f"This key has an RSA key of {bits:,} bits. Ask for one with at least {SMALLEST_RSA:,}.")


def _end_of(certificate: "Cert") -> datetime | None:
    try:
        return certificate.expiration
    except RuntimeError as error:  # no signature on it satisfies the library's policy
        raise WeakOpenPGPKey(
            "This key is signed in a way that is not trusted any more (SHA-1). Ask its owner to renew it."
        ) from error


def _check_validity(key: "Packet", ends: datetime | None, at: datetime) -> None:
    if key.key_created is not None and at < key.key_created:
        raise OpenPGPNotValidNow(f"This key is valid from {_day(key.key_created)}. Upload it then.")
    if ends is not None and at > ends:
        raise OpenPGPNotValidNow(
            f"This key ended on {_day(ends)}. Ask its owner to extend it, or to send the key they use now, and upload that."
        )


def _check_address(certificate: "Cert", parts: list[_Part], address: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The user ids that count and their addresses; the library leaves out what was revoked and what is badly signed."""
    counting = tuple(str(each) for each in certificate.user_ids)
    mailboxes = {each.packet.user_id: each for each in parts if each.packet.user_id is not None}
    addresses = tuple(
        mail for user_id in counting if user_id in mailboxes and (mail := mailboxes[user_id].packet.user_id_email) is not None
    )
    wanted = address.casefold()
    if wanted in {each.casefold() for each in addresses}:
        return counting, addresses
    for each in mailboxes.values():
        if (each.packet.user_id_email or "").casefold() == wanted:
            raise _not_for(address, each)
    named = " and ".join(addresses) if addresses else "no mail address"
    raise OtherOpenPGPAddress(f"This key names {named}. Upload one that names {address}.")


def _not_for(address: str, user_id: _Part) -> OpenPGPKeyRefused:
    kinds = sequoia().packet.SignatureType
    if any(each.signature_type == kinds.CertificationRevocation for each in user_id.signatures):
        return AddressRevoked(f"The owner of this key does not use it for {address} any more. Ask for the one they use now.")
    return AddressNotBound(
        f"This key names {address} without a signature that still counts (SHA-1 does not). Ask its owner to renew the key."
    )


def _encryption_part(primary: _Part, parts: list[_Part], at: datetime) -> _EncryptionKey:
    """The newest part of the key that mail may be encrypted to at `at`; else the reason why there is none."""
    refused: list[OpenPGPKeyRefused] = []
    for part, binding in sorted(_offers(parts), key=lambda each: each[1].signature_created or at, reverse=True):
        try:
            return _checked_offer(primary, parts, part, binding, at)
        except OpenPGPKeyRefused as error:
            refused.append(error)
    raise (
        refused[0]
        if refused
        else NoEncryptionKey(
            "This key is for signatures only. Ask its owner to add a subkey for encryption, and upload the key again."
        )
    )


def _offers(parts: list[_Part]) -> Iterator[tuple[_Part, "Packet"]]:
    """Parts of the key that say of themselves that they encrypt, with the newest signature that says so."""
    tags = sequoia().packet.Tag
    newest = [_newest_flags(each.signatures) for each in parts]
    for part, binding in zip(parts, newest, strict=True):
        if part.packet.tag == tags.PublicSubkey and binding is not None and _encrypts(binding):
            yield part, binding
    # A primary key says it in a signature of its own, or in one on a user id.
    of_primary = [each for part, each in zip(parts, newest, strict=True) if part.packet.tag != tags.PublicSubkey and each]
    if of_primary and _encrypts(of_primary[0]):
        yield parts[0], of_primary[0]


def _newest_flags(signatures: list["Packet"]) -> "Packet | None":
    with_flags = [each for each in signatures if each.key_flags is not None and each.signature_created is not None]
    return max(with_flags, key=lambda each: each.signature_created, default=None)  # type: ignore[arg-type, return-value]  # not None


def _encrypts(signature: "Packet") -> bool:
    flags = signature.key_flags
    return flags is not None and (flags.transport_encryption or flags.storage_encryption)


def _checked_offer(primary: _Part, parts: list[_Part], part: _Part, binding: "Packet", at: datetime) -> _EncryptionKey:
    kinds = sequoia().packet.SignatureType
    if any(each.signature_type == kinds.SubkeyRevocation for each in part.signatures):
        raise OpenPGPRevoked("The owner of this key has revoked its part for encryption. Ask them for the key they use now.")
    _check_strength(part.packet)
    ends = None
    if part is not primary and binding.key_validity_period and part.packet.key_created:
        ends = part.packet.key_created + binding.key_validity_period
    _check_validity(part.packet, ends, at)
    return _EncryptionKey(part.packet, ends, _alone(primary, parts, part, binding))


def _alone(primary: _Part, parts: list[_Part], part: _Part, binding: "Packet") -> bytes:
    """The key with this one part to encrypt to, proven by the library: it must take the very signature that was looked at.

    Otherwise a signature that somebody added to the file could make a part live longer, or the library choose another part.
    """
    tags = sequoia().packet.Tag
    kept = [each for each in parts if each.packet.tag in (tags.PublicKey, tags.UserID)]
    packets = [packet for each in kept for packet in (each.packet, *each.signatures)]
    if part is not primary:
        packets += [part.packet, binding]
    try:
        alone = sequoia().Cert.from_packets(packets)
        sequoia().encrypt(b"", [alone])
    except RuntimeError as error:
        raise NoEncryptionKey(
            "The part of this key for encryption is not of a kind this desk can use. Ask for one on Curve25519 or RSA."
        ) from error
    return bytes(alone)


def _key_type(key: "Packet") -> str:
    """As people know it, from the key's own bytes: an RSA modulus, or the curve's object identifier (RFC 9580, 9.2)."""
    if _is_rsa(key):
        return f"RSA {_rsa_bits(key)}"
    if key.key_algorithm == sequoia().packet.PublicKeyAlgorithm.ECDH:
        material = _key_material(key)
        return _CURVES.get(material[1 : 1 + material[0]].hex(), "ECDH")
    return str(key.key_algorithm).rpartition(".")[2]


_CURVES = {
    "2b060104019755010501": "cv25519",
    "2a8648ce3d030107": "NIST P-256",
    "2b81040022": "NIST P-384",
    "2b81040023": "NIST P-521",
    "2b2403030208010107": "brainpoolP256r1",
    "2b240303020801010b": "brainpoolP384r1",
    "2b240303020801010d": "brainpoolP512r1",
}


def _is_rsa(key: "Packet") -> bool:
    kinds = sequoia().packet.PublicKeyAlgorithm
    return key.key_algorithm in (kinds.RSAEncrypt, kinds.RSAEncryptSign, kinds.RSASign)


def _rsa_bits(key: "Packet") -> int:
    return int.from_bytes(_key_material(key)[:2], "big")


def _key_material(key: "Packet") -> bytes:
    """What follows version, time and algorithm; version 6 has its length there, too (RFC 9580, 5.5.2)."""
    return key.body[10:] if key.body[0] == 6 else key.body[6:]


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"
