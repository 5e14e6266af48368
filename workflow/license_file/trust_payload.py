"""What a trust root says: keys, and for each role the groups of keys that must sign together."""

from __future__ import annotations

import binascii
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from . import strict_json
from .claims import Environment
from .errors import KeyUnusable, MalformedLicense, RootMalformed
from .fields import Members, instant_text, lower_hex
from .keys import Algorithm, VerifyingKey, algorithm_of, keyid_of, load_public_key
from .wording import say, sentence_of

TRUST_ROOT_TYPE: Final = "application/vnd.serviceme.trust-root.v1+json"
SCHEMA: Final = 1
_MOST_KEYS: Final = 100
_MOST_GROUPS: Final = 8


class Purpose(StrEnum):
    """A demo root is made by a machine for trying things out; a production platform refuses it."""

    DEMO = "demo"
    PRODUCTION = "production"


class KeyUse(StrEnum):
    """`verify-only` is a retired key: old files verify, the signer refuses. It stops no thief."""

    SIGN = "sign"
    VERIFY_ONLY = "verify-only"


@dataclass(frozen=True)
class TrustedKey:
    """A public key (DER SubjectPublicKeyInfo) that a trust root lists.

    Raises `KeyUnusable` when the key proves nothing or `alg` is not its own.
    """

    alg: str
    public_key: bytes
    label: str
    use: KeyUse = KeyUse.SIGN

    @staticmethod
    def of(public_key: bytes, label: str) -> TrustedKey:
        """The key with its own algorithm, allowed to sign. Raises `KeyUnusable`."""
        return TrustedKey(algorithm_of(load_public_key(public_key)), public_key, label)

    def __post_init__(self) -> None:
        if algorithm_of(self.verifying_key) != self.alg:
            raise KeyUnusable(say("The key '%(name)s' is not a key for %(kind)s.", name=self.label, kind=self.alg))

    @cached_property
    def verifying_key(self) -> VerifyingKey:
        """The loaded key, checked once."""
        return load_public_key(self.public_key)

    @cached_property
    def keyid(self) -> str:
        """The id, computed from the key, never read from a document."""
        return keyid_of(self.public_key)


@dataclass(frozen=True, slots=True)
class Group:
    """`threshold` of these keys must have signed, once `enforce_from` (if any) has passed."""

    threshold: int
    keyids: tuple[str, ...]
    enforce_from: datetime | None = None


@dataclass(frozen=True)
class Groups:
    """A role: every enforced group must be met. A role without groups is held by nobody."""

    groups: tuple[Group, ...] = ()

    @cached_property
    def keyids(self) -> frozenset[str]:
        """All keys of the role."""
        return frozenset(keyid for group in self.groups for keyid in group.keyids)

    def are_met_by(self, keyids: frozenset[str], at: datetime) -> bool:
        """Whether these keys together suffice at that instant. The keys of a root are distinct, so ids count keys."""
        enforced = [group for group in self.groups if group.enforce_from is None or group.enforce_from <= at]
        for group in enforced:
            if len(keyids.intersection(group.keyids)) < group.threshold:
                return False
        return bool(enforced)


def one_group(threshold: int, *keyids: str) -> Groups:
    """The usual role: any `threshold` of these keys."""
    return Groups((Group(threshold, keyids),))


@dataclass(frozen=True)
class RootContent:
    """The members of a trust root. `issuers` names every environment; `keys` is by key id."""

    version: int
    purpose: Purpose
    keys: Mapping[str, TrustedKey]
    root: Groups
    issuers: Mapping[Environment, Groups]
    revokers: Groups
    auditors: Groups
    issued_at: datetime
    expires_at: datetime


def keys_by_id(*keys: TrustedKey) -> dict[str, TrustedKey]:
    """The member `keys` of a trust root."""
    return {key.keyid: key for key in keys}


def build_root_payload(content: RootContent) -> bytes:
    """The payload of a trust root, ready for `sign_document`. Raises `RootMalformed` for one that no platform takes."""
    payload = strict_json.canonical(
        {
            "type": "trust-root",
            "schema": SCHEMA,
            "purpose": content.purpose,
            "version": content.version,
            "issued_at": instant_text(content.issued_at),
            "expires_at": instant_text(content.expires_at),
            "keys": {
                keyid: {
                    "alg": key.alg,
                    "spki": b64encode(key.public_key).decode("ascii"),
                    "label": key.label,
                    "use": key.use,
                }
                for keyid, key in content.keys.items()
            },
            "root": _groups_members(content.root),
            "issuers": {name: _groups_members(groups) for name, groups in content.issuers.items()},
            "revokers": _groups_members(content.revokers),
            "auditors": _groups_members(content.auditors),
        }
    )
    decode_root_payload(payload)
    return payload


def decode_root_payload(payload: bytes) -> RootContent:
    """The members of a trust root, every rule but its signatures checked. Raises `RootMalformed`."""
    try:
        return _content_from(Members(strict_json.decode(payload)))
    except MalformedLicense as refused:
        raise RootMalformed(say("The trust root is malformed. %(problem)s", problem=sentence_of(refused))) from None
    except KeyUnusable as unusable:
        raise RootMalformed(say("The trust root lists an unusable key. %(problem)s", problem=sentence_of(unusable))) from None


def _content_from(members: Members) -> RootContent:
    members.fixed("type", "trust-root")
    members.fixed("schema", SCHEMA)
    keys = _keys(members.object("keys"))
    issuers = members.object("issuers")
    content = RootContent(
        version=members.integer("version", least=1),
        purpose=members.choice("purpose", Purpose),
        keys=keys,
        root=_groups(members, "root", keys),
        issuers={environment: _groups(issuers, environment, keys) for environment in Environment},
        revokers=_groups(members, "revokers", keys),
        auditors=_groups(members, "auditors", keys),
        issued_at=members.instant("issued_at"),
        expires_at=members.instant("expires_at"),
    )
    issuers.end()
    members.end()
    if not content.root.groups:
        raise MalformedLicense(say("root has no group."))
    if content.expires_at <= content.issued_at:
        raise MalformedLicense(say("expires_at must be later than issued_at."))
    _require_one_role_per_key(content)
    return content


def _require_one_role_per_key(content: RootContent) -> None:
    # A key with two roles would let the holder of one act in the other: each environment has its own issuer keys.
    roles = [content.root, *content.issuers.values(), content.revokers, content.auditors]
    if sum(len(role.keyids) for role in roles) != len(frozenset().union(*(role.keyids for role in roles))):
        raise MalformedLicense(say("One key is listed in two roles."))


def _keys(members: Members) -> dict[str, TrustedKey]:
    keys: dict[str, TrustedKey] = {}
    for keyid in members.names():
        nested = members.object(keyid)
        key = TrustedKey(
            alg=nested.choice("alg", Algorithm),
            public_key=_spki(nested),
            label=nested.text("label", longest=100),
            use=nested.choice("use", KeyUse),
        )
        nested.end()
        if key.keyid != keyid:
            raise MalformedLicense(say("keys.%(keyid)s is not the id of its key.", keyid=keyid[:64]))
        keys[keyid] = key
    if len(keys) > _MOST_KEYS:
        raise MalformedLicense(say("keys lists more than %(most)s keys.", most=_MOST_KEYS))
    return keys


def _spki(members: Members) -> bytes:
    text = members.text("spki", longest=4_096)
    try:
        data = binascii.a2b_base64(text)
    except (binascii.Error, ValueError):
        data = b""
    if b64encode(data).decode("ascii") != text:
        raise MalformedLicense(say("%(member)s is not canonical base64.", member=members.path("spki")))
    return data


def _groups(members: Members, name: str, keys: Mapping[str, TrustedKey]) -> Groups:
    groups = tuple(_group(nested, keys) for nested in members.objects(name, most=_MOST_GROUPS))
    # Without this, a role whose groups all start later would be met by nobody's signature until then.
    if groups and all(group.enforce_from for group in groups):
        raise MalformedLicense(say("%(member)s has no group that is enforced from the start.", member=members.path(name)))
    return Groups(groups)


def _group(members: Members, keys: Mapping[str, TrustedKey]) -> Group:
    items = members.items("keyids", most=_MOST_KEYS, least=1)
    keyids = tuple(lower_hex(item, members.path("keyids"), 64) for item in items)
    group = Group(
        threshold=members.integer("threshold", least=1, most=len(keyids)),
        keyids=keyids,
        enforce_from=members.instant("enforce_from") if members.has("enforce_from") else None,
    )
    members.end()
    if len(set(keyids)) != len(keyids) or not keys.keys() >= set(keyids):
        raise MalformedLicense(say("%(member)s names a key twice or one that is not listed.", member=members.path("keyids")))
    return group


def _groups_members(groups: Groups) -> list[dict[str, Any]]:
    return [
        {"threshold": group.threshold, "keyids": list(group.keyids)}
        | ({"enforce_from": instant_text(group.enforce_from)} if group.enforce_from else {})
        for group in groups.groups
    ]
