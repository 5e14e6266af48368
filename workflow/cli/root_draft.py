"""Drafts of a trust root: what the next version changes, before anybody signs it. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from workflow.errors import Invalid
from workflow.license_file import (
    Environment,
    Group,
    Groups,
    KeyUse,
    Purpose,
    RootContent,
    TrustedKey,
    TrustRoot,
    keys_by_id,
    one_group,
)

#: A platform warns once its root is older than this; a newer root travels inside any license file.
ROOT_LIFETIME: Final = timedelta(days=5 * 365)

ROOT, REVOKERS, AUDITORS = "root", "revokers", "auditors"
ROLES: Final = (ROOT, *Environment, REVOKERS, AUDITORS)


class DraftRefused(Invalid):
    """A change that this trust root cannot take."""

    code = "trust.draft_refused"


def first(roles: Mapping[str, tuple[TrustedKey, ...]], threshold: int, purpose: Purpose, now: datetime) -> RootContent:
    """Version 1: any `threshold` of the root keys change it, any one key of another role acts in that role.

    Raises DraftRefused when a role is empty.
    """
    for role in ROLES:
        if not roles.get(role):
            raise DraftRefused(f"The role {role} has no key. Give it one and a spare.")
    keyids = {role: tuple(key.keyid for key in keys) for role, keys in roles.items()}
    return RootContent(
        version=1,
        purpose=purpose,
        keys=keys_by_id(*(key for keys in roles.values() for key in keys)),
        root=one_group(threshold, *keyids[ROOT]),
        issuers={environment: one_group(1, *keyids[environment]) for environment in Environment},
        revokers=one_group(1, *keyids[REVOKERS]),
        auditors=one_group(1, *keyids[AUDITORS]),
        issued_at=now,
        expires_at=now + ROOT_LIFETIME,
    )


def following(root: TrustRoot, now: datetime) -> RootContent:
    """The next version with nothing changed yet, good for as long as a new one."""
    content = {name: getattr(root, name) for name in RootContent.__dataclass_fields__}
    return replace(RootContent(**content), version=root.version + 1, issued_at=now, expires_at=now + ROOT_LIFETIME)


def with_key(content: RootContent, role: str, key: TrustedKey) -> RootContent:
    """The draft with one more key in a role. Raises DraftRefused for a key or label that is there already."""
    if key.keyid in content.keys:
        raise DraftRefused(f"The key {key.keyid[:16]} is listed already, as {content.keys[key.keyid].label}.")
    if any(key.label == each.label for each in content.keys.values()):
        raise DraftRefused(f"Another key has the label {key.label}. Rename the file of the public key.")
    before, *others = group_of(content, role).groups or (Group(1, ()),)
    groups = Groups((replace(before, keyids=(*before.keyids, key.keyid)), *others))
    return _with_groups(replace(content, keys={**content.keys, key.keyid: key}), role, groups)


def without(content: RootContent, name: str) -> RootContent:
    """The draft without a key, by its label or the start of its id: what it signed is refused from then on.

    Raises DraftRefused when a role would have too few keys left.
    """
    gone = find(content, name)
    changed = replace(content, keys={keyid: key for keyid, key in content.keys.items() if keyid != gone.keyid})
    if (role := role_of(content, gone.keyid)) in ROLES:
        groups = (
            replace(group, keyids=tuple(keyid for keyid in group.keyids if keyid != gone.keyid))
            for group in group_of(content, role).groups
        )
        changed = _with_groups(changed, role, Groups(tuple(groups)))
        _require_enough(changed, role, gone)
    return changed


def retired(content: RootContent, name: str) -> RootContent:
    """The draft in which a key signs no more while its files stay good. Raises DraftRefused when too few keys of its role
    would still sign."""
    key = find(content, name)
    changed = replace(content, keys={**content.keys, key.keyid: replace(key, use=KeyUse.VERIFY_ONLY)})
    if (role := role_of(content, key.keyid)) in ROLES:
        _require_enough(changed, role, key)
    return changed


def with_threshold(content: RootContent, role: str, threshold: int) -> RootContent:
    """The draft in which so many keys of a role must sign together. Raises DraftRefused for more than there are."""
    before, *others = group_of(content, role).groups or (Group(1, ()),)
    if not 1 <= threshold <= len(before.keyids):
        raise DraftRefused(f"{role} has {len(before.keyids)} keys; {threshold} of them cannot sign.")
    return _with_groups(content, role, Groups((replace(before, threshold=threshold), *others)))


def find(content: RootContent, name: str) -> TrustedKey:
    """The key with that label, or whose id starts so (8 digits at least). Raises DraftRefused."""
    found = [
        key for key in content.keys.values() if key.label == name or (len(name) >= 8 and key.keyid.startswith(name.lower()))
    ]
    if len(found) != 1:
        labels = ", ".join(sorted(key.label for key in content.keys.values()))
        raise DraftRefused(f"{len(found) or 'No'} keys are called {name}. Name one of: {labels}.")
    return found[0]


def group_of(content: RootContent, role: str) -> Groups:
    """The groups of a role. Raises DraftRefused for a role that does not exist."""
    match role:
        case "root":
            return content.root
        case "revokers":
            return content.revokers
        case "auditors":
            return content.auditors
        case _ if role in Environment.__members__:
            return content.issuers[Environment(role)]
        case _:
            raise DraftRefused(f"There is no role {role}. The roles are {', '.join(ROLES)}; an environment means its issuers.")


def role_of(content: RootContent, keyid: str) -> str:
    """The one role a key has; a trust root lists none in two."""
    return next((role for role in ROLES if keyid in group_of(content, role).keyids), "no role")


def changes(before: RootContent, after: RootContent) -> Iterator[str]:
    """What a draft changes, one sentence each: what somebody must know before signing it."""
    for keyid, key in after.keys.items():
        known = before.keys.get(keyid)
        if known is None:
            yield f"Adds {key.label} ({key.alg}, id {keyid[:16]}) to {role_of(after, keyid)}."
        elif known.use is not key.use:
            yield (
                f"Retires {key.label}: what it signed stays good, it signs no more."
                if key.use is KeyUse.VERIFY_ONLY
                else f"Lets {key.label} sign again."
            )
    for keyid, key in before.keys.items():
        if keyid not in after.keys:
            yield f"Drops {key.label} (id {keyid[:16]}) from {role_of(before, keyid)}: what it signed is refused from then on."
    for role in ROLES:
        was, now = needs(group_of(before, role)), needs(group_of(after, role))
        if was != now:
            yield f"{role} needs {now} instead of {was}."


def needs(groups: Groups) -> str:
    """How many of how many must sign: "2 of 3"."""
    return " and ".join(f"{group.threshold} of {len(group.keyids)}" for group in groups.groups) or "nobody"


def _require_enough(content: RootContent, role: str, lost: TrustedKey) -> None:
    for group in group_of(content, role).groups:
        signing = [keyid for keyid in group.keyids if content.keys[keyid].use is KeyUse.SIGN]
        if len(signing) < group.threshold:
            raise DraftRefused(f"Without {lost.label} too few keys are left that sign for {role}. Add another key first.")


def _with_groups(content: RootContent, role: str, groups: Groups) -> RootContent:
    match role:
        case "root":
            return replace(content, root=groups)
        case "revokers":
            return replace(content, revokers=groups)
        case "auditors":
            return replace(content, auditors=groups)
        case _:
            return replace(content, issuers={**content.issuers, Environment(role): groups})
