"""The vectors that others published: Ed25519 of RFC 8032's authors, and NIST's ML-DSA-65, through our own functions."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography_vectors import open_vector_file

from workflow.license_file import Ed25519Signer
from workflow.license_file.keys import is_good_signature, load_public_key


def ed25519() -> list[tuple[bytes, bytes, bytes, bytes]]:
    """Private key, public key, message and signature of each line."""
    with open_vector_file("asymmetric/Ed25519/sign.input", "r") as file:
        rows = [[bytes.fromhex(part) for part in line.split(":")[:4]] for line in file]
    return [(secret[:32], public, message, signed[:64]) for secret, public, message, signed in rows]


def test_all_1024_ed25519_vectors_agree() -> None:
    vectors = ed25519()
    assert len(vectors) == 1_024
    for secret, public, message, signature in vectors:
        signer = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(secret))
        key = load_public_key(signer.public_key)
        assert signer.public_key[-32:] == public
        assert signer.sign(message) == signature
        assert is_good_signature(key, signature, message)
        assert not is_good_signature(key, signature, message + b"\0")
        assert not is_good_signature(key, bytes([signature[0] ^ 1]) + signature[1:], message)


def test_a_signature_with_its_second_spelling_is_refused() -> None:
    """RFC 8032, 5.1.7: S must be below the group's order, or one signature has two spellings."""
    order = 2**252 + 27742317777372353535851937790883648493
    _, public, message, signature = ed25519()[1]
    again = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    key = load_public_key(bytes.fromhex("302a300506032b6570032100") + public)
    assert is_good_signature(key, signature, message)
    assert not is_good_signature(key, again, message)


def ml_dsa_65() -> Iterator[dict[str, bytes]]:
    """Public key, message, context, and signature with the message behind it."""
    entry: dict[str, bytes] = {}
    with open_vector_file("asymmetric/MLDSA/kat_MLDSA_65_det_pure.rsp", "r") as file:
        for line in [*file, ""]:
            name, separator, value = line.partition("=")
            if separator and name.strip() in ("pk", "msg", "sm", "ctx"):
                entry[name.strip()] = bytes.fromhex(value.strip())
            if len(entry) == 4:
                yield entry
                entry = {}


def test_the_ml_dsa_65_vectors_are_good_under_their_context_and_under_no_other() -> None:
    vectors = list(ml_dsa_65())
    assert len(vectors) == 100
    for entry in vectors:
        signature = entry["sm"][: -len(entry["msg"])]
        spki = MLDSA65PublicKey.from_public_bytes(entry["pk"]).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        key = load_public_key(spki)
        assert isinstance(key, MLDSA65PublicKey)
        key.verify(signature, entry["msg"], entry["ctx"])
        # The format signs with the empty context, so a signature that was made for another purpose is worth nothing.
        assert is_good_signature(key, signature, entry["msg"]) is (entry["ctx"] == b"")


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_is_only_wrong(length: int) -> None:
    _, public, message, _ = ed25519()[0]
    assert not is_good_signature(load_public_key(bytes.fromhex("302a300506032b6570032100") + public), bytes(length), message)
