"""Activation receipts: signed by the key inside, tied to it by its id, and bounded."""

import json
from base64 import b64encode
from dataclasses import fields, replace
from datetime import date
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from workflow.license_file import (
    LICENSE_TYPE,
    MAX_RECEIPT,
    RECEIPT_TYPE,
    BadSignature,
    Damaged,
    EcdsaSigner,
    Installation,
    LicenseRefused,
    MalformedLicense,
    ReceiptClaims,
    TooLarge,
    WrongType,
    canonical,
    decode_receipt,
    encode_receipt,
    phone_code,
    sign_document,
    sign_receipt,
    verify_receipt,
)
from workflow.license_file.strict_json import decode

from .example import CLAIMS, RECEIPT, lic, receipt, signer
from .make_vectors import edited


def test_a_receipt_is_read_back_as_it_was_written() -> None:
    verified = verify_receipt(receipt())
    assert verified.claims == RECEIPT == decode_receipt(verified.payload)
    assert verified.keyid == signer("installation").keyid
    chained = verify_receipt(receipt(previous=verified.payload_sha256, receipt_id="second"))
    assert chained.claims.previous == verified.payload_sha256


def test_every_member_of_the_receipt_is_a_claim() -> None:
    members = json.loads(encode_receipt(RECEIPT)).keys()
    assert members == {field.name for field in fields(ReceiptClaims)} | {"type", "schema"}


def test_a_receipt_is_signed_by_its_own_installation_only() -> None:
    with pytest.raises(ValueError, match="its installation"):
        sign_receipt(RECEIPT, signer("stranger"))
    foreign = sign_document(RECEIPT_TYPE, encode_receipt(RECEIPT), [signer("stranger")])
    beside = sign_document(RECEIPT_TYPE, encode_receipt(RECEIPT), [signer("installation"), signer("stranger")])
    for raw in (foreign, beside):
        with pytest.raises(BadSignature):
            verify_receipt(raw)


def test_a_changed_receipt_is_refused() -> None:
    changed = encode_receipt(RECEIPT).replace(b'"version":1', b'"version":2')
    with pytest.raises(BadSignature, match="changed after it was signed"):
        verify_receipt(edited(lambda m: m.update(payload=b64encode(changed).decode()), receipt()))


def test_other_documents_are_no_receipts() -> None:
    for raw in (lic(), sign_document(LICENSE_TYPE, encode_receipt(RECEIPT), [signer("installation")])):
        with pytest.raises(WrongType):
            verify_receipt(raw)
    with pytest.raises(Damaged):
        verify_receipt(receipt()[:100])


def test_a_receipt_above_16_kib_is_not_read() -> None:
    verify_receipt(receipt() + b" " * (MAX_RECEIPT - len(receipt())))
    with pytest.raises(TooLarge):
        verify_receipt(receipt() + b" " * (MAX_RECEIPT - len(receipt()) + 1))


def with_installation(**changes: Any) -> bytes:
    members = decode(encode_receipt(RECEIPT))
    members["installation"] |= changes
    return sign_document(RECEIPT_TYPE, canonical(members), [signer("installation")])


SMALL_ORDER = "MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.mark.parametrize(
    "changes", [{"keyid": "0" * 64}, {"spki": SMALL_ORDER}, {"spki": "x"}, {"spki": "ä"}, {"id": ""}, {"extra": "x"}], ids=str
)
def test_a_receipt_whose_key_is_not_in_order_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedLicense):
        verify_receipt(with_installation(**changes))


def test_an_installation_key_is_an_ed25519_key() -> None:
    ecdsa = EcdsaSigner(generate_private_key(SECP256R1()))
    with pytest.raises(MalformedLicense, match="Ed25519"):
        sign_receipt(replace(RECEIPT, installation=Installation.of("inst-1", ecdsa)), ecdsa)


@pytest.mark.parametrize("member", [field.name for field in fields(ReceiptClaims)])
@pytest.mark.parametrize("value", [[], {}, True, -1, "\t"], ids=repr)
def test_a_member_of_another_kind_is_refused(member: str, value: object) -> None:
    members = json.loads(encode_receipt(RECEIPT)) | {member: value}
    with pytest.raises(MalformedLicense):
        decode_receipt(json.dumps(members).encode())


def test_the_phone_code_proves_that_the_file_was_there() -> None:
    arguments = (CLAIMS.activation.code, CLAIMS.license_id, 1, "inst-1", date(2026, 11, 1))
    code = phone_code(*arguments)
    # Computed with: openssl dgst -sha256 -mac HMAC -macopt hexkey:… -binary | head -c 10 | basenc --base32hex
    assert code == "P3YS9JDQNXD3GRK8"
    assert len(code) == 16
    for index, other in enumerate(("f" * 32, "PROD-00000-00000-00000", 2, "inst-2", date(2026, 11, 2))):
        changed: Any = [*arguments[:index], other, *arguments[index + 1 :]]
        assert phone_code(*changed) != code


def test_every_refusal_of_a_receipt_has_a_code_and_a_sentence() -> None:
    for raw in (b"", lic(), receipt()[:-10]):
        with pytest.raises(LicenseRefused) as caught:
            verify_receipt(raw)
        assert caught.value.code
        assert str(caught.value).endswith(".")
