"""What a license takes away compared with the one before it, and what is in use beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from .claims import LicenseClaims
from .wording import Fact, Sentence, say

_NOUNS: Final = {"agents": say("agents"), "users": say("users")}


def removals(before: LicenseClaims, after: LicenseClaims, at: datetime) -> tuple[Sentence, ...]:
    """What `before` grants at that instant and `after` would not, one sentence each; empty if nothing is lost."""
    kept = _modules(after, at)
    lost = [say("The module %(name)s is no longer granted.", name=code) for code in _modules(before, at) if code not in kept]
    gone = [name for name in before.model_types if name not in after.model_types]
    lost += [say("The model type %(name)s is no longer granted.", name=name) for name in gone]
    for name, limit in before.limits.items():
        most = after.limits[name].max
        if most is not None and (limit.max is None or most < limit.max):
            old = _shown(limit.max)
            lost.append(say("The limit of %(what)s falls from %(old)s to %(new)s.", what=_NOUNS[name], old=old, new=most))
    had = {restriction.code for restriction in before.restrictions}
    lost += [say("New restriction: %(text)s", text=each.text) for each in after.restrictions if each.code not in had]
    if after.valid_until < before.valid_until:
        lost.append(say("It ends earlier."))
    return tuple(lost)


def over_limits(claims: LicenseClaims, usage: Mapping[str, int]) -> tuple[Sentence, ...]:
    """What the platform uses beyond a limit, one sentence each. `usage` is by the names of the limits."""
    return tuple(
        say("%(used)s %(what)s are in use; the license allows %(most)s.", used=usage[name], what=_NOUNS[name], most=limit.max)
        for name, limit in claims.limits.items()
        if limit.max is not None and usage.get(name, 0) > limit.max
    )


def _modules(claims: LicenseClaims, at: datetime) -> list[str]:
    return [module.code for module in claims.modules if module.until is None or at < module.until]


def _shown(most: int | None) -> Fact:
    return say("unlimited") if most is None else most
