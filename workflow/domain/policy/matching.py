"""Which rules apply to an application, and what they ask for together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from workflow.domain.approvals import Quorum, Requirement
from workflow.domain.policy.calendar import BusinessTime
from workflow.domain.policy.values import Conditions, Policy, Range, Rule, Step
from workflow.domain.terms import EnvironmentName, LicenseKind, LicenseRequest, LicenseTerms, RequestType

FALLBACK = "fallback"
"""The rule id of the requirement that stands when no rule applies. No rule may take it."""


@dataclass(frozen=True)
class Subject:
    """What rules look at: the terms of an application, and whether it asks for more than the license in force."""

    environment: EnvironmentName
    request: RequestType
    kind: LicenseKind
    users: int
    agents: int
    days: int
    modules: frozenset[str]
    model_types: frozenset[str]
    widens: bool

    def __str__(self) -> str:
        """The combination in words, for the person who mends the policy."""
        size = f"{_counted(self.users, 'user')}, {_counted(self.agents, 'agent')}, {_counted(self.days, 'day')}"
        licensed = "".join(
            f", {name} {', '.join(sorted(codes))}"
            for name, codes in (("modules", self.modules), ("model types", self.model_types))
            if codes
        )
        more = "" if self.request is RequestType.NEW else f", {'more' if self.widens else 'no more'} than the license in force"
        return f"{self.environment}, {self.request}, {self.kind}, {size}{licensed}{more}"


@dataclass(frozen=True)
class Escalation:
    """A step of a rule that applies."""

    rule: str
    step: Step

    @property
    def requirement(self) -> Requirement | None:
        """What is asked for besides once the step is due; None for a reminder. What was asked for before stays."""
        if self.step.group is None:
            return None
        text = f"Nobody decided within {self.step.after.words}: one of {self.step.group} as well."
        return Requirement(self.rule, self.step.group, 1, text)


@dataclass(frozen=True)
class Route:
    """What the policy asks for one application: the rules that apply, the quorum, and what happens when nobody decides."""

    rules: tuple[str, ...]
    quorum: Quorum
    respond_within: BusinessTime | None
    escalate: tuple[Escalation, ...]


def subject_of(request: LicenseRequest, in_force: LicenseTerms | None) -> Subject:
    """What rules look at. `in_force` are the terms of the license that the environment has now, if it has one."""
    terms = request.terms
    return Subject(
        environment=request.environment,
        request=request.request,
        kind=terms.kind,
        users=terms.authorized_users,
        agents=terms.max_agents,
        days=terms.days,
        modules=frozenset(terms.modules),
        model_types=frozenset(terms.model_types),
        widens=request.request is RequestType.NEW or in_force is None or widens(in_force, terms),
    )


def widens(old: LicenseTerms, new: LicenseTerms) -> bool:
    """Whether `new` allows anything that `old` does not: more users or agents, a module or model type that was not there, a
    restriction dropped, a standard license after a trial or an extension. Days are not compared: every renewal ends later.
    """
    return (
        new.authorized_users > old.authorized_users
        or new.max_agents > old.max_agents
        or not set(new.modules) <= set(old.modules)
        or not set(new.model_types) <= set(old.model_types)
        or not set(old.restrictions) <= set(new.restrictions)
        or (new.kind is LicenseKind.STANDARD and old.kind is not LicenseKind.STANDARD)
    )


def resolve(policy: Policy, subject: Subject) -> Route:
    """What the policy asks for: the requirements of all rules that apply, the largest number of different people, the
    shortest time to respond, every step of escalation. No person is needed only where every rule that applies says `auto`,
    and never for PROD. Where no rule applies, one of the fallback group decides.
    """
    applying = applying_rules(policy, subject)
    asking = [rule for rule in applying if not rule.auto]
    if applying and not asking and subject.environment is not EnvironmentName.PROD:
        quorum = Quorum(automatic=True)
    elif asking:
        quorum = quorum_of(asking)
    else:
        assert policy.fallback is not None, "reading has refused a policy with a gap"
        quorum = fallback_quorum(policy.fallback)
    waits = [each for each in (rule.respond_within or policy.respond_within for rule in asking) if each]
    if not asking and not quorum.automatic and policy.respond_within:
        waits = [policy.respond_within]
    length = policy.calendar.length
    steps = [Escalation(rule.id, step) for rule in asking for step in rule.escalate]
    return Route(
        rules=tuple(rule.id for rule in applying),
        quorum=quorum,
        respond_within=min(waits, key=length, default=None),
        escalate=tuple(
            sorted(steps, key=lambda each: (length(each.step.after), each.rule, each.step.do, each.step.group or ""))
        ),
    )


def quorum_of(rules: Iterable[Rule]) -> Quorum:
    """What these rules ask for together, whatever their order."""
    asking = sorted((rule for rule in rules if not rule.auto), key=lambda rule: rule.id)
    return Quorum(
        tuple(Requirement(rule.id, ask.group, ask.count, rule.text) for rule in asking for ask in rule.require),
        max((rule.distinct for rule in asking), default=1),
    )


def fallback_quorum(group: str) -> Quorum:
    """What is asked for where no rule applies."""
    return Quorum((Requirement(FALLBACK, group, 1, f"No rule applies: one of {group} decides."),))


def applying_rules(policy: Policy, subject: Subject) -> tuple[Rule, ...]:
    """The rules that apply, in the order of the file."""
    known = {rule.id: rule for rule in policy.rules}
    return tuple(rule for rule in policy.rules if applies(rule, subject, known))


def applies(rule: Rule, subject: Subject, known: dict[str, Rule]) -> bool:
    """Whether a rule applies. `known` holds the rules that `unless` can name."""
    return (
        holds(rule.when.all_of, subject)
        and (not rule.when.any_of or any(holds(each, subject) for each in rule.when.any_of))
        and not any(applies(known[other], subject, known) for other in rule.when.unless)
    )


def holds(conditions: Conditions, subject: Subject) -> bool:
    """Whether every condition is met."""
    return next(failing(conditions, subject), None) is None


def failing(conditions: Conditions, subject: Subject) -> Iterator[str]:
    """Each condition that is not met, in words."""
    for name, allowed, value in (
        ("the environment", conditions.environments, subject.environment),
        ("the request", conditions.requests, subject.request),
        ("the kind", conditions.kinds, subject.kind),
    ):
        if allowed is not None and value not in allowed:
            yield f"{name} is {value}, not {_either(allowed)}"
    for name, span, number in (
        ("users", conditions.users, subject.users),
        ("agents", conditions.agents, subject.agents),
        ("days", conditions.days, subject.days),
    ):
        if number not in span:
            yield f"{number:,} {name} {_outside(span, number)}"
    for name, codes, chosen in (
        ("modules", conditions.modules, subject.modules),
        ("model types", conditions.model_types, subject.model_types),
    ):
        if codes is not None and codes.isdisjoint(chosen):
            yield f"the {name} do not include {_either(codes)}"
    if conditions.widens is not None and conditions.widens is not subject.widens:
        yield f"it asks for {'more' if subject.widens else 'no more'} than the license in force allows"


def _outside(span: Range, number: int) -> str:
    if span.least is not None and number < span.least:
        return f"are fewer than {span.least:,}"
    return f"are more than {span.most:,}"


def _either(values: Iterable[str]) -> str:
    return " or ".join(sorted(map(str, values)))


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
