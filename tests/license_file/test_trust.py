"""Whom a platform believes: the pin, the chain, the thresholds, and the keys that must not count."""

import json
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from workflow.license_file import (
    LICENSE_TYPE,
    TRUST_ROOT_TYPE,
    Algorithm,
    EcdsaSigner,
    Environment,
    Group,
    Groups,
    KeyUnusable,
    KeyUse,
    Purpose,
    RootContent,
    RootMalformed,
    RootNotPinned,
    RootNotSuccessor,
    RootUnderSigned,
    TrustChain,
    TrustedKey,
    TrustRoot,
    UnknownKey,
    build_root_payload,
    canonical,
    encode_claims,
    keyid_of,
    keys_by_id,
    newer_roots,
    one_group,
    sign_document,
    sign_license,
    verify_license,
)
from workflow.license_file.keys import SMALL_ORDER_Y, load_public_key
from workflow.license_file.strict_json import decode

from .example import (
    CLAIMS,
    NOW,
    PLATFORM,
    ROOT_CONTENT,
    ROOT_KEYS,
    chain,
    lic,
    pin_of,
    role,
    signed_root,
    signer,
    trust,
    trusted,
)
from .make_vectors import ROOT_2, ROOT_3, WITH_B

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")


def added(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Edwards addition on Ed25519, straight from RFC 8032."""
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def x_of(y: int) -> int | None:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    if root * root % P != square:
        root = root * pow(2, (P - 1) // 4, P) % P
    return root if root * root % P == square else None


def test_the_listed_small_order_points_are_exactly_those_of_the_curve() -> None:
    for y in SMALL_ORDER_Y:
        x = x_of(y)
        assert x is not None
        point = (x, y)
        for _ in range(3):
            point = added(point, point)
        assert point == (0, 1), "eight times the point is the identity"
    # Two signs of x for each of these y, but one for the identity and for the point of order 2: eight in all.
    assert sum(1 if x_of(y) == 0 else 2 for y in SMALL_ORDER_Y) == 8


def spki(raw: bytes) -> bytes:
    return SPKI_PREFIX + raw


SMALL = [(y | sign << 255).to_bytes(32, "little") for y in SMALL_ORDER_Y for sign in (0, 1)]
NOT_CANONICAL = [(P + y | sign << 255).to_bytes(32, "little") for y in (0, 1, 5) for sign in (0, 1)]


@pytest.mark.parametrize("raw", SMALL + NOT_CANONICAL, ids=bytes.hex)
def test_ed25519_keys_for_which_anybody_could_sign_are_refused(raw: bytes) -> None:
    with pytest.raises(KeyUnusable):
        load_public_key(spki(raw))


def test_the_danger_is_real() -> None:
    # The identity as a key: one constant signature fits any message, so the check above is not for show.
    identity = Ed25519PublicKey.from_public_bytes((1).to_bytes(32, "little"))
    for message in (b"one", b"two"):
        identity.verify((1).to_bytes(32, "little") + bytes(32), message)


def test_other_kinds_of_keys_and_spellings_are_refused() -> None:
    def der(key: Any) -> bytes:
        data: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return data

    p256 = generate_private_key(SECP256R1())
    point = p256.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    uncompressed = der(p256)
    # The same key with a compressed point: another id, so it could be counted twice.
    compressed = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    load_public_key(uncompressed)
    for data in (
        b"",
        b"x",
        compressed,
        der(generate_private_key(SECP384R1())),
        der(X25519PrivateKey.generate()),
        uncompressed + b"\0",
    ):
        with pytest.raises(KeyUnusable):
            load_public_key(data)


def test_a_key_is_used_with_its_own_algorithm_only() -> None:
    with pytest.raises(KeyUnusable):
        TrustedKey("ecdsa-p256-sha256", signer("root-1").public_key, "root-1")


def test_licenses_signed_with_the_other_algorithms_verify() -> None:
    ecdsa = EcdsaSigner(generate_private_key(SECP256R1()))
    ml_dsa = _MlDsaSigner()
    groups = Groups((Group(1, (ecdsa.keyid,)), Group(1, (ml_dsa.keyid,))))
    content = replace(
        ROOT_CONTENT,
        keys={
            **ROOT_CONTENT.keys,
            **keys_by_id(*(TrustedKey(each.alg, each.public_key, each.alg) for each in (ecdsa, ml_dsa))),
        },
        issuers={**ROOT_CONTENT.issuers, Environment.PROD: groups},
    )
    root = TrustRoot.pinned(signed_root(content), pin_of(content))
    verified = verify_license(sign_license(CLAIMS, [ecdsa, ml_dsa]), root, PLATFORM, NOW)
    assert set(verified.keyids) == {ecdsa.keyid, ml_dsa.keyid}


class _MlDsaSigner:
    """What a key management service with ML-DSA would be: nothing but the interface."""

    def __init__(self) -> None:
        self._key = MLDSA65PrivateKey.generate()
        self.public_key = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.keyid = keyid_of(self.public_key)
        self.alg = Algorithm.ML_DSA_65.value

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def test_the_pinned_root_is_taken_and_another_one_is_not() -> None:
    root = TrustRoot.pinned(signed_root(), f" {pin_of().upper()}\n")
    assert root.payload_sha256 == pin_of() == sha256(build_root_payload(ROOT_CONTENT)).hexdigest()
    for pin in ("0" * 64, "", "ä", pin_of()[:-1]):
        with pytest.raises(RootNotPinned, match="on the phone"):
            TrustRoot.pinned(signed_root(), pin)


def test_only_version_1_is_pinned() -> None:
    with pytest.raises(RootNotPinned, match="version 2"):
        TrustRoot.pinned(ROOT_2, pin_of(WITH_B))


def test_even_the_pinned_root_must_be_signed_by_enough_of_its_keys() -> None:
    with pytest.raises(RootUnderSigned):
        TrustRoot.pinned(signed_root(signers=("root-1",)), pin_of())
    with pytest.raises(RootUnderSigned):
        TrustRoot.pinned(signed_root(signers=("root-1", "issuer-prod")), pin_of())


def test_a_chain_is_kept_and_verified_again_from_the_pin(tmp_path: Path) -> None:
    for version, raw in enumerate((signed_root(), ROOT_2, ROOT_3), start=1):
        (tmp_path / f"root-{version}.json").write_bytes(raw)
    read = TrustChain.read(tmp_path, pin_of())
    assert [root.version for root in read.roots] == [1, 2, 3]
    assert read.current.former_keyids == {signer("issuer-prod").keyid}
    with pytest.raises(RootNotPinned):
        TrustChain.read(tmp_path / "elsewhere", pin_of())


def test_a_successor_has_the_next_version_exactly() -> None:
    with pytest.raises(RootNotSuccessor, match="Ask the issuer for version 2"):
        trust().successor(ROOT_3)
    with pytest.raises(RootNotSuccessor):
        trust().successor(signed_root())


def test_a_demo_root_is_not_followed_by_a_production_one() -> None:
    with pytest.raises(RootNotSuccessor, match="demo"):
        trust().successor(signed_root(replace(WITH_B, purpose=Purpose.PRODUCTION)))


NEW_ROOT_KEYS = ("new-1", "new-2", "new-3")
NEW_CUSTODIANS = replace(
    ROOT_CONTENT,
    version=2,
    keys={**ROOT_CONTENT.keys, **keys_by_id(*(trusted(name) for name in NEW_ROOT_KEYS))},
    root=role(2, *NEW_ROOT_KEYS),
)


def test_new_root_keys_need_the_old_ones_and_themselves() -> None:
    for signers in (
        ROOT_KEYS[:2],
        NEW_ROOT_KEYS[:2],
        ("root-1", "new-1"),
        ("root-1", "root-2", "new-1"),
        ("root-1", "new-1", "new-2"),
    ):
        with pytest.raises(RootUnderSigned):
            trust().successor(signed_root(NEW_CUSTODIANS, signers))
    assert trust().successor(signed_root(NEW_CUSTODIANS, ("root-1", "root-3", "new-1", "new-2"))).version == 2


def test_one_key_under_two_ids_does_not_meet_a_threshold_of_two() -> None:
    payload = build_root_payload(WITH_B)
    document = decode(sign_document(TRUST_ROOT_TYPE, payload, [signer("root-1")]), longest_string=100_000)
    document["signatures"].append(document["signatures"][0] | {"keyid": "0" * 64})
    with pytest.raises(RootUnderSigned):
        trust().successor(json.dumps(document).encode())


def root_with(change: Any) -> bytes:
    members = decode(build_root_payload(ROOT_CONTENT))
    change(members)
    return canonical(members)


def listed(members: dict[str, Any], name: str) -> dict[str, Any]:
    entry: dict[str, Any] = members["keys"][signer(name).keyid]
    return entry


BROKEN_ROOTS: dict[str, Any] = {
    "a key under another id": lambda m: m["keys"].update({"0" * 64: listed(m, "root-1")}),
    "an id nobody listed": lambda m: m["root"][0]["keyids"].append("0" * 64),
    "one key twice in a group": lambda m: m["root"][0]["keyids"].append(m["root"][0]["keyids"][0]),
    "threshold 0": lambda m: m["root"][0].update(threshold=0),
    "threshold above the number of keys": lambda m: m["root"][0].update(threshold=4),
    "no root group": lambda m: m.update(root=[]),
    "no environment": lambda m: m["issuers"].pop("UAT"),
    "an unknown environment": lambda m: m["issuers"].update(TEST=[]),
    "a key in two roles": lambda m: m["revokers"][0]["keyids"].append(signer("auditor").keyid),
    "a key in two environments": lambda m: m["issuers"]["UAT"][0]["keyids"].append(signer("issuer-prod").keyid),
    "only groups that start later": lambda m: m["revokers"][0].update(enforce_from="2027-01-01T00:00:00Z"),
    "a small-order key": lambda m: listed(m, "root-1").update(
        spki="MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    ),
    "another algorithm": lambda m: listed(m, "root-1").update(alg="ecdsa-p256-sha256"),
    "an unknown use": lambda m: listed(m, "root-1").update(use="anything"),
    "not base64": lambda m: listed(m, "root-1").update(spki="***"),
    "not ascii base64": lambda m: listed(m, "root-1").update(spki="ä"),
    "an unknown member": lambda m: m.update(extra=1),
    "another type": lambda m: m.update(type="license"),
    "an end before its start": lambda m: m.update(expires_at=m["issued_at"]),
}


@pytest.mark.parametrize("change", BROKEN_ROOTS.values(), ids=BROKEN_ROOTS.keys())
def test_a_root_that_breaks_its_own_rules_is_refused(change: Any) -> None:
    payload = root_with(change)
    raw = sign_document(TRUST_ROOT_TYPE, payload, [signer("root-1"), signer("root-2")])
    with pytest.raises(RootMalformed):
        TrustRoot.pinned(raw, sha256(payload).hexdigest())


@pytest.mark.parametrize("raw", [b"", b"{}", b"[" * 1000], ids=["empty", "object", "nested"])
def test_what_is_no_root_is_refused_by_name(raw: bytes) -> None:
    with pytest.raises(RootMalformed):
        TrustRoot.pinned(raw, pin_of())


def test_a_license_is_no_trust_root() -> None:
    with pytest.raises(RootMalformed, match="not a trust root"):
        TrustRoot.pinned(lic(), pin_of())
    payload = build_root_payload(ROOT_CONTENT)
    confused = sign_document(LICENSE_TYPE, payload, [signer("root-1"), signer("root-2")])
    with pytest.raises(RootMalformed):
        TrustRoot.pinned(confused, pin_of())


def test_a_root_that_no_platform_would_take_is_not_built() -> None:
    with pytest.raises(RootMalformed):
        build_root_payload(replace(ROOT_CONTENT, root=Groups()))


def test_a_role_without_groups_is_held_by_nobody() -> None:
    assert not Groups().are_met_by(frozenset(ROOT_CONTENT.keys), NOW)
    content: RootContent = replace(ROOT_CONTENT, revokers=Groups())
    assert TrustRoot.pinned(signed_root(content), pin_of(content)).revokers.keyids == frozenset()


def test_a_group_counts_from_its_day_on() -> None:
    groups = Groups((Group(1, ("a",)), Group(1, ("b",), enforce_from=NOW)))
    assert groups.are_met_by(frozenset("a"), NOW - timedelta(seconds=1))
    assert not groups.are_met_by(frozenset("a"), NOW)
    assert groups.are_met_by(frozenset("ab"), NOW)
    assert one_group(2, "a", "b").are_met_by(frozenset("abc"), NOW)


def test_a_retired_key_verifies_and_does_not_sign() -> None:
    keys = {**ROOT_CONTENT.keys, **keys_by_id(trusted("issuer-prod", KeyUse.VERIFY_ONLY))}
    content = replace(ROOT_CONTENT, keys=keys)
    root = TrustRoot.pinned(signed_root(content), pin_of(content))
    retired, spare = signer("issuer-prod").keyid, signer("issuer-prod-spare").keyid
    assert not root.may_sign(retired, "PROD")
    assert root.may_sign(spare, "PROD")
    assert not root.may_sign(spare, "UAT")
    assert not root.may_sign("0" * 64, "PROD")
    assert verify_license(lic(), root, PLATFORM, NOW).keyids == (retired,)


def test_roots_the_platform_has_passed_are_skipped() -> None:
    root_3 = chain(ROOT_2, ROOT_3).current
    assert newer_roots(root_3, [signed_root(), ROOT_2, ROOT_3]) == ()
    assert [root.version for root in newer_roots(trust(), [ROOT_2, ROOT_3])] == [2, 3]
    assert [root.version for root in newer_roots(trust(), [signed_root(), ROOT_2])] == [2]


def test_a_second_root_under_the_same_version_is_an_alarm() -> None:
    other = signed_root(replace(ROOT_CONTENT, expires_at=ROOT_CONTENT.expires_at + timedelta(days=1)))
    with pytest.raises(RootNotSuccessor, match="another trust root with version 1"):
        newer_roots(trust(), [other])


def test_the_payload_that_was_pinned_is_a_license_of_nobody() -> None:
    # Type confusion the other way round: a license payload signed by root keys is not a license.
    raw = sign_document(LICENSE_TYPE, encode_claims(CLAIMS), [signer("root-1"), signer("root-2")])
    with pytest.raises(UnknownKey):
        verify_license(raw, trust(), PLATFORM, NOW)
