"""The DER that is written directly, beside what a library that reads it says. Whole messages are opened by other programs."""

from datetime import UTC, datetime

import pytest
from asn1crypto import cms as reader
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs7

from tests.mail.conftest import ADMIN, Post
from workflow.mail import cms
from workflow.mail.demo_keys import make_authority, make_recipient
from workflow.times import wall_now


@pytest.mark.parametrize("dotted", ["1.2.840.113549.1.7.1", "2.16.840.1.101.3.4.1.42", "1.3.132.1.11.1", "2.999.1"])
def test_an_object_identifier_is_written_as_others_read_it(dotted: str) -> None:
    assert cms.oid(dotted) == core.ObjectIdentifier(dotted).dump()


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, 2**63, 2**159 - 1])
def test_a_number_is_never_taken_for_a_negative_one(value: int) -> None:
    assert cms.integer(value) == core.Integer(value).dump()


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_a_length_is_as_short_as_it_can_be(length: int) -> None:
    assert cms.der(cms.OCTET_STRING, b"x" * length) == core.OctetString(b"x" * length).dump()


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 4_096])
def test_content_of_any_length_comes_out_as_it_went_in(post: Post, length: int) -> None:
    pem = post.key_file().read_bytes()
    certificate, key = x509.load_pem_x509_certificate(pem), load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    content = bytes(range(256)) * 16
    sealed = cms.encrypted_to(certificate, content[:length])
    assert pkcs7.pkcs7_decrypt_der(sealed, certificate, key, []) == content[:length]


def test_no_two_messages_share_a_key_or_a_first_block(post: Post) -> None:
    now = wall_now()
    on_curve = make_recipient(make_authority(now), ec.generate_private_key(ec.SECP256R1()), ADMIN, now)
    for certificate in (x509.load_pem_x509_certificate(post.certificate()), on_curve):
        first, second = (cms.encrypted_to(certificate, b"the same words") for _ in range(2))
        parts = [reader.ContentInfo.load(each, strict=True)["content"] for each in (first, second)]
        blocks = [each["encrypted_content_info"]["content_encryption_algorithm"]["parameters"].native for each in parts]
        assert blocks[0] != blocks[1]
        assert parts[0]["recipient_infos"].dump() != parts[1]["recipient_infos"].dump()


def test_a_signature_is_written_in_the_one_order_that_der_allows(post: Post) -> None:
    """A reader writes the signed attributes anew, sorted, before it checks the signature over them."""
    chain = [make_authority(wall_now()).certificate for _ in range(3)]
    raw = cms.signature_over(b"words", post.signer.certificate, post.signer.key, chain, wall_now())
    signed = reader.ContentInfo.load(raw, strict=True)["content"]
    for members in (signed["certificates"], signed["signer_infos"][0]["signed_attrs"]):
        written = [each.dump() for each in members]
        assert written == sorted(written)


@pytest.mark.parametrize("year", [2026, 2049, 2050, 2070])
def test_the_time_of_signing_is_what_it_was_given(post: Post, year: int) -> None:
    at = datetime(year, 3, 4, 5, 6, 7, tzinfo=UTC)
    raw = cms.signature_over(b"words", post.signer.certificate, post.signer.key, (), at)
    attributes = reader.ContentInfo.load(raw, strict=True)["content"]["signer_infos"][0]["signed_attrs"]
    (told,) = (each["values"][0] for each in attributes if each["type"].native == "signing_time")
    assert told.native == at
    assert told.name == ("utc_time" if year < 2050 else "generalized_time")  # RFC 5652, 11.3
