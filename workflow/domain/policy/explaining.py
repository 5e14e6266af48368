"""Why the policy asks for whom: every rule with its own text, and for those that do not apply what keeps them away."""

from dataclasses import dataclass

from workflow.domain.policy.matching import Subject, applies, failing
from workflow.domain.policy.values import DeliveryRule, Policy, Rule


@dataclass(frozen=True)
class RuleReport:
    """One rule and one application. `because` says what keeps a rule from applying; it is empty when it applies."""

    rule: Rule
    because: tuple[str, ...]

    @property
    def applies(self) -> bool:
        """Whether the rule applies."""
        return not self.because

    @property
    def asks(self) -> str:
        """What the rule asks for, in words: "1 of approvers and 1 of security, 2 different people"."""
        if self.rule.auto:
            return "no person"
        groups = " and ".join(f"{each.count} of {each.group}" for each in self.rule.require)
        return groups if self.rule.distinct == 1 else f"{groups}, {self.rule.distinct} different people"


def explain(policy: Policy, subject: Subject) -> tuple[RuleReport, ...]:
    """What each rule says about an application, in the order of the file."""
    known = {rule.id: rule for rule in policy.rules}
    return tuple(RuleReport(rule, _because(rule, subject, known)) for rule in policy.rules)


def delivery_words(rule: DeliveryRule) -> str:
    """How licenses of an environment are handed over, in a sentence."""
    if not rule.portal:
        return f"{rule.environment}: files travel encrypted to the recipient's own key (S/MIME or OpenPGP), in no other way."
    who = "a one-time code or an administrator's sign-in" if rule.portal_code else "an administrator's sign-in alone"
    return f"{rule.environment}: recipients without a key fetch the file from the portal, with {who}."


def _because(rule: Rule, subject: Subject, known: dict[str, Rule]) -> tuple[str, ...]:
    said = list(failing(rule.when.all_of, subject))
    branches = [tuple(failing(each, subject)) for each in rule.when.any_of]
    if branches and all(branches):
        said.append("none of the alternatives holds: " + "; ".join(" and ".join(each) for each in branches))
    said.extend(f"the rule {other} applies" for other in rule.when.unless if applies(known[other], subject, known))
    return tuple(said)
