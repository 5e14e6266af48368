"""What a license takes away compared with the one before it, and what is in use beyond it. The one judgement of a loss:
the warnings of the verifier, the preview, the acknowledgement and the command all ask here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from .claims import LicenseClaims, Limit, OnExpiry, Over, last_usable_day
from .wording import Fact, Sentence, say, say_counted

_SEVERITY: Final = {OnExpiry.WARN: 0, OnExpiry.BLOCK_NEW: 1, OnExpiry.READ_ONLY: 2}


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


@dataclass(frozen=True, slots=True)
class Loss:
    """Something granted that the new license takes away. `what` is a code; `text` says it to people, without a full stop."""

    term: Term
    what: str
    text: Sentence

    @property
    def sentence(self) -> Sentence:
        """The same with one full stop: a restriction is said in the issuer's words, which may bring theirs."""
        return self.text if self.text.endswith((".", "。")) else say("%(text)s.", text=self.text)


def losses(before: LicenseClaims | None, after: LicenseClaims, at: datetime) -> tuple[Loss, ...]:
    """Everything that `before` grants and `after` would not, in the order of `Term`; empty if nothing is lost.

    The first license takes nothing away, and a module that has ended by `at` is no longer granted.
    """
    if before is None:
        return ()
    return (
        *_validity(before, after),
        *_limit(before.limits["agents"], after.limits["agents"], _AGENTS),
        *_limit(before.limits["users"], after.limits["users"], _USERS),
        *_modules(before, after, at),
        *_model_types(before, after),
        *_restrictions(before, after),
        *_grace(before, after),
        *_on_expiry(before, after),
    )


def over_limits(claims: LicenseClaims, usage: Mapping[str, int]) -> tuple[Sentence, ...]:
    """What the platform uses beyond a limit, one sentence each. `usage` is by the names of the limits."""
    return tuple(
        say("%(used)s %(what)s are in use; the license allows %(most)s.", used=usage[name], what=_NOUNS[name], most=limit.max)
        for name, limit in claims.limits.items()
        if limit.max is not None and excess(limit, usage.get(name, 0))
    )


def excess(limit: Limit, used: int) -> int:
    """How many more are used than the limit allows; 0 when none."""
    return 0 if limit.max is None else max(used - limit.max, 0)


def title(code: str) -> str:
    """A code of the catalogue for people: agent-studio becomes Agent Studio, api-access API Access."""
    words = code.replace("_", "-").split("-")
    return _MODEL_TYPES.get(code) or " ".join(word.upper() if word in _ACRONYMS else word.capitalize() for word in words)


_NOUNS: Final = {"agents": say("agents"), "users": say("users")}

# Modules are names of products; what kind of model it is has a word in every language.
_MODEL_TYPES: Final = {
    "chat": say("Chat"),
    "embedding": say("Embedding"),
    "rerank": say("Rerank"),
    "vision": say("Vision"),
    "speech": say("Speech"),
}

_ACRONYMS: Final = frozenset({"ai", "api", "llm", "ocr", "rag", "sdk", "sso", "tts", "asr", "bi", "ui"})


@dataclass(frozen=True, slots=True)
class _Words:
    """What is said about one limit. Whole sentences: other languages put the number and the noun elsewhere."""

    term: Term
    fewer: Callable[[Fact, Fact], Sentence]
    refused: Sentence
    counted: Sentence


_AGENTS: Final = _Words(
    Term.AGENTS,
    lambda new, old: say("At most %(new)s agents are allowed, until now %(old)s", new=new, old=old),
    say("New agents are refused above the limit, until now there was a warning"),
    say("Agents are counted in another way"),
)
_USERS: Final = _Words(
    Term.USERS,
    lambda new, old: say("At most %(new)s users are allowed, until now %(old)s", new=new, old=old),
    say("New users are refused above the limit, until now there was a warning"),
    say("Users are counted in another way"),
)


def _validity(before: LicenseClaims, after: LicenseClaims) -> Iterable[Loss]:
    if after.valid_until < before.valid_until:
        days = (last_usable_day(before) - last_usable_day(after)).days
        text = (
            say_counted("The license ends %(num)s day earlier", "The license ends %(num)s days earlier", days)
            if days
            else say("The license ends some hours earlier")
        )
        yield Loss(Term.VALIDITY, "valid_until", text)


def _limit(now: Limit, new: Limit, words: _Words) -> Iterable[Loss]:
    if new.max is not None and (now.max is None or new.max < now.max):
        yield Loss(words.term, "max", words.fewer(new.max, say("without limit") if now.max is None else now.max))
    if now.over is Over.WARN and new.over is Over.BLOCK_NEW:
        yield Loss(words.term, "over", words.refused)
    if now.count is not new.count:
        yield Loss(words.term, "count", words.counted)


def _modules(before: LicenseClaims, after: LicenseClaims, at: datetime) -> Iterable[Loss]:
    now = {each.code: each.until or before.valid_until for each in before.modules if each.until is None or at < each.until}
    new = {each.code: each.until for each in after.modules}
    for code in sorted(now.keys() - new.keys()):
        yield Loss(Term.MODULES, code, say("%(name)s stops working", name=title(code)))
    for code in sorted(now.keys() & new.keys()):
        ends = new[code]
        if ends is not None and ends < now[code]:
            yield Loss(Term.MODULES, code, say("%(name)s ends earlier than before", name=title(code)))


def _model_types(before: LicenseClaims, after: LicenseClaims) -> Iterable[Loss]:
    for code in sorted({*before.model_types} - {*after.model_types}):
        yield Loss(Term.MODEL_TYPES, code, say("%(name)s models stop working", name=title(code)))


def _restrictions(before: LicenseClaims, after: LicenseClaims) -> Iterable[Loss]:
    had = {each.code for each in before.restrictions}
    for each in sorted(after.restrictions, key=lambda restriction: restriction.code):
        if each.code not in had:
            yield Loss(Term.RESTRICTIONS, each.code, say("A new restriction applies: %(text)s", text=each.text))


def _grace(before: LicenseClaims, after: LicenseClaims) -> Iterable[Loss]:
    new = after.grace_until - after.valid_until
    if new.days < (before.grace_until - before.valid_until).days:
        yield Loss(Term.GRACE, "grace", say("The days of grace after the end go down to %(days)s", days=new.days))


def _on_expiry(before: LicenseClaims, after: LicenseClaims) -> Iterable[Loss]:
    if _SEVERITY[after.on_expiry] > _SEVERITY[before.on_expiry]:
        yield Loss(Term.ON_EXPIRY, after.on_expiry.value, say("More is switched off after the license ends"))
