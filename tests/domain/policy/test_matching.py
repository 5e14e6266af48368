"""Which rules apply, and what they come to together."""

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.policy.written import DEV_SMALL, FOUR, HEAD, LARGE, NONPROD, PROD, WIDER, policy, subject
from workflow.domain.approvals import Choice, Outcome, Vote, decide
from workflow.domain.policy import Policy, PolicyBroken, Subject, canonical_form, explain, read_policy, resolve, widens
from workflow.domain.policy.lint import combinations
from workflow.domain.terms import LicenseKind, LicenseTerms


def asked(made: Policy, what: Subject) -> list[tuple[str, str, int]]:
    return [(each.rule, each.group, each.count) for each in resolve(made, what).quorum.requirements]


def test_every_rule_that_applies_asks_for_its_people() -> None:
    made = policy(*FOUR)
    assert asked(made, subject("UAT")) == [("nonprod", "approvers", 1)]
    assert asked(made, subject("PROD")) == [("prod", "approvers", 1), ("prod", "security", 1)]
    assert asked(made, subject("PROD", users=501)) == [
        ("large", "leads", 1),
        ("prod", "approvers", 1),
        ("prod", "security", 1),
    ]


def test_the_strictest_number_of_people_and_the_shortest_time_win() -> None:
    route = resolve(policy(*FOUR), subject("PROD", agents=51))
    assert (route.quorum.distinct, str(route.respond_within)) == (2, "4bh")
    assert str(resolve(policy(*FOUR), subject("PROD")).respond_within) == "2bd"


def test_nobody_is_needed_only_if_every_rule_that_applies_says_so() -> None:
    made = policy(*FOUR)
    small = resolve(made, subject("DEV", users=5, days=90))
    assert (small.quorum.automatic, small.rules, small.respond_within) == (True, ("dev-small",), None)
    with_agents = resolve(made, subject("DEV", users=5, days=90, agents=51))
    assert not with_agents.quorum.automatic
    assert with_agents.rules == ("dev-small", "large")
    assert [each.group for each in with_agents.quorum.requirements] == ["leads"]


def test_no_policy_value_lets_production_through_without_a_person() -> None:
    """Reading refuses such a rule; a value made by hand still falls back to people."""
    made = policy(*FOUR)
    anywhere = replace(made.rules[0], when=replace(made.rules[0].when, all_of=made.rules[3].when.all_of))
    quorum = resolve(replace(made, rules=(anywhere,)), subject("PROD")).quorum
    assert (quorum.automatic, [each.group for each in quorum.requirements]) == (False, ["leads"])


def test_the_fallback_group_decides_where_no_rule_applies() -> None:
    route = resolve(policy(PROD), subject("UAT"))
    assert route.rules == ()
    assert [(each.rule, each.group, each.count) for each in route.quorum.requirements] == [("fallback", "leads", 1)]
    assert str(route.respond_within) == "2bd"


def test_unless_gives_way_to_another_rule() -> None:
    made = policy(*FOUR)
    assert "nonprod" not in resolve(made, subject("DEV", users=5, days=90)).rules
    assert "nonprod" in resolve(made, subject("DEV", users=6, days=90)).rules


@pytest.mark.parametrize(
    ("condition", "matching", "other"),
    [
        ('environment = "UAT"', {"environment": "UAT"}, {"environment": "PROD"}),
        ("users_min = 10", {"users": 10}, {"users": 9}),
        ("users_max = 10", {"users": 10}, {"users": 11}),
        ("agents_min = 10", {"agents": 10}, {"agents": 9}),
        ("agents_max = 10", {"agents": 10}, {"agents": 11}),
        ("days_min = 10", {"days": 10}, {"days": 9}),
        ("days_max = 10", {"days": 10}, {"days": 11}),
        ("modules = ['a', 'b']", {"modules": frozenset({"b", "c"})}, {"modules": frozenset({"c"})}),
        ("model_types = ['a']", {"model_types": frozenset({"a"})}, {"model_types": frozenset()}),
        ("request = ['renewal', 'change']", {"request": "change"}, {"request": "new"}),
        ("kind = 'trial'", {"kind": "trial"}, {"kind": "extension"}),
        ("widens = true", {"widens": True}, {"widens": False, "request": "renewal"}),
        ("widens = false", {"widens": False, "request": "renewal"}, {"widens": True}),
        ("users_min = 10, agents_min = 10", {"users": 10, "agents": 10}, {"users": 10, "agents": 9}),
        ("any = [{ users_min = 10 }, { agents_min = 10 }]", {"users": 1, "agents": 10}, {"users": 9, "agents": 9}),
    ],
)
def test_a_condition_holds_or_does_not(condition: str, matching: dict[str, Any], other: dict[str, Any]) -> None:
    rule = PROD.replace('environment = ["PROD"]', condition)
    assert resolve(policy(rule), subject(**matching)).rules == ("prod",)
    assert resolve(policy(rule), subject(**other)).rules == ()


TERMS = LicenseTerms(
    modules=("a", "b"),
    model_types=("chat",),
    restrictions=("internal-use",),
    max_agents=10,
    authorized_users=100,
    first_day=date(2026, 11, 2),
    last_day=date(2027, 11, 1),
    time_zone="UTC",
    kind=LicenseKind.STANDARD,
)


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({}, False),
        ({"authorized_users": 101}, True),
        ({"authorized_users": 99, "max_agents": 9}, False),
        ({"max_agents": 11}, True),
        ({"modules": ("a", "c")}, True),
        ({"modules": ("a",)}, False),
        ({"model_types": ("chat", "embedding")}, True),
        ({"restrictions": ()}, True),
        ({"restrictions": ("internal-use", "no-export")}, False),
        ({"last_day": date(2028, 11, 1)}, False),
    ],
)
def test_more_is_whatever_the_license_in_force_does_not_allow(change: dict[str, Any], more: bool) -> None:
    assert widens(TERMS, replace(TERMS, **change)) is more


def test_a_standard_license_after_a_trial_is_more() -> None:
    trial = replace(TERMS, kind=LicenseKind.TRIAL)
    assert widens(trial, TERMS)
    assert not widens(TERMS, trial)


def test_escalation_adds_a_requirement_and_says_why() -> None:
    remind, add = resolve(policy(*FOUR), subject("PROD")).escalate
    assert remind.requirement is None
    assert add.requirement is not None
    assert (add.requirement.rule, add.requirement.group, add.requirement.text) == (
        "prod",
        "leads",
        "Nobody decided within 3 business days: one of leads as well.",
    )


def test_what_keeps_a_rule_away_is_explained_in_words() -> None:
    reports = {each.rule.id: each for each in explain(policy(*FOUR, WIDER), subject("DEV", users=5, days=90))}
    assert [each.rule.id for each in reports.values() if each.applies] == ["dev-small"]
    assert reports["dev-small"].asks == "no person"
    assert reports["nonprod"].because == ("the rule dev-small applies",)
    assert reports["prod"].because == ("the environment is DEV, not PROD",)
    assert reports["prod"].asks == "1 of approvers and 1 of security, 2 different people"
    assert reports["large"].because == (
        "none of the alternatives holds: 5 users are fewer than 501; 10 agents are fewer than 51",
    )
    assert reports["wider"].because == ("the environment is DEV, not PROD or UAT",)


def test_layout_and_order_make_no_difference_to_the_digest() -> None:
    made = policy(*FOUR)
    again = read_policy(
        "# the same\n" + HEAD + "".join(reversed(FOUR)).replace('["DEV", "UAT"]', '["UAT", "DEV"]'), "copy.toml"
    )
    assert (again.sha256, canonical_form(again)) == (made.sha256, canonical_form(made))
    assert policy(*FOUR[:3]).sha256 != made.sha256
    assert policy(*FOUR, head=HEAD.replace("lead@", "other.lead@")).sha256 != made.sha256


def test_the_digest_of_a_policy_stays_the_same_over_releases() -> None:
    """Digests are kept with applications for years. A change here needs a new schema number."""
    assert policy(PROD).sha256 == "f6cd819595f5b16cd9dd6ce4512659d062e10c1d737d7a414df9cae0ed5baded"


# Properties over policies that people could write

GROUPS = ("approvers", "security", "leads")


def _conditions() -> st.SearchStrategy[str]:
    return st.sampled_from(
        [
            'environment = ["PROD"]',
            'environment = ["DEV", "UAT"]',
            "users_min = 50",
            "users_max = 49",
            "agents_min = 20, days_max = 100",
            "modules = ['a']",
            "modules = ['a', 'b']",
            "request = 'new'",
            "widens = true",
            "any = [{ users_min = 501 }, { kind = 'trial' }]",
        ]
    )


@st.composite
def rules(draw: st.DrawFn, name: str) -> str:
    condition = draw(_conditions())
    if draw(st.booleans()) and "modules" not in condition and "environment" not in condition:
        return f"[[rule]]\nid = '{name}'\ntext = 'auto'\nwhen = {{ {condition}, environment = ['DEV', 'UAT'] }}\nauto = true\n"
    groups = draw(st.lists(st.sampled_from(GROUPS), min_size=1, max_size=3, unique=True))
    counts = [draw(st.integers(1, 3)) for _ in groups]
    require = ", ".join(f"{{ group = '{group}', count = {count} }}" for group, count in zip(groups, counts, strict=True))
    distinct = draw(st.integers(max(counts), 5))
    return f"[[rule]]\nid = '{name}'\ntext = 'x'\nwhen = {{ {condition} }}\nrequire = [{require}]\ndistinct = {distinct}\n"


SUBJECTS = st.builds(
    subject,
    st.sampled_from(["DEV", "UAT", "PROD"]),
    request=st.sampled_from(["new", "renewal"]),
    kind=st.sampled_from(["standard", "trial"]),
    users=st.sampled_from([49, 50, 500, 501]),
    agents=st.sampled_from([19, 20]),
    days=st.sampled_from([100, 101]),
    modules=st.frozensets(st.sampled_from(["a", "b", "c"])),
)
PEOPLE = [UUID(int=each) for each in range(1, 6)]
APPROVALS = st.lists(
    st.builds(
        Vote,
        person=st.sampled_from(PEOPLE),
        revision=st.just(1),
        content_digest=st.just("d"),
        choice=st.just(Choice.APPROVE),
        groups=st.frozensets(st.sampled_from(GROUPS), min_size=1),
        on_behalf_of=st.none() | st.sampled_from(PEOPLE),
    ),
    max_size=7,
)


def outcome(made: Policy, what: Subject, votes: list[Vote]) -> Outcome:
    quorum = resolve(made, what).quorum
    return decide(quorum, votes, revisions={1}, content_digest="d", contributors=frozenset()).outcome


@settings(max_examples=50)  # each reads whole policies
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True).flatmap(
        lambda ids: st.tuples(*(rules(f"r{i}") for i in ids))
    ),
    rules("more"),
    SUBJECTS,
    APPROVALS,
)
def test_one_more_rule_never_loosens_what_other_rules_ask(
    some: tuple[str, ...], more: str, what: Subject, votes: list[Vote]
) -> None:
    before, after = policy(*some), policy(*some, more)
    if resolve(before, what).rules and outcome(after, what, votes) is Outcome.APPROVED:
        assert outcome(before, what, votes) is Outcome.APPROVED


@settings(max_examples=50)  # each reads whole policies
@given(st.tuples(rules("a"), rules("b"), rules("c")), st.permutations([0, 1, 2]), SUBJECTS)
def test_the_order_of_rules_never_matters(some: tuple[str, ...], order: list[int], what: Subject) -> None:
    one, other = policy(*some), policy(*(some[each] for each in order))
    assert resolve(one, what).quorum == resolve(other, what).quorum
    assert (resolve(one, what).respond_within, resolve(one, what).escalate) == (
        resolve(other, what).respond_within,
        resolve(other, what).escalate,
    )
    assert one.sha256 == other.sha256


@settings(max_examples=50)  # each reads whole policies
@given(st.tuples(rules("a"), rules("b")), SUBJECTS, APPROVALS)
def test_no_person_alone_meets_a_quorum_of_several(some: tuple[str, ...], what: Subject, votes: list[Vote]) -> None:
    quorum = resolve(policy(*some), what).quorum
    result = decide(quorum, votes, revisions={1}, content_digest="d", contributors=frozenset())
    if result.outcome is Outcome.APPROVED and not quorum.automatic:
        assert len({vote.person for vote in votes}) >= quorum.distinct
        assert len({vote.right for vote in votes}) >= quorum.distinct


@given(SUBJECTS)
def test_production_always_needs_somebody(what: Subject) -> None:
    assert not (what.environment == "PROD" and resolve(policy(*FOUR), what).quorum.automatic)


@settings(max_examples=50)  # each reads whole policies
@given(st.tuples(rules("a"), rules("b"), rules("c")), SUBJECTS)
def test_the_walk_meets_every_set_of_rules_that_an_application_can_meet(some: tuple[str, ...], what: Subject) -> None:
    made = policy(*some)
    walked = {resolve(made, each).rules for each in combinations(made.rules)}
    assert resolve(made, what).rules in walked


def test_a_rule_for_everything_leaves_nothing_to_the_fallback() -> None:
    everything = PROD.replace('when = { environment = ["PROD"] }\n', "")
    head = HEAD.replace('fallback = "leads"\n', "")
    assert {resolve(policy(everything, head=head), each).rules for each in combinations(policy(everything).rules)} == {
        ("prod",)
    }
    with pytest.raises(PolicyBroken):
        policy(NONPROD, DEV_SMALL, LARGE, head=head)
