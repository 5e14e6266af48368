"""A file that was touched is either still the same license or refused by name: nothing in between, no other exception."""

import random
from collections.abc import Iterator
from contextlib import suppress

import pytest

from workflow.license_file import LicenseRefused, verify_license
from workflow.license_file.envelope import Envelope, as_written, decode
from workflow.license_file.receipts import verify_receipt
from workflow.license_file.revocations import verify_revocations

from .example import NOW, PLATFORM, lic, lrl, receipt, signed_root, trust

#: Without roots and revocations: the size of a file, and so the time of this test, stays small.
RAW = lic()
PAYLOAD = decode(RAW).payload


def outcome(raw: bytes) -> str:
    try:
        verified = verify_license(raw, trust(), PLATFORM, NOW)
    except LicenseRefused as refused:
        return refused.code
    assert verified.payload == PAYLOAD, "a changed license was accepted"
    return "accepted"


def bit_flips(raw: bytes) -> Iterator[bytes]:
    for index in range(len(raw)):
        for bit in range(8):
            yield raw[:index] + bytes([raw[index] ^ 1 << bit]) + raw[index + 1 :]


def mutations(raw: bytes, count: int) -> Iterator[bytes]:
    chance = random.Random(2026)
    pieces = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"null", b"\x00", b"\xff", b"\\u0000", b"=", b"-"]
    for _ in range(count):
        changed = bytearray(raw)
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            start = chance.randrange(len(changed))
            end = min(len(changed), start + chance.choice((0, 1, 1, 2, 8, 64)))
            match chance.randrange(4):
                case 0:
                    changed[start:end] = chance.choice(pieces)
                case 1:
                    changed[start:end] = chance.randbytes(end - start)
                case 2:
                    changed[start:start] = changed[chance.randrange(len(changed)) :][: end - start]
                case _:
                    del changed[start:end]
        yield bytes(changed)


def test_no_flipped_bit_changes_what_is_accepted() -> None:
    outcomes = {outcome(raw) for raw in bit_flips(RAW)}
    assert {"BAD_SIGNATURE", "DAMAGED", "UNKNOWN_KEY", "WRONG_TYPE"} <= outcomes
    # Changing one kind of white space into another is all that a flipped bit may do unnoticed.
    assert outcomes <= {"BAD_SIGNATURE", "DAMAGED", "UNKNOWN_KEY", "WRONG_TYPE", "NEEDS_NEWER_PLATFORM", "accepted"}


def test_no_cut_off_file_is_accepted() -> None:
    assert {outcome(RAW[:length]) for length in range(len(RAW) - 1)} == {"DAMAGED"}
    assert outcome(RAW[:-1]) == "accepted", "the line end after the object is only white space"


def test_no_random_mutation_changes_what_is_accepted() -> None:
    counts: dict[str, int] = {}
    for raw in mutations(RAW, 20_000):
        code = outcome(raw)
        counts[code] = counts.get(code, 0) + 1
    assert counts["DAMAGED"] > 1_000
    assert counts["BAD_SIGNATURE"] > 50


def test_the_short_way_through_a_file_as_written_says_what_the_general_reader_says() -> None:
    short = 0
    for raw in (RAW, *bit_flips(RAW[:100]), *mutations(RAW, 20_000), *reworded(RAW)):
        if (taken := as_written(raw)) is not None:
            short += 1
            assert taken == general(raw)
    assert short > 500, "the mutations do not reach the short way"


def reworded(raw: bytes) -> Iterator[bytes]:
    """One text or the frame around it replaced by what both readers must understand alike."""
    texts = raw.split(b'"')
    chance = random.Random(3)
    alphabet = b"ABCDabcd0189+/-_=\\u:{}[], \t\n\x00\x1f\x7f\x80\xc3\xa9"
    for _ in range(20_000):
        changed = list(texts)
        place = chance.choice((3, 7, 13, 17)) if chance.random() < 0.8 else chance.randrange(len(texts))
        text = bytearray(changed[place])
        for _ in range(chance.choice((1, 1, 2, 4))):
            start = chance.randrange(len(text) + 1)
            text[start : start + chance.choice((0, 1, 4))] = bytes(chance.choices(alphabet, k=chance.choice((0, 1, 4))))
        changed[place] = bytes(text)
        yield b'"'.join(changed)


def general(raw: bytes) -> Envelope:
    """The reader for every spelling; a space before the file keeps the short way away and means nothing."""
    assert as_written(b" " + raw) is None
    return decode(b" " + raw)


@pytest.mark.parametrize("seed", ["roots", "revocations"])
def test_mutations_of_the_documents_inside_are_refused_by_name(seed: str) -> None:
    raw = lic(roots=(signed_root(),)) if seed == "roots" else lic(revocations=lrl())
    for changed in mutations(raw, 300):
        outcome(changed)


def test_mutations_of_receipts_and_revocation_lists_are_refused_by_name() -> None:
    good_receipt, good_list = verify_receipt(receipt()), verify_revocations(lrl(), trust(), NOW)
    for changed in mutations(receipt(), 1_000):
        with suppress(LicenseRefused):
            assert verify_receipt(changed).payload == good_receipt.payload
    for changed in mutations(lrl(), 1_000):
        with suppress(LicenseRefused):
            assert verify_revocations(changed, trust(), NOW).payload_sha256 == good_list.payload_sha256
