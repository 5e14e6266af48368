"""The specification says what the code does: codes, members, numbers, ranges."""

import json
from pathlib import Path
from typing import Any

import pytest

from workflow.license_file import (
    LICENSE_TYPE,
    MAX_ENVELOPE,
    MAX_PAYLOAD,
    MAX_PAYLOAD_TO_SIGN,
    MAX_RECEIPT,
    RECEIPT_TYPE,
    REVOCATIONS_TYPE,
    TRUST_ROOT_TYPE,
    Algorithm,
    LicenseRefused,
    LicenseWarning,
    RevocationContent,
    RevokedLicense,
    Supersedes,
    VersionFloor,
    build_root_payload,
    encode_claims,
    encode_receipt,
    encode_revocations,
)
from workflow.license_file.keys import SMALL_ORDER_Y
from workflow.license_file.strict_json import FORBIDDEN_RANGES

from .example import CLAIMS, NOW, RECEIPT, ROOT_CONTENT, claims
from .make_vectors import PUBLISHED

PAGE = (Path(__file__).parents[2] / "docs" / "license-file.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def names(value: Any) -> set[str]:
    match value:
        case dict():
            return set(value).union(*(names(inner) for inner in value.values()))
        case list():
            return set().union(*(names(inner) for inner in value))
        case _:
            return set()


REVOCATIONS = RevocationContent(
    1, NOW, NOW.replace(year=2027), (RevokedLicense(CLAIMS.license_id, 1, "r", NOW),), (VersionFloor(CLAIMS.license_id, 2),)
)
DOCUMENTS = {
    "Payload of a license": encode_claims(claims(version=2, supersedes=Supersedes(1, "0" * 64), ext={})),
    "Trust root": build_root_payload(ROOT_CONTENT),
    "Revocation list": encode_revocations(REVOCATIONS),
    "Activation receipt": encode_receipt(RECEIPT),
}


@pytest.mark.parametrize("title", DOCUMENTS)
def test_every_member_of_a_document_is_specified(title: str) -> None:
    members = {name for name in names(json.loads(DOCUMENTS[title])) if len(name) != 64}
    assert [name for name in sorted(members) if f"`{name}`" not in section(title)] == []


def test_every_code_stands_in_the_order_of_checks() -> None:
    listed = section("Order of checks")
    codes = [each.code for each in LicenseRefused.__subclasses__()]
    assert [code for code in (*codes, *LicenseWarning) if f"`{code}`" not in listed] == []


def test_the_forbidden_code_points_are_those_of_the_code() -> None:
    ranges = [f"{first:04X}" if first == last else f"{first:04X}-{last:04X}" for first, last in FORBIDDEN_RANGES]
    assert " ".join(f"`{each}`" for each in ranges) in " ".join(section("JSON profile").split())


def test_types_limits_and_algorithms_are_those_of_the_code() -> None:
    for text in (LICENSE_TYPE, TRUST_ROOT_TYPE, REVOCATIONS_TYPE, RECEIPT_TYPE, *Algorithm):
        assert f"`{text}`" in PAGE
    for number in (MAX_ENVELOPE, MAX_PAYLOAD, MAX_PAYLOAD_TO_SIGN, MAX_RECEIPT):
        assert f"{number:,}" in PAGE
    for y in SMALL_ORDER_Y - {0, 1, 2**255 - 20}:
        assert f"`{y:064x}`" in PAGE


def test_every_published_vector_is_described() -> None:
    assert [path.name for path in PUBLISHED.iterdir() if f"`{path.name}`" not in section("Test vectors")] == []
