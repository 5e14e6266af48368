"""What a license says survives writing and reading, and the digest of what is licensed covers just that."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow.license_file import (
    UNLICENSED_MEMBERS,
    Activation,
    Count,
    Issuer,
    LicenseClaims,
    Limit,
    MalformedLicense,
    Module,
    Over,
    Restriction,
    Supersedes,
    content_digest,
    decode_claims,
    encode_claims,
    file_name,
    is_license_id,
    last_usable_day,
    new_activation_code,
    new_license_id,
)

from .example import CLAIMS, claims

codes = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=20)
seconds = st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
limit = st.builds(Limit, st.none() | st.integers(0, 2**53 - 1), st.sampled_from(Count), st.sampled_from(Over))
example_licenses = st.builds(
    replace,
    st.just(CLAIMS),
    version=st.integers(2, 2**53 - 1),
    supersedes=st.none() | st.just(Supersedes(1, "0" * 64)),
    issued_at=seconds,
    modules=st.lists(st.builds(Module, codes, st.none() | seconds), unique_by=lambda each: each.code, max_size=5).map(tuple),
    model_types=st.lists(codes, unique=True, max_size=5).map(tuple),
    limits=st.fixed_dictionaries({"agents": limit, "users": limit}),
    restrictions=st.lists(st.builds(Restriction, codes, codes), unique_by=lambda each: each.code, max_size=3).map(tuple),
)


@settings(deadline=None)
@given(example_licenses)
def test_what_is_written_is_read_back_the_same(example: LicenseClaims) -> None:
    payload = encode_claims(example)
    assert decode_claims(payload) == example
    assert encode_claims(decode_claims(payload)) == payload


def test_every_member_of_the_payload_is_a_claim() -> None:
    members = json.loads(encode_claims(CLAIMS)).keys()
    assert members == {field.name for field in fields(LicenseClaims)} | {"type", "schema"}


def walked(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path, *(inner for name in value for inner in walked(value[name], (*path, name)))]
    if isinstance(value, list):
        return [path, *(inner for index, item in enumerate(value) for inner in walked(item, (*path, index)))]
    return [path]


def changed(path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> bytes:
    document = json.loads(encode_claims(claims(supersedes=Supersedes(1, "0" * 64), version=2)))
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    change(holder, path[-1])
    return json.dumps(document).encode()


PATHS = [path for path in walked(json.loads(encode_claims(claims(supersedes=Supersedes(1, "0" * 64), version=2)))) if path]
REQUIRED = [path for path in PATHS if isinstance(path[-1], str) and path[0] != "ext" and path[-1] != "until"] + [("ext",)]


@pytest.mark.parametrize("path", REQUIRED, ids=lambda path: ".".join(map(str, path)))
def test_a_payload_without_a_member_is_refused(path: tuple[Any, ...]) -> None:
    with pytest.raises(MalformedLicense, match="is missing"):
        decode_claims(changed(path, lambda holder, name: holder.pop(name)))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("value", [[[]], {"a": {}}, True, -7, "\t"], ids=repr)
def test_a_member_of_another_kind_is_refused(path: tuple[Any, ...], value: object) -> None:
    with pytest.raises(MalformedLicense):
        decode_claims(changed(path, lambda holder, name: holder.__setitem__(name, value)))


@pytest.mark.parametrize("path", [p for p in PATHS if p[0] != "ext"], ids=lambda path: ".".join(map(str, path)))
def test_an_unknown_member_beside_any_other_is_refused(path: tuple[Any, ...]) -> None:
    if isinstance(path[-1], str):
        with pytest.raises(MalformedLicense, match="is not known"):
            decode_claims(changed(path, lambda holder, _: holder.__setitem__("new_limit", 1)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"time_zone": "..\\etc"},
        {"time_zone": "/etc/passwd"},
        {"version": 0},
        {"license_id": "PROD-7Q2MX-4TBK9"},
        {"activation": Activation("too short")},
        {"modules": (Module("a b"),)},
        {"ext": {str(n): "" for n in range(33)}},
    ],
    ids=str,
)
def test_claims_that_no_platform_takes_are_not_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedLicense):
        encode_claims(claims(**wrong))


@pytest.mark.parametrize("instant", [datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)])  # noqa: DTZ001
def test_an_instant_the_format_cannot_hold_is_the_callers_mistake(instant: datetime) -> None:
    with pytest.raises(ValueError, match="must be aware"):
        encode_claims(claims(issued_at=instant))


def test_the_content_digest_ignores_who_issued_which_file_when() -> None:
    other = claims(
        version=7,
        supersedes=Supersedes(6, "0" * 64),
        issued_at=CLAIMS.issued_at + timedelta(days=1),
        issuer=Issuer("Somebody", "APP-1", "0" * 64, 0, "0" * 64),
        activation=Activation("f" * 32),
    )
    assert content_digest(other) == content_digest(CLAIMS)


LICENSED_CHANGES: dict[str, Any] = {
    "license_id": "PROD-00000-00000-00000",
    "licensee": replace(CLAIMS.licensee, company="Another company"),
    "contact": replace(CLAIMS.contact, phone="1"),
    "environment": "UAT",
    "valid_from": CLAIMS.valid_from + timedelta(seconds=1),
    "valid_until": CLAIMS.valid_until + timedelta(seconds=1),
    "grace_until": CLAIMS.grace_until + timedelta(seconds=1),
    "time_zone": "Europe/Berlin",
    "on_expiry": "warn",
    "kind": "trial",
    "modules": CLAIMS.modules[:1],
    "model_types": ("chat",),
    "limits": {**CLAIMS.limits, "users": Limit(501, Count.NAMED, Over.WARN)},
    "restrictions": (),
    "bindings": replace(CLAIMS.bindings, values=("inst-1",)),
    "ext": {},
}


@pytest.mark.parametrize("member", LICENSED_CHANGES)
def test_the_content_digest_covers(member: str) -> None:
    assert content_digest(replace(CLAIMS, **{member: LICENSED_CHANGES[member]})) != content_digest(CLAIMS)


def test_every_licensed_member_is_tried_above() -> None:
    assert LICENSED_CHANGES.keys() | UNLICENSED_MEMBERS == {field.name for field in fields(LicenseClaims)}


def test_the_last_usable_day_is_told_in_the_license_own_zone() -> None:
    midnight_in_shanghai = datetime(2027, 3, 31, 16, 0, tzinfo=UTC)
    assert last_usable_day(claims(valid_until=midnight_in_shanghai)) == date(2027, 3, 31)
    assert last_usable_day(claims(valid_until=midnight_in_shanghai + timedelta(seconds=1))) == date(2027, 4, 1)
    assert last_usable_day(claims(valid_until=midnight_in_shanghai, time_zone="America/New_York")) == date(2027, 3, 31)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "..", "a" * 64, "Asia"])
def test_the_last_usable_day_is_told_in_utc_where_the_zone_is_not_known(zone: str) -> None:
    assert last_usable_day(claims(time_zone=zone, valid_until=datetime(2027, 3, 31, tzinfo=UTC))) == date(2027, 3, 30)


def test_license_ids_have_their_form_and_differ() -> None:
    made = {new_license_id("UAT") for _ in range(200)}
    assert len(made) == 200
    assert all(is_license_id(each) and each.startswith("UAT-") for each in made)
    with pytest.raises(ValueError):
        new_license_id("TEST")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PROD",
        "PROD-7Q2MX-4TBK9-HZ0CE-AAAAA",
        "prod-7Q2MX-4TBK9-HZ0CE",
        "PROD-7Q2MX-4TBK9-HZ0C",
        "PROD-7Q2MX-4TBK9-HZ0CU",
        "PROD-7Q2MX-4TBK9-HZ0CE\n",
    ],
)
def test_other_texts_are_no_license_ids(text: str) -> None:
    assert not is_license_id(text)


def test_the_file_is_named_after_license_id_and_version() -> None:
    assert file_name(CLAIMS.license_id, 12) == "PROD-7Q2MX-4TBK9-HZ0CE-v12.lic"


def test_activation_codes_are_16_random_bytes() -> None:
    assert len(bytes.fromhex(new_activation_code())) == 16
    assert new_activation_code() != new_activation_code()
