"""What a new license changes against the one in force: facts for the preview, and what it takes away."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from workflow.console.usage import Use
from workflow.license_file import LicenseClaims, Limit, OnExpiry, Over, Sentence, last_usable_day, say, say_counted
from workflow.license_file.wording import Fact

SEVERITY = {OnExpiry.WARN: 0, OnExpiry.BLOCK_NEW: 1, OnExpiry.READ_ONLY: 2}


class Term(StrEnum):
    """What can differ between two licenses, in the order it is shown."""

    VALIDITY = "validity"
    AGENTS = "agents"
    USERS = "users"
    MODULES = "modules"
    MODEL_TYPES = "model_types"
    RESTRICTIONS = "restrictions"
    GRACE = "grace"
    ON_EXPIRY = "on_expiry"
    KIND = "kind"
    BINDINGS = "bindings"
    COMPANY = "company"


@dataclass(frozen=True)
class Loss:
    """Something granted that the new license takes away. `what` is a code; `text` says it to people, without a full stop."""

    term: Term
    what: str
    text: Sentence


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

    A module that has ended by `at` is no longer granted, so it cannot be lost.
    """
    if before is not None:
        held = tuple(each for each in before.modules if each.until is None or at < each.until)
        before = replace(before, modules=held)
    every = tuple(compare(before, after) for compare in _COMPARISONS)
    return tuple(sorted(every, key=lambda each: not each.is_changed))


def losses(changes: Iterable[Change]) -> tuple[Loss, ...]:
    """Everything taken away, which a person has to acknowledge."""
    return tuple(loss for change in changes for loss in change.losses)


def in_use(loss: Loss, after: LicenseClaims, use: Use | None) -> Sentence | None:
    """What the platform said of the use of what goes; None when it said nothing of it."""
    match loss.term:
        case Term.MODULES if use is not None and use.modules:
            return _used_by(use.modules.get(loss.what, 0))
        case Term.MODEL_TYPES if use is not None and use.model_types:
            return _used_by(use.model_types.get(loss.what, 0))
        case Term.AGENTS | Term.USERS if use is not None and loss.term in use.limits and loss.what == "max":
            used, most = use.limits[loss.term], after.limits[loss.term].max
            if most is not None and used > most:
                return say("%(used)s are in use now, %(over)s more than the new license allows", used=used, over=used - most)
            return say("%(used)s are in use now", used=used)
        case _:
            return None


def _used_by(agents: int) -> Sentence:
    if not agents:
        return say("used by no agent now")
    return say_counted("used by %(num)s agent now", "used by %(num)s agents now", agents)


def title(code: str) -> str:
    """A code of the catalogue for people: agent-studio becomes Agent Studio, api-access API Access."""
    words = code.replace("_", "-").split("-")
    return _MODEL_TYPES.get(code) or " ".join(word.upper() if word in _ACRONYMS else word.capitalize() for word in words)


# Modules are names of products; what kind of model it is has a word in every language.
_MODEL_TYPES = {
    "chat": say("Chat"),
    "embedding": say("Embedding"),
    "rerank": say("Rerank"),
    "vision": say("Vision"),
    "speech": say("Speech"),
}

_ACRONYMS = frozenset({"ai", "api", "llm", "ocr", "rag", "sdk", "sso", "tts", "asr", "bi", "ui"})


def _validity(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    now = (before.valid_from, last_usable_day(before)) if before else None
    new = (after.valid_from, last_usable_day(after))
    delta = (new[1] - now[1]).days if now else None
    lost = before is not None and after.valid_until < before.valid_until
    days = -delta if delta else 0
    text = (
        say_counted("The license ends %(num)s day earlier", "The license ends %(num)s days earlier", days)
        if days
        else say("The license ends some hours earlier")
    )
    taken = (Loss(Term.VALIDITY, "valid_until", text),) if lost else ()
    return Change(Term.VALIDITY, now, new, delta=delta, losses=taken)


@dataclass(frozen=True)
class _Words:
    """What is said about one limit. Whole sentences: other languages put the number and the noun elsewhere."""

    fewer: Callable[[Fact, Fact], Sentence]
    refused: Sentence
    counted: Sentence


_AGENTS = _Words(
    lambda new, old: say("At most %(new)s agents are allowed, until now %(old)s", new=new, old=old),
    say("New agents are refused above the limit, until now there was a warning"),
    say("Agents are counted in another way"),
)
_USERS = _Words(
    lambda new, old: say("At most %(new)s users are allowed, until now %(old)s", new=new, old=old),
    say("New users are refused above the limit, until now there was a warning"),
    say("Users are counted in another way"),
)


def _limit(term: Term, name: str, words: _Words) -> Callable[[LicenseClaims | None, LicenseClaims], Change]:
    def compare(before: LicenseClaims | None, after: LicenseClaims) -> Change:
        now, new = (before.limits[name] if before else None), after.limits[name]
        taken: list[Loss] = []
        delta = None
        if now is not None:
            if now.max is not None and new.max is not None:
                delta = new.max - now.max
            if new.max is not None and _fewer(now, new):
                taken.append(Loss(term, "max", words.fewer(new.max, _amount(now))))
            if now.over is Over.WARN and new.over is Over.BLOCK_NEW:
                taken.append(Loss(term, "over", words.refused))
            if now.count is not new.count:
                taken.append(Loss(term, "count", words.counted))
        return Change(term, now, new, delta=delta, losses=tuple(taken))

    return compare


def _fewer(now: Limit, new: Limit) -> bool:
    return new.max is not None and (now.max is None or new.max < now.max)


def _amount(limit: Limit) -> Fact:
    return say("without limit") if limit.max is None else limit.max


def _modules(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    now = {each.code: each.until for each in before.modules} if before else None
    new = {each.code: each.until for each in after.modules}
    added, removed = _difference(now, new)
    taken = [Loss(Term.MODULES, code, say("%(name)s stops working", name=title(code))) for code in removed]
    for code in (now or {}).keys() & new.keys():
        ends_now = (now or {})[code] or (before.valid_until if before else None)
        ends_new = new[code]
        if ends_new is not None and ends_now is not None and ends_new < ends_now:
            taken.append(Loss(Term.MODULES, code, say("%(name)s ends earlier than before", name=title(code))))
    return Change(Term.MODULES, now, new, added, removed, losses=tuple(taken))


def _model_types(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    now, new = (before.model_types if before else None), after.model_types
    added, removed = _difference(now, new)
    taken = tuple(Loss(Term.MODEL_TYPES, code, say("%(name)s models stop working", name=title(code))) for code in removed)
    return Change(Term.MODEL_TYPES, sorted(now) if now is not None else None, sorted(new), added, removed, losses=taken)


def _restrictions(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    now = {each.code: each.text for each in before.restrictions} if before else None
    new = {each.code: each.text for each in after.restrictions}
    added, removed = _difference(now, new)
    taken = tuple(Loss(Term.RESTRICTIONS, code, say("A new restriction applies: %(text)s", text=new[code])) for code in added)
    return Change(Term.RESTRICTIONS, now, new, added, removed, losses=taken if before else ())


def _grace(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    now = (before.grace_until - before.valid_until).days if before else None
    new = (after.grace_until - after.valid_until).days
    lost = now is not None and new < now
    taken = (Loss(Term.GRACE, "grace", say("The days of grace after the end go down to %(days)s", days=new)),) if lost else ()
    return Change(Term.GRACE, now, new, delta=new - now if now is not None else None, losses=taken)


def _on_expiry(before: LicenseClaims | None, after: LicenseClaims) -> Change:
    now, new = (before.on_expiry if before else None), after.on_expiry
    lost = now is not None and SEVERITY[new] > SEVERITY[now]
    taken = (Loss(Term.ON_EXPIRY, new.value, say("More is switched off after the license ends")),) if lost else ()
    return Change(Term.ON_EXPIRY, now, new, losses=taken)


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
    _limit(Term.AGENTS, "agents", _AGENTS),
    _limit(Term.USERS, "users", _USERS),
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
