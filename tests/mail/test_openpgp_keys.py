"""Which OpenPGP keys a license may be encrypted to, and what a person is told about the others."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pysequoia import Cert, CipherSuite, Profile, Tsk, encrypt
from pysequoia.packet import PacketPile, PublicKeyAlgorithm, SignatureType, Tag

from tests.mail.conftest import ADMIN, OTHER_ADMIN
from workflow.openpgp_keys import (
    AddressRevoked,
    HoldsPrivateOpenPGPKey,
    NoEncryptionKey,
    OpenPGPKeyRefused,
    OpenPGPNotValidNow,
    OpenPGPRevoked,
    OpenPGPUnreadable,
    OtherOpenPGPAddress,
    RecipientKey,
    SeveralOpenPGPKeys,
    WeakOpenPGPKey,
    read_openpgp_key,
)

USER = f"Zhang Wei <{ADMIN}>"
FILES = Path(__file__).parent / "openpgp"
THEN = datetime(2025, 6, 1, tzinfo=UTC)
"""after the keys in the files were made, and after the first of their subkeys ended"""


@pytest.fixture(scope="module")
def secret() -> Tsk:
    return Tsk.generate(USER)


@pytest.fixture(scope="module")
def key(secret: Tsk) -> bytes:
    return bytes(secret.extract_certificate())


def soon() -> datetime:
    """A moment after any key that a test has just made."""
    return datetime.now(UTC) + timedelta(seconds=2)


def read(data: bytes, address: str = ADMIN, at: datetime | None = None) -> RecipientKey:
    return read_openpgp_key(data, address, at or soon())


def from_file(name: str) -> bytes:
    return (FILES / f"{name}.asc").read_bytes()


def made_with(suite: CipherSuite, profile: Profile = Profile.RFC4880) -> bytes:
    return bytes(Tsk.generate(USER, cipher_suite=suite, profile=profile).extract_certificate())


def test_a_good_key_says_whose_it_is_and_how_it_encrypts(key: bytes) -> None:
    found = read(key)
    assert found.fingerprint == Cert.from_bytes(key).fingerprint
    assert (found.user_ids, found.addresses) == ((USER,), (ADMIN,))
    assert (found.key_type, found.not_after) == ("cv25519", None)


def test_armored_and_binary_are_the_same_key(key: bytes) -> None:
    armored = str(Cert.from_bytes(key)).encode()
    assert read(armored) == read(key)
    assert read(read(key).armored.encode()) == read(key)


@pytest.mark.parametrize(
    ("suite", "profile", "named"),
    [
        (CipherSuite.RSA3k, Profile.RFC4880, "RSA 3072"),
        (CipherSuite.P256, Profile.RFC4880, "NIST P-256"),
        (CipherSuite.P521, Profile.RFC4880, "NIST P-521"),
        (CipherSuite.Cv25519, Profile.RFC9580, "X25519"),
    ],
)
def test_the_usual_kinds_of_keys_are_good_and_named_as_people_know_them(
    suite: CipherSuite, profile: Profile, named: str
) -> None:
    assert read(made_with(suite, profile)).key_type == named


def test_letter_case_of_an_address_does_not_matter(key: bytes) -> None:
    assert read(key, "Wei.Zhang@Harbourline.example").addresses == (ADMIN,)


def test_one_of_several_addresses_is_enough() -> None:
    several = Tsk.generate(user_ids=["Ops <ops@x.example>", USER]).extract_certificate()
    assert read(bytes(several)).addresses == ("ops@x.example", ADMIN)


def test_a_key_of_another_person_is_refused_and_names_them(key: bytes) -> None:
    with pytest.raises(OtherOpenPGPAddress, match=r"names wei\.zhang@harbourline\.example"):
        read(key, OTHER_ADMIN)


@pytest.mark.parametrize("user", ["wei.zhang@harbourline.example.evil.example", f'"{ADMIN}" <evil@x.example>', "Zhang Wei"])
def test_an_address_in_the_words_of_a_user_id_is_not_its_address(user: str) -> None:
    with pytest.raises(OtherOpenPGPAddress):
        read(bytes(Tsk.generate(user).extract_certificate()))


def test_a_key_without_a_name_is_nobodys() -> None:
    with pytest.raises(OtherOpenPGPAddress, match="no mail address"):
        read(bytes(Tsk.generate().extract_certificate()))


def test_before_and_after_its_time_it_is_refused() -> None:
    brief = bytes(Tsk.generate(USER, validity_seconds=3_600).extract_certificate())
    ends = read(brief).not_after
    assert ends is not None
    assert read(brief, at=ends) == read(brief)
    with pytest.raises(OpenPGPNotValidNow, match="ended on"):
        read(brief, at=ends + timedelta(seconds=1))
    with pytest.raises(OpenPGPNotValidNow, match="valid from"):
        read(brief, at=ends - timedelta(hours=2))


def test_a_subkey_that_ended_is_refused_though_the_key_goes_on() -> None:
    """The library would encrypt to it."""
    data = from_file("ended-subkey")
    encrypt(b"", [Cert.from_bytes(data)])
    with pytest.raises(OpenPGPNotValidNow, match="ended on 1 Feb 2024"):
        read(data, at=THEN)
    assert read(data, at=datetime(2024, 1, 15, tzinfo=UTC)).not_after == datetime(2024, 2, 1, 12, tzinfo=UTC)


def test_mail_is_encrypted_to_the_subkey_that_is_in_use_and_to_no_other() -> None:
    found = read(from_file("renewed-subkey"), at=THEN)
    assert (found.key_type, found.not_after) == ("cv25519", None)
    subkeys = [each for each in PacketPile.from_bytes(found.encryption_only) if each.tag == Tag.PublicSubkey]
    assert [each.key_algorithm for each in subkeys] == [PublicKeyAlgorithm.ECDH]


def test_a_longer_life_that_somebody_wrote_into_the_file_does_not_count() -> None:
    packets = list(PacketPile.from_bytes(from_file("ended-subkey")))
    binding = next(each for each in packets if each.signature_type == SignatureType.SubkeyBinding)
    assert binding.key_validity_period is not None
    seconds = int(binding.key_validity_period.total_seconds()).to_bytes(4, "big")
    forged = bytes(binding).replace(seconds, b"\x3f\xff\xff\xff", 1)
    assert forged != bytes(binding)
    for data in (
        b"".join(forged if each is binding else bytes(each) for each in packets),
        b"".join(bytes(each) for each in packets) + forged,
    ):
        with pytest.raises(OpenPGPKeyRefused):
            read(data, at=THEN)


def test_a_subkey_of_another_key_that_somebody_added_does_not_count(key: bytes) -> None:
    """Whoever holds the stranger's key could read what is encrypted to it."""
    stranger = list(PacketPile.from_bytes(made_with(CipherSuite.P256)))
    at = next(n for n, each in enumerate(stranger) if each.key_algorithm == PublicKeyAlgorithm.ECDH)
    mixed = key + bytes(stranger[at]) + bytes(stranger[at + 1])
    try:
        found = read(mixed)
    except OpenPGPKeyRefused:
        return
    assert found.key_type == "cv25519"


def test_a_revoked_key_is_refused(secret: Tsk) -> None:
    certificate = secret.extract_certificate()
    revoked = bytes(certificate) + bytes(certificate.revoke(secret.certifier()))
    with pytest.raises(OpenPGPRevoked, match="has revoked it"):
        read(revoked)


def test_a_revoked_subkey_is_refused() -> None:
    with pytest.raises(OpenPGPRevoked, match="part for encryption"):
        read(from_file("revoked-subkey"), at=THEN)


def test_a_revoked_address_is_refused_while_the_others_stay() -> None:
    secret = Tsk.generate(user_ids=["Ops <ops@x.example>", USER])
    certificate = secret.extract_certificate()
    mine = next(each for each in certificate.user_ids if str(each) == USER)
    data = bytes(Cert.from_bytes(bytes(certificate) + bytes(certificate.revoke_user_id(mine, secret.certifier()))))
    with pytest.raises(AddressRevoked, match=f"does not use it for {ADMIN}"):
        read(data)
    assert read(data, "ops@x.example").addresses == ("ops@x.example",)


def test_a_key_for_signatures_only_is_refused(key: bytes) -> None:
    packets = list(PacketPile.from_bytes(key))
    at = next(n for n, each in enumerate(packets) if each.key_algorithm == PublicKeyAlgorithm.ECDH)
    with pytest.raises(NoEncryptionKey, match="signatures only"):
        read(b"".join(bytes(each) for each in packets[:at]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dsa", "DSA and ElGamal"),
        ("elgamal-subkey", "DSA and ElGamal"),
        ("short-rsa", "1,024 bits"),
        ("short-rsa-subkey", "1,024 bits"),
        ("signed-with-sha1", "SHA-1"),
    ],
)
def test_a_weak_key_is_refused(name: str, said: str) -> None:
    with pytest.raises(WeakOpenPGPKey, match=said):
        read(from_file(name), at=THEN)


def test_a_key_of_version_3_is_refused() -> None:
    def number(value: int) -> bytes:
        return value.bit_length().to_bytes(2, "big") + value.to_bytes((value.bit_length() + 7) // 8, "big")

    body = b"\x03\x30\x00\x00\x00\x00\x00\x01" + number(2**2047 + 1) + number(65537)
    with pytest.raises(WeakOpenPGPKey, match="version 3"):
        read(b"\x99" + len(body).to_bytes(2, "big") + body)


def test_a_private_key_is_refused_in_either_form(secret: Tsk) -> None:
    for data in (bytes(secret), str(secret).encode()):
        with pytest.raises(HoldsPrivateOpenPGPKey) as caught:
            read(data)
        assert "PRIVATE KEY BLOCK" not in str(caught.value)


def test_several_keys_in_one_file_are_refused(key: bytes) -> None:
    with pytest.raises(SeveralOpenPGPKeys, match="2 keys"):
        read(key + made_with(CipherSuite.P256))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"\x99\xff\xff",
        b"\x00" * 5_000_000,
    ],
    ids=["empty", "words", "broken armor", "certificate", "broken", "5 MB"],
)
def test_what_is_no_key_is_refused(data: bytes) -> None:
    with pytest.raises(OpenPGPUnreadable) as caught:
        read(data)
    assert "Stack" not in str(caught.value)


def test_a_message_is_not_a_key(key: bytes) -> None:
    with pytest.raises(OpenPGPUnreadable):
        read(encrypt(b"", [Cert.from_bytes(key)]))


def test_every_truncation_is_refused_or_still_good(key: bytes) -> None:
    for length in range(0, len(key), 7):
        try:
            found = read(key[:length])
        except OpenPGPKeyRefused:
            continue
        assert found.addresses == (ADMIN,)


def test_without_the_extra_it_is_said_what_to_install() -> None:
    code = """
import sys
sys.modules["pysequoia"] = None
from datetime import datetime, UTC
from workflow.openpgp_keys import OpenPGPNotInstalled, read_openpgp_key
try:
    read_openpgp_key(b"", "a@b.example", datetime.now(UTC))
except OpenPGPNotInstalled as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "pip install 'license-desk[openpgp]'" in said
