"""Revocation lists: who may sign them, which of two counts, and what they say about a license."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workflow.license_file import (
    LICENSE_TYPE,
    REVOCATIONS_TYPE,
    MalformedLicense,
    RevocationContent,
    Revoked,
    RevokedLicense,
    TrustRoot,
    UntrustedRevocations,
    VersionFloor,
    canonical,
    decode_revocations,
    encode_revocations,
    newest_list,
    sign_document,
    verify_license,
    verify_revocations,
)
from workflow.license_file.strict_json import decode

from .example import CLAIMS, NOW, PLATFORM, ROOT_CONTENT, lic, lrl, pin_of, role, signed_root, signer, trust

CONTENT = RevocationContent(
    sequence=3,
    issued_at=datetime(2026, 10, 20, tzinfo=UTC),
    next_update=datetime(2026, 12, 20, tzinfo=UTC),
    licenses=(RevokedLicense(CLAIMS.license_id, 2, "issued by mistake", NOW),),
    floors=(VersionFloor("UAT-7Q2MX-4TBK9-HZ0CE", 4),),
)


def test_what_is_written_is_read_back_the_same() -> None:
    assert decode_revocations(encode_revocations(CONTENT)) == CONTENT


def test_a_list_names_versions_and_floors() -> None:
    held = verify_revocations(lrl(3, licenses=CONTENT.licenses, floors=CONTENT.floors), trust(), NOW)
    assert held.reason_against(CLAIMS.license_id, 2) == "issued by mistake"
    assert held.reason_against(CLAIMS.license_id, 1) is None
    assert held.reason_against(CLAIMS.license_id, 3) is None
    assert held.reason_against("UAT-7Q2MX-4TBK9-HZ0CE", 3) == "versions below 4 no longer count"
    assert held.reason_against("UAT-7Q2MX-4TBK9-HZ0CE", 4) is None


def test_a_reason_that_ends_with_a_full_stop_does_not_bring_a_second_one() -> None:
    licenses = (RevokedLicense(CLAIMS.license_id, 1, "It named one module too many.", NOW),)
    held = verify_revocations(lrl(3, licenses=licenses), trust(), NOW)
    with pytest.raises(Revoked, match=r"called back: It named one module too many\. Ask your"):
        verify_license(lic(), trust(), replace(PLATFORM, revocations=held), NOW)


def test_only_revokers_sign_lists() -> None:
    assert verify_revocations(lrl(key="revoker-spare"), trust(), NOW).sequence == 1
    for key in ("issuer-prod", "root-1", "auditor", "stranger"):
        with pytest.raises(UntrustedRevocations, match="not signed by the revokers"):
            verify_revocations(lrl(key=key), trust(), NOW)


@pytest.mark.parametrize("raw", [b"", lic(), sign_document(LICENSE_TYPE, encode_revocations(CONTENT), [signer("revoker")])])
def test_what_is_no_list_is_refused_by_name(raw: bytes) -> None:
    with pytest.raises(UntrustedRevocations):
        verify_revocations(raw, trust(), NOW)


def test_a_list_is_stale_from_its_next_update_on() -> None:
    held = verify_revocations(lrl(), trust(), NOW)
    assert not held.is_stale(CONTENT.next_update - timedelta(seconds=1))
    assert held.is_stale(CONTENT.next_update)


def test_the_higher_sequence_counts() -> None:
    first, second = (verify_revocations(lrl(number), trust(), NOW) for number in (1, 2))
    assert newest_list(None, first) is first
    assert newest_list(first, second) is second
    assert newest_list(second, second) is second
    with pytest.raises(UntrustedRevocations, match="older than number 2"):
        newest_list(second, first)


def test_two_lists_under_one_number_are_an_alarm() -> None:
    one, other = verify_revocations(lrl(), trust(), NOW), verify_revocations(lrl(floors=CONTENT.floors), trust(), NOW)
    with pytest.raises(UntrustedRevocations, match="another revocation list with number 1"):
        newest_list(one, other)


def test_the_same_list_signed_again_is_the_same_list() -> None:
    one, again = (verify_revocations(lrl(key=key), trust(), NOW) for key in ("revoker", "revoker-spare"))
    assert newest_list(one, again) is one


def test_a_root_that_drops_the_revoker_drops_the_list() -> None:
    content = replace(ROOT_CONTENT, revokers=role(1, "revoker-spare"))
    root = TrustRoot.pinned(signed_root(content), pin_of(content))
    with pytest.raises(UntrustedRevocations):
        verify_revocations(lrl(2**53 - 1), root, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 0},
        {"sequence": 2**53},
        {"next_update": "2026-10-20T00:00:00Z"},
        {"licenses": [{}]},
        {"licenses": [{"license_id": "X", "version": 1, "reason": "r", "at": "2026-10-20T00:00:00Z"}]},
        {"floors": [{"license_id": CLAIMS.license_id, "min_version": 0}]},
        {"type": "license"},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_signed_list_that_is_malformed_is_refused(change: dict[str, Any]) -> None:
    try:
        payload = canonical(decode(encode_revocations(CONTENT)) | change)
    except MalformedLicense:
        payload = encode_revocations(CONTENT).replace(b'"sequence":3', b'"sequence":9007199254740992')
    with pytest.raises(UntrustedRevocations, match="cannot be used"):
        verify_revocations(sign_document(REVOCATIONS_TYPE, payload, [signer("revoker")]), trust(), NOW)
