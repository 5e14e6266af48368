"""A stolen key must not lock a customer out for ever: the next trust root takes back whatever it signed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from workflow.license_file import (
    Environment,
    KeyRetired,
    PastLicense,
    UntrustedRevocations,
    VerifiedLicense,
    effective_now,
    keys_by_id,
    newest_list,
    verify_license,
    verify_revocations,
)

from .example import CLAIMS, NOW, PLATFORM, ROOT_CONTENT, lic, lrl, role, signed_root, trust, trusted

LAST = 2**53 - 1
IN_2099 = datetime(2099, 1, 1, tzinfo=UTC)

#: The remedy: the stolen issuer and revoker keys are gone, a new revoker is there.
REMEDY = signed_root(
    replace(
        ROOT_CONTENT,
        version=2,
        keys={
            keyid: key
            for keyid, key in {**ROOT_CONTENT.keys, **keys_by_id(trusted("revoker-new"))}.items()
            if key.label not in ("issuer-prod", "revoker")
        },
        issuers={**ROOT_CONTENT.issuers, Environment.PROD: role(1, "issuer-prod-spare")},
        revokers=role(1, "revoker-spare", "revoker-new"),
    )
)
REPAIRED = lic("issuer-prod-spare", version=2, roots=(REMEDY,), revocations=lrl(2, "revoker-new"))


def by_the_thief() -> VerifiedLicense:
    """The highest version there can be, issued in 2099: nothing in it is wrong but the hands that signed it."""
    at = IN_2099 + timedelta(days=1)
    until = at + timedelta(days=365)
    forged = lic(
        version=LAST, issued_at=IN_2099, modules=CLAIMS.modules[:1], valid_from=IN_2099, valid_until=until, grace_until=until
    )
    return verify_license(forged, trust(), PLATFORM, at)


def past(verified: VerifiedLicense) -> PastLicense:
    return PastLicense(verified.claims.license_id, verified.claims.version, verified.payload_sha256, verified.keyids)


def test_the_danger_is_real() -> None:
    stolen = by_the_thief()
    platform = replace(PLATFORM, history=(past(stolen),))
    with pytest.raises(Exception, match="already accepted here"):
        verify_license(lic("issuer-prod-spare", version=2), trust(), platform, NOW)
    assert effective_now(NOW, None, stolen.claims.issued_at) == IN_2099
    held = verify_revocations(lrl(LAST), trust(), NOW)
    with pytest.raises(UntrustedRevocations, match="older than number"):
        newest_list(held, verify_revocations(lrl(2, "revoker-spare"), trust(), NOW))


def test_version_and_time_of_2099_bind_no_more_once_the_next_root_drops_the_key() -> None:
    stolen = by_the_thief()
    repaired = verify_license(REPAIRED, trust(), replace(PLATFORM, history=(past(stolen),)), NOW)
    assert repaired.claims.version == 2
    assert not repaired.trust.trusts_issuers(stolen.keyids, "PROD", NOW)
    binding = [each.claims.issued_at for each in (stolen, repaired) if repaired.trust.trusts_issuers(each.keyids, "PROD", NOW)]
    assert effective_now(NOW, None, max(binding)) == NOW
    with pytest.raises(KeyRetired):
        verify_license(lic(version=LAST), repaired.trust, PLATFORM, NOW)


def test_a_revocation_list_with_the_last_number_there_is_binds_no_more_either() -> None:
    held = verify_revocations(lrl(LAST), trust(), NOW)
    repaired = verify_license(REPAIRED, trust(), replace(PLATFORM, revocations=held), NOW)
    assert repaired.revocations is not None
    assert repaired.revocations.sequence == 2
    with pytest.raises(UntrustedRevocations):
        verify_revocations(lrl(LAST), repaired.trust, NOW)
