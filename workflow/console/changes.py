"""What a new license changes against the one in force: facts for the preview. What it takes away is judged in one place,
`workflow.license_file.comparison`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from workflow.console.usage import Use
from workflow.license_file import LicenseClaims, Loss, Sentence, Term, excess, last_usable_day, losses, say, say_counted


@dataclass(frozen=True)
class Change:
    """One term of both licenses; `before` is None when there was no license. `delta` counts days or heads."""

    term: Term
    before: Any
    after: Any
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    delta: int | None = None
    losses: tuple[Loss, ...] = ()

    @property
    def is_changed(self) -> bool:
        """Whether the term differs."""
        return bool(self.before != self.after)


def between(before: LicenseClaims | None, after: LicenseClaims, at: datetime) -> tuple[Change, ...]:
    """Every term of `after` beside that of `before`, the changed ones first.

    A module that has ended by `at` is no longer granted.
    """
    lost = losses(before, after, at)
    if before is not None:
        held = tuple(each for each in before.modules if each.until is None or at < each.until)
        before = replace(before, modules=held)
    compared = (compare(before, after) for compare in _COMPARISONS)
    every = (replace(each, losses=tuple(loss for loss in lost if loss.term is each.term)) for each in compared)
    return tuple(sorted(every, key=lambda each: not each.is_changed))


def in_use(loss: Loss, after: LicenseClaims, use: Use | None) -> Sentence | None:
    """What the platform said of the use of what goes; None when it said nothing of it."""
    match loss.term:
        case Term.MODULES if use is not None and use.modules:
            return _used_by(use.modules.get(loss.what, 0))
        case Term.MODEL_TYPES if use is not None and use.model_types:
            return _used_by(use.model_types.get(loss.what, 0))
        case Term.AGENTS | Term.USERS if use is not None and loss.term in use.limits and loss.what == "max":
            used = use.limits[loss.term]
            if over := excess(after.limits[loss.term], used):
                return say("%(used)s are in use now, %(over)s more than the new license allows", used=used, over=over)
            return say("%(used)s are in use now", used=used)
        case _:
            return None


def _used_by(agents: int) -> Sentence:
    if not agents:
        return say("used by no agent now")
    return say_counted("used by %(num)s agent now", "used by %(num)s agents now", agents)


def _validity(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    now = (before.valid_from, last_usable_day(before)) if before else None
    new = (after.valid_from, last_usable_day(after))
    return Change(Term.VALIDITY, now, new, delta=(new[1] - now[1]).days if now else None)


def _limit(term: Term, name: str) -> Callable[[LicenseClaims | None, LicenseClaims], Change]:
    def compare(before: LicenseClaims | None, after: LicenseClaims) -> Change:
        now, new = (before.limits[name] if before else None), after.limits[name]
        if now is None or now.max is None or new.max is None:
            return Change(term, now, new)
        return Change(term, now, new, delta=new.max - now.max)

    return compare


def _modules(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    now = {each.code: each.until for each in before.modules} if before else None
    new = {each.code: each.until for each in after.modules}
    return Change(Term.MODULES, now, new, *_difference(now, new))


def _model_types(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    now, new = (sorted(before.model_types) if before else None), sorted(after.model_types)
    return Change(Term.MODEL_TYPES, now, new, *_difference(now, new))


def _restrictions(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    now = {each.code: each.text for each in before.restrictions} if before else None
    new = {each.code: each.text for each in after.restrictions}
    return Change(Term.RESTRICTIONS, now, new, *_difference(now, new))


def _grace(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    now = (before.grace_until - before.valid_until).days if before else None
    new = (after.grace_until - after.valid_until).days
    return Change(Term.GRACE, now, new, delta=new - now if now is not None else None)


def _on_expiry(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    return Change(Term.ON_EXPIRY, before.on_expiry if before else None, after.on_expiry)


def _kind(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    return Change(Term.KIND, before.kind if before else None, after.kind)


def _bindings(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    return Change(Term.BINDINGS, before.bindings.mode if before else None, after.bindings.mode)


def _company(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    return Change(Term.COMPANY, before.licensee.company if before else None, after.licensee.company)


def _difference(before: Iterable[str] | None, after: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    old, new = frozenset(before or ()), frozenset(after)
    return tuple(sorted(new - old)), tuple(sorted(old - new))


_COMPARISONS = (
    _validity,
    _limit(Term.AGENTS, "agents"),
    _limit(Term.USERS, "users"),
    _modules,
    _model_types,
    _restrictions,
    _grace,
    _on_expiry,
    _kind,
    _bindings,
    _company,
)


def gap_days(before: LicenseClaims | None, after: LicenseClaims) -> int:
    """Whole or begun days without a license between the end of the grace of one and the start of the next."""
    if before is None or after.valid_from <= before.valid_until:
        return 0
    return -((before.valid_until - after.valid_from) // timedelta(days=1))
