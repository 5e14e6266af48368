"""What a license takes away compared with the one before it, and what is in use beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from .claims import LicenseClaims


def removals(before: LicenseClaims, after: LicenseClaims, at: datetime) -> tuple[str, ...]:
    """What `before` grants at that instant and `after` would not, one sentence each; empty if nothing is lost."""
    lost = [f"The module {code} is no longer granted." for code in _modules(before, at) if code not in _modules(after, at)]
    lost += [f"The model type {name} is no longer granted." for name in before.model_types if name not in after.model_types]
    for name, limit in before.limits.items():
        most = after.limits[name].max
        if most is not None and (limit.max is None or most < limit.max):
            lost.append(f"The limit of {name} falls from {_shown(limit.max)} to {most:,}.")
    had = {restriction.code for restriction in before.restrictions}
    lost += [f"New restriction: {each.text}" for each in after.restrictions if each.code not in had]
    if after.valid_until < before.valid_until:
        lost.append("It ends earlier.")
    return tuple(lost)


def over_limits(claims: LicenseClaims, usage: Mapping[str, int]) -> tuple[str, ...]:
    """What the platform uses beyond a limit, one sentence each. `usage` is by the names of the limits."""
    return tuple(
        f"{usage[name]:,} {name} are in use; the license allows {limit.max:,}."
        for name, limit in claims.limits.items()
        if limit.max is not None and usage.get(name, 0) > limit.max
    )


def _modules(claims: LicenseClaims, at: datetime) -> list[str]:
    return [module.code for module in claims.modules if module.until is None or at < module.until]


def _shown(most: int | None) -> str:
    return "unlimited" if most is None else f"{most:,}"
