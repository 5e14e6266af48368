"""The approval policy: a file of rules that says who must approve what. Pure: it reads no clock, no database and no disk.

All matching rules apply and their requirements add up, so adding a rule never loosens another. `approvals.decide` counts.
"""

from workflow.domain.policy.canonical import canonical_form, policy_sha256
from workflow.domain.policy.explaining import RuleReport, delivery_words, explain
from workflow.domain.policy.lint import Gap, dead_rules, gaps, missing_people
from workflow.domain.policy.matching import Escalation, Route, Subject, resolve, subject_of, widens
from workflow.domain.policy.reading import read_policy
from workflow.domain.policy.source import Fault, PolicyBroken
from workflow.domain.policy.values import DeliveryRule, Encryption, Group, Policy, Rule, Step, StepKind

__all__ = [
    "DeliveryRule",
    "Encryption",
    "Escalation",
    "Fault",
    "Gap",
    "Group",
    "Policy",
    "PolicyBroken",
    "Route",
    "Rule",
    "RuleReport",
    "Step",
    "StepKind",
    "Subject",
    "canonical_form",
    "dead_rules",
    "delivery_words",
    "explain",
    "gaps",
    "missing_people",
    "policy_sha256",
    "read_policy",
    "resolve",
    "subject_of",
    "widens",
]
