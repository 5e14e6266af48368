"""What is wrong with a policy that can be read: rules that reach too far, combinations nobody thought of, missing people.

Rules only compare, so walking one value of each stretch between two thresholds walks everything an application can be.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from uuid import UUID

from workflow.domain.approvals import Choice, Quorum, Vote, decide
from workflow.domain.policy.matching import FALLBACK, Subject, applies, fallback_quorum, quorum_of
from workflow.domain.policy.source import Fault
from workflow.domain.policy.values import Conditions, Policy, Range, Rule
from workflow.domain.terms import EnvironmentName, LicenseKind, RequestType, longest_days

MOST_COMBINATIONS = 200_000
"""More than a policy that people can keep in their heads has; walking them takes a few seconds."""


@dataclass(frozen=True)
class Gap:
    """A quorum that the people of the desk cannot meet. `example` is an application it concerns."""

    rule: str
    text: str
    example: Subject
    missing: str

    def __str__(self) -> str:
        """The gap in a sentence: rule, combination, people missing."""
        return f"Rule {self.rule} ({self.text.rstrip('.')}) cannot be met: {self.missing}. It concerns {self.example}."


@dataclass(frozen=True)
class Survey:
    """One example for each rule that can apply, for a PROD that needs nobody, and for an application without a rule."""

    examples: Mapping[str, Subject]
    automatic_in_production: Mapping[str, Subject]
    uncovered: Subject | None


def survey(policy: Policy) -> Survey:
    """Walks every combination and keeps the first example of each finding."""
    known = {rule.id: rule for rule in policy.rules}
    examples: dict[str, Subject] = {}
    automatic: dict[str, Subject] = {}
    uncovered: Subject | None = None
    for subject in combinations(policy.rules):
        found = [rule for rule in policy.rules if applies(rule, subject, known)]
        for rule in found:
            examples.setdefault(rule.id, subject)
            if rule.auto and subject.environment is EnvironmentName.PROD:
                automatic.setdefault(rule.id, subject)
        if not found and uncovered is None:
            uncovered = subject
    return Survey(examples, automatic, uncovered)


def faults(policy: Policy) -> Iterator[Fault]:
    """What must stop a start although the file can be read."""
    size = len(Walk(policy.rules))
    if size > MOST_COMBINATIONS:
        yield Fault(
            1, f"The thresholds make {size:,} combinations, too many to check them all. Use fewer different thresholds."
        )
        return
    found = survey(policy)
    lines = {rule.id: rule.line for rule in policy.rules}
    for rule, subject in found.automatic_in_production.items():
        yield Fault(
            lines[rule],
            f"Rule {rule} is automatic and reaches PROD ({subject}). Name the environments it is for, without PROD.",
        )
    if found.uncovered is not None and policy.fallback is None:
        yield Fault(1, f"No rule applies to {found.uncovered}. Write a rule for it, or name a fallback group in [defaults].")


def dead_rules(policy: Policy) -> tuple[Rule, ...]:
    """Rules that no application can ever meet."""
    examples = survey(policy).examples
    return tuple(rule for rule in policy.rules if rule.id not in examples)


def gaps(policy: Policy, staff: Mapping[str, Collection[UUID]]) -> tuple[Gap, ...]:
    """The rules whose quorum nobody can meet with the people that each group has now.

    Looking at one rule at a time is enough: where the rules of a combination can be met one by one, everybody's approval
    meets them all.
    """
    asked = {rule.id: (rule.text, quorum_of([rule])) for rule in policy.rules if not rule.auto}
    if policy.fallback is not None:
        asked[FALLBACK] = ("No rule applies", fallback_quorum(policy.fallback))
    short = {
        rule: (text, quorum, missing) for rule, (text, quorum) in asked.items() if (missing := missing_people(quorum, staff))
    }
    if not short:
        return ()
    found = survey(policy)
    examples = {**found.examples, **({FALLBACK: found.uncovered} if found.uncovered else {})}
    return tuple(Gap(rule, text, examples[rule], missing) for rule, (text, _, missing) in short.items() if rule in examples)


def missing_people(quorum: Quorum, staff: Mapping[str, Collection[UUID]], without: Collection[UUID] = ()) -> str:
    """Who is missing for a quorum, in words; empty when the staff can meet it. `without` are people who may not decide here."""
    if quorum.automatic:
        return ""
    groups: dict[UUID, set[str]] = {}
    for group, people in staff.items():
        for person in people:
            if person not in without:
                groups.setdefault(person, set()).add(group)
    everybody = [Vote(person, 1, "", Choice.APPROVE, frozenset(of)) for person, of in groups.items()]
    decision = decide(quorum, everybody, revisions={1}, content_digest="", contributors=frozenset())
    said = [
        f"{each.requirement.group} needs {each.requirement.count} and has {len(each.people)}"
        for each in decision.tallies
        if not each.met
    ]
    if not said and len(decision.people) < quorum.distinct:
        said.append(f"{quorum.distinct} different people are needed and {len(decision.people)} can decide")
    return ", ".join(dict.fromkeys(said))


class Walk:
    """Every combination that rules can tell apart, with the lowest number of each stretch between two thresholds."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        told = [each for rule in rules for each in (rule.when.all_of, *rule.when.any_of)]
        self._environments = tuple(EnvironmentName)
        self._requests = tuple(RequestType) if any(each.requests for each in told) else (RequestType.NEW, RequestType.CHANGE)
        self._kinds = tuple(LicenseKind) if any(each.kinds for each in told) else (LicenseKind.STANDARD,)
        self._users = _starts(each.users for each in told)
        self._agents = _starts(each.agents for each in told)
        self._days = _starts(each.days for each in told)
        self._modules = _choices(told, lambda each: each.modules)
        self._model_types = _choices(told, lambda each: each.model_types)
        self._widens = (True, False) if any(each.widens is not None for each in told) else (True,)

    def _axes(self) -> tuple[Collection[object], ...]:
        return (
            self._environments,
            self._requests,
            self._kinds,
            self._users,
            self._agents,
            self._days,
            self._modules,
            self._model_types,
            self._widens,
        )

    def __len__(self) -> int:
        """How many combinations there are at most."""
        size = 1
        for axis in self._axes():
            size *= len(axis)
        return size

    def __iter__(self) -> Iterator[Subject]:
        """Those that an application can have: a first license asks for more than nothing, no license runs too long."""
        for environment, request, kind, users, agents, days, modules, model_types, wider in product(
            self._environments,
            self._requests,
            self._kinds,
            self._users,
            self._agents,
            self._days,
            self._modules,
            self._model_types,
            self._widens,
        ):
            if days <= longest_days(environment, kind) and (wider or request is not RequestType.NEW):
                yield Subject(environment, request, kind, users, agents, days, modules, model_types, wider)


def combinations(rules: Iterable[Rule]) -> Iterator[Subject]:
    """Every combination that these rules can tell apart."""
    return iter(Walk(rules))


def _starts(ranges: Iterable[Range]) -> tuple[int, ...]:
    """Where each stretch of numbers begins on which all these ranges say the same."""
    starts = {1}
    for span in ranges:
        starts |= {span.least} if span.least is not None else set()
        starts |= {span.most + 1} if span.most is not None else set()
    return tuple(sorted(starts))


def _choices(told: Iterable[Conditions], codes_of: Callable[[Conditions], frozenset[str] | None]) -> tuple[frozenset[str], ...]:
    """One choice of codes for every pattern of conditions that a choice can meet, the smallest first.

    An application may choose codes that no rule names, so the empty choice stands for those.
    """
    asked = {codes for each in told if (codes := codes_of(each)) is not None}
    found: dict[frozenset[frozenset[str]], frozenset[str]] = {frozenset(): frozenset()}
    for code in sorted(set().union(*asked)):
        met = frozenset(codes for codes in asked if code in codes)
        for pattern, choice in list(found.items()):
            found.setdefault(pattern | met, choice | {code})
    return tuple(found.values())
