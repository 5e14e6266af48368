"""Judging a genuine file: the order of the checks, what binds a platform, the warnings, and what a refusal carries."""

import gc
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from workflow.license_file import (
    BadSignature,
    BindingMode,
    Environment,
    Expected,
    Expired,
    Group,
    Groups,
    Installed,
    KeyRetired,
    LicenseRefused,
    LicenseWarning,
    Module,
    OlderThanCurrent,
    PastLicense,
    Result,
    Revoked,
    RevokedLicense,
    SameVersionOtherContent,
    State,
    TrustRoot,
    UntrustedRevocations,
    VersionFloor,
    WrongEnvironment,
    WrongInstallation,
    WrongLicenseId,
    WrongTenant,
    decode_claims,
    state_at,
    verify_license,
    verify_revocations,
)

from .example import CLAIMS, NOW, PLATFORM, ROOT_CONTENT, chain, claims, lic, lrl, pin_of, role, signed_root, signer, trust
from .make_vectors import ROOT_2, ROOT_3, WITH_B, edited, signed

ORDER = (
    *("container", "type", "trust_roots", "key", "signature", "content", "tenant", "environment", "license_id"),
    *("installation", "revocation", "version", "validity"),
)


def verdict(raw: bytes, expected: Expected | None = PLATFORM, at: datetime = NOW, root: TrustRoot | None = None) -> Any:
    return verify_license(raw, root or trust(), expected, at)


def refusal(
    raw: bytes, expected: Expected | None = PLATFORM, at: datetime = NOW, root: TrustRoot | None = None
) -> LicenseRefused:
    with pytest.raises(LicenseRefused) as caught:
        verdict(raw, expected, at, root)
    return caught.value


def test_an_accepted_file_is_read_from_the_bytes_that_were_verified() -> None:
    verified = verdict(lic())
    assert verified.claims == CLAIMS == decode_claims(verified.payload)
    assert verified.state is State.ACTIVE
    assert [check.name for check in verified.checks] == list(ORDER)
    assert verified.warnings == ()
    assert verified.trust is trust()


#: One file that fails every check from "content" on; each change mends the first failing one.
WRONG_IN_EVERY_WAY: list[tuple[type[LicenseRefused], dict[str, Any]]] = [
    (WrongTenant, {"tenant_id": CLAIMS.licensee.tenant_id}),
    (WrongEnvironment, {"environment": "PROD"}),
    (WrongLicenseId, {"license_id": CLAIMS.license_id}),
    (WrongInstallation, {"installation_id": "inst-1"}),
    (Revoked, {"revocations": None}),
    (SameVersionOtherContent, {"installed": Installed(CLAIMS.license_id, 2, "0" * 64)}),
    (OlderThanCurrent, {"installed": None}),
    (Expired, {}),
]


def test_the_checks_are_made_in_their_order() -> None:
    raw = lic(bindings=replace(CLAIMS.bindings, mode=BindingMode.INSTALLATION, values=("inst-1",)))
    revoked = verify_revocations(lrl(floors=(VersionFloor(CLAIMS.license_id, 9),)), trust(), NOW)
    expected = Expected(
        tenant_id="globex",
        environment="UAT",
        license_id="PROD-00000-00000-00000",
        installation_id="inst-9",
        installed=Installed(CLAIMS.license_id, 1, "0" * 64),
        revocations=revoked,
    )
    for error, mending in WRONG_IN_EVERY_WAY:
        refused = refusal(raw, expected, CLAIMS.grace_until)
        assert type(refused) is error
        results = [check.result for check in refused.checks if check.name in ORDER]
        failed = results.index(Result.FAILED)
        assert set(results[failed + 1 :]) <= {Result.NOT_CHECKED}
        assert Result.FAILED not in results[:failed]
        assert refused.contact == CLAIMS.contact
        expected = replace(expected, **mending)


def test_a_refusal_without_a_good_signature_names_no_contact() -> None:
    tampered = edited(lambda members: members.update(payload=members["payload"].replace("A", "B")))
    assert refusal(tampered).contact is None
    assert refusal(lic("stranger")).contact is None
    assert refusal(b"").contact is None


def test_a_file_for_uat_is_refused_on_prod_in_words_that_name_both() -> None:
    uat = lic("issuer-uat", environment="UAT", license_id="UAT-7Q2MX-4TBK9-HZ0CE")
    assert str(refusal(uat)) == "This file is for UAT; this platform is PROD. Ask your business liaison for the PROD file."


def test_the_issuer_of_another_environment_never_decides() -> None:
    # Even when its key signs a payload that says PROD.
    assert refusal(lic("issuer-uat")).code == "UNKNOWN_KEY"
    assert refusal(lic("issuer-uat"), None).code == "UNKNOWN_KEY"


def test_without_a_platform_signature_and_content_are_judged_alone() -> None:
    verified = verdict(lic(), None, CLAIMS.grace_until)
    assert verified.state is State.EXPIRED
    assert {check.result for check in verified.checks[6:]} == {Result.NOT_CHECKED}
    uat = lic("issuer-uat", environment="UAT", license_id="UAT-7Q2MX-4TBK9-HZ0CE")
    assert verdict(uat, None).claims.environment == "UAT"
    assert refusal(lic("stranger"), None).code == "UNKNOWN_KEY"


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (CLAIMS.valid_from - timedelta(seconds=1), State.SCHEDULED),
        (CLAIMS.valid_from, State.ACTIVE),
        (CLAIMS.valid_until - timedelta(seconds=1), State.ACTIVE),
        (CLAIMS.valid_until, State.GRACE),
        (CLAIMS.grace_until - timedelta(seconds=1), State.GRACE),
        (CLAIMS.grace_until, State.EXPIRED),
    ],
)
def test_each_period_begins_with_its_first_instant(at: datetime, state: State) -> None:
    assert state_at(CLAIMS, at) is state


def test_without_grace_the_license_ends_at_once() -> None:
    raw = lic(grace_until=CLAIMS.valid_until)
    assert verdict(raw, at=CLAIMS.valid_until - timedelta(seconds=1)).state is State.ACTIVE
    assert refusal(raw, at=CLAIMS.valid_until).code == "EXPIRED"


def test_the_license_in_force_is_still_read_after_its_end() -> None:
    first = verdict(lic())
    expected = replace(PLATFORM, installed=Installed(CLAIMS.license_id, 1, first.payload_sha256))
    verified = verdict(lic(), expected, CLAIMS.grace_until)
    assert verified.already_installed
    assert verified.state is State.EXPIRED


def test_a_newer_version_replaces_and_an_older_one_does_not() -> None:
    history = tuple(
        PastLicense(CLAIMS.license_id, each.claims.version, each.payload_sha256, each.keyids)
        for each in (verdict(lic()), verdict(lic(version=3)))
    )
    expected = replace(PLATFORM, history=history)
    assert verdict(lic(version=4), expected).state is State.ACTIVE
    assert verdict(lic(version=3), expected).already_installed
    assert refusal(lic(version=3, ext={}), expected).code == "SAME_VERSION_OTHER_CONTENT"
    assert refusal(lic(version=2), expected).code == "OLDER_THAN_CURRENT"
    assert refusal(lic(), expected).code == "OLDER_THAN_CURRENT"
    assert refusal(lic(license_id="PROD-00000-00000-00000"), expected).code == "WRONG_LICENSE_ID"


def test_a_stolen_key_does_not_lock_the_customer_out_once_a_root_dropped_it() -> None:
    # The thief used the last version number there is, and another License ID.
    stolen = verdict(lic(version=2**53 - 1, license_id="PROD-66666-66666-66666"))
    past = PastLicense(stolen.claims.license_id, stolen.claims.version, stolen.payload_sha256, stolen.keyids)
    expected = replace(PLATFORM, history=(past,))
    assert refusal(lic("issuer-prod-spare", version=2), expected).code == "WRONG_LICENSE_ID"
    recovered = verdict(lic("issuer-b", version=2, roots=(ROOT_2, ROOT_3)), expected)
    assert recovered.state is State.ACTIVE
    assert [root.version for root in recovered.new_roots] == [2, 3]


def test_a_refused_file_hands_out_neither_roots_nor_revocations() -> None:
    refused = refusal(lic("issuer-b", roots=(ROOT_2,), revocations=lrl()), replace(PLATFORM, tenant_id="globex"))
    assert not hasattr(refused, "new_roots")
    assert trust().version == 1


def test_rotation_from_root_1_to_3() -> None:
    only_1 = trust()
    by_a, by_b = lic("issuer-prod"), lic("issuer-b", version=2)
    assert refusal(by_b, root=only_1).code == "UNKNOWN_KEY"
    # The platform that knows root 1 only takes B's file with root 2 inside, and still A's.
    verified = verdict(lic("issuer-b", version=2, roots=(ROOT_2,)), root=only_1)
    assert verified.trust.version == 2
    root_2 = chain(ROOT_2).current
    assert verdict(by_a, root=root_2).state is verdict(by_b, root=root_2).state is State.ACTIVE
    root_3 = chain(ROOT_2, ROOT_3).current
    assert verdict(by_b, root=root_3).state is State.ACTIVE
    assert isinstance(refusal(by_a, root=root_3), KeyRetired)


def test_every_group_that_is_in_force_must_have_signed() -> None:
    later = NOW + timedelta(days=10)
    second = Group(1, (signer("issuer-b").keyid,), enforce_from=later)
    content = replace(
        WITH_B,
        version=1,
        issuers={**WITH_B.issuers, Environment.PROD: Groups((*role(1, "issuer-prod").groups, second))},
    )
    root = TrustRoot.pinned(signed_root(content), pin_of(content))
    payload = verdict(lic()).payload
    both = signed(payload, "issuer-prod", "issuer-b")
    assert verdict(lic(), at=NOW, root=root).state is State.ACTIVE
    assert isinstance(refusal(lic(), at=later, root=root), BadSignature)
    assert isinstance(refusal(lic("issuer-b"), at=later, root=root), BadSignature)
    assert verdict(both, at=later, root=root).keyids == tuple(sorted(signer(n).keyid for n in ("issuer-prod", "issuer-b")))


def test_the_newer_revocation_list_counts_whether_held_or_inside() -> None:
    revoking = lrl(2, licenses=(RevokedLicense(CLAIMS.license_id, 1, "a mistake", NOW),))
    held = verify_revocations(revoking, trust(), NOW)
    assert refusal(lic(), replace(PLATFORM, revocations=held)).code == "REVOKED"
    assert refusal(lic(revocations=lrl(1)), replace(PLATFORM, revocations=held)).code == "REVOKED"
    lifted = verdict(lic(revocations=lrl(3)), replace(PLATFORM, revocations=held))
    assert lifted.revocations is not None
    assert lifted.revocations.sequence == 3
    assert isinstance(refusal(lic(revocations=lrl(2)), replace(PLATFORM, revocations=held)), UntrustedRevocations)


def test_a_list_of_a_dropped_revoker_is_dropped_with_its_sequence() -> None:
    held = verify_revocations(lrl(2**53 - 1, "revoker", floors=(VersionFloor(CLAIMS.license_id, 99),)), trust(), NOW)
    expected = replace(PLATFORM, revocations=held)
    assert refusal(lic(revocations=lrl(1, "revoker-spare")), expected).code == "REVOKED"
    without = replace(ROOT_CONTENT, version=2, revokers=role(1, "revoker-spare"))
    recovered = verdict(lic(roots=(signed_root(without),), revocations=lrl(1, "revoker-spare")), expected)
    assert recovered.revocations is not None
    assert recovered.revocations.sequence == 1


def warned(raw: bytes, expected: Expected, at: datetime = NOW) -> tuple[LicenseWarning, ...]:
    verified = verdict(raw, expected, at)
    notes = [check.name for check in verified.checks if check.result is Result.NOTE]
    assert notes == list(verified.warnings)
    warnings: tuple[LicenseWarning, ...] = verified.warnings
    return warnings


def test_use_beyond_a_limit_is_a_warning_and_never_a_refusal() -> None:
    assert warned(lic(), replace(PLATFORM, usage={"users": 501, "agents": 50})) == (LicenseWarning.OVER_LIMIT,)
    assert warned(lic(), replace(PLATFORM, usage={"users": 500})) == ()


def test_what_is_taken_away_is_a_warning() -> None:
    expected = replace(PLATFORM, in_force=claims(modules=(*CLAIMS.modules, Module("workflow"))))
    assert warned(lic(), expected) == (LicenseWarning.REMOVES_SOMETHING,)
    assert verdict(lic(), expected, NOW).checks[-1].detail == "Workflow stops working."
    assert warned(lic(), replace(PLATFORM, in_force=CLAIMS)) == ()


def test_a_module_this_platform_does_not_have_is_a_warning() -> None:
    assert warned(lic(), replace(PLATFORM, known_modules=frozenset({"agent-studio"}))) == (LicenseWarning.UNKNOWN_MODULE,)
    assert warned(lic(), replace(PLATFORM, known_modules=frozenset({"agent-studio", "knowledge-base"}))) == ()


def test_a_file_from_the_future_makes_the_clock_suspect() -> None:
    before = CLAIMS.issued_at - timedelta(hours=24, seconds=1)
    assert warned(lic(), PLATFORM, before) == (LicenseWarning.CLOCK_SUSPECT,)
    assert warned(lic(), PLATFORM, CLAIMS.issued_at - timedelta(hours=24)) == ()
    assert warned(lic(), replace(PLATFORM, clock_suspect=True)) == (LicenseWarning.CLOCK_SUSPECT,)


def test_stale_revocations_and_an_old_root_are_warnings() -> None:
    stale = datetime(2026, 12, 20, tzinfo=NOW.tzinfo)
    assert warned(lic(revocations=lrl()), PLATFORM, stale) == (LicenseWarning.REVOCATIONS_STALE,)
    far = datetime(2032, 1, 1, tzinfo=NOW.tzinfo)
    assert warned(lic(valid_until=far, grace_until=far), PLATFORM, datetime(2031, 1, 1, tzinfo=NOW.tzinfo)) == (
        LicenseWarning.ROOT_EXPIRED,
    )


def test_a_naive_instant_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="aware"):
        verify_license(lic(), trust(), PLATFORM, NOW.replace(tzinfo=None))


def test_a_verification_leaves_nothing_to_the_garbage_collector() -> None:
    raw = lic()
    verdict(raw, PLATFORM)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            verdict(raw, PLATFORM)
        assert gc.collect() == 0
    finally:
        gc.enable()
