"""The container: its one spelling when written, the few that are read, and bounds on both sides."""

import json
from base64 import b64encode

import pytest

from workflow.license_file import (
    LICENSE_TYPE,
    MAX_ENVELOPE,
    MAX_PAYLOAD_TO_SIGN,
    MalformedLicense,
    Restriction,
    TooLarge,
    sign_license,
)
from workflow.license_file.envelope import MAX_PAYLOAD, Envelope, Signature, decode, encode, signed_bytes
from workflow.license_file.payload import encode_claims

from .example import CLAIMS, claims, lic, lrl, signed_root, signer


def test_the_signed_bytes_are_those_of_the_dsse_standard() -> None:
    # The example of the DSSE 1.0.2 protocol text.
    assert signed_bytes("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_the_file_is_ascii_indented_by_one_with_lf_at_the_end() -> None:
    raw = lic()
    lines = raw.decode("ascii").split("\n")
    assert lines[0] == "{"
    assert lines[1] == f' "payloadType": "{LICENSE_TYPE}",'
    assert lines[-2:] == ["}", ""]
    assert "\r" not in raw.decode()
    assert list(json.loads(raw)) == ["payloadType", "payload", "signatures"]


def test_a_file_taken_apart_and_put_together_is_the_same_file() -> None:
    raw = lic(roots=(signed_root(),), revocations=lrl())
    assert encode(decode(raw)) == raw
    assert decode(raw).roots == (signed_root(),)
    assert decode(raw).revocations == lrl()


def test_the_bounds_of_reading_are_exact() -> None:
    raw = lic()
    decode(raw + b" " * (MAX_ENVELOPE - len(raw)))
    with pytest.raises(TooLarge, match="more than 131,072 bytes"):
        decode(raw + b" " * (MAX_ENVELOPE - len(raw) + 1))
    assert decode(_around(b"x" * MAX_PAYLOAD)).payload == b"x" * MAX_PAYLOAD


def test_a_payload_above_65536_bytes_is_not_read() -> None:
    with pytest.raises(TooLarge):
        decode(_around(b"x" * (MAX_PAYLOAD + 1)))


def test_a_file_no_reader_would_take_is_not_written() -> None:
    with pytest.raises(TooLarge):
        encode(Envelope("t", b"x" * 100_000, (Signature("a", b"b"),)))


def test_a_license_above_4000_bytes_is_not_signed() -> None:
    room = MAX_PAYLOAD_TO_SIGN - len(encode_claims(claims(ext={"a": ""})))
    fits = claims(ext={"a": "x" * room})
    assert len(encode_claims(fits)) == MAX_PAYLOAD_TO_SIGN
    sign_license(fits, [signer("issuer-prod")])
    with pytest.raises(TooLarge, match="at most 4,000"):
        sign_license(claims(ext={"a": "x" * (room + 1)}), [signer("issuer-prod")])
    many = tuple(Restriction(f"r{n}", "x" * 900) for n in range(5))
    with pytest.raises(TooLarge, match="Shorten"):
        sign_license(claims(restrictions=many), [signer("issuer-prod")])


def test_stored_payload_bytes_are_signed_as_they_are() -> None:
    payload = json.dumps(json.loads(encode_claims(CLAIMS)), indent=2).encode()
    assert decode(sign_license(payload, [signer("issuer-prod")])).payload == payload


@pytest.mark.parametrize("payload", [b"", b"{}", b"not json"])
def test_what_no_platform_would_take_is_not_signed(payload: bytes) -> None:
    with pytest.raises(MalformedLicense):
        sign_license(payload, [signer("issuer-prod")])


def test_one_signer_may_not_sign_twice_and_none_not_at_all() -> None:
    for signers in ([], [signer("issuer-prod")] * 2):
        with pytest.raises(ValueError, match="at least one signer"):
            sign_license(CLAIMS, signers)


def _around(payload: bytes) -> bytes:
    members = {"payloadType": "t", "payload": b64encode(payload).decode(), "signatures": [{"keyid": "a", "sig": "AAAA"}]}
    return json.dumps(members).encode()
