"""What the lint finds: quorums nobody can meet, rules that never apply, and who is missing."""

from uuid import UUID

from tests.domain.policy.written import FOUR, PROD, policy
from workflow.domain.approvals import Quorum, Requirement
from workflow.domain.policy import dead_rules, gaps
from workflow.domain.policy.lint import Walk, missing_people

ONE, TWO, THREE = (UUID(int=each) for each in (1, 2, 3))
STAFF = {"approvers": [ONE, TWO], "security": [TWO], "leads": [THREE]}


def test_a_full_staff_leaves_no_gap() -> None:
    assert gaps(policy(*FOUR), STAFF) == ()


def test_a_group_without_people_is_a_gap_of_every_rule_that_asks_for_it() -> None:
    (gap,) = gaps(policy(*FOUR), {**STAFF, "security": []})
    assert gap.rule == "prod"
    assert str(gap) == (
        "Rule prod (PROD: one approver and one of security, two different people) cannot be met: "
        "security needs 1 and has 0. It concerns PROD, new, standard, 1 user, 1 agent, 1 day."
    )


def test_one_person_in_two_groups_is_not_two_different_people() -> None:
    (gap,) = gaps(policy(*FOUR), {"approvers": [ONE], "security": [ONE], "leads": [THREE]})
    assert (gap.rule, gap.missing) == ("prod", "2 different people are needed and 1 can decide")


def test_the_fallback_group_needs_people_only_where_it_can_be_asked() -> None:
    staff = {**STAFF, "leads": []}
    assert [gap.rule for gap in gaps(policy(PROD), staff)] == ["fallback"]
    everywhere = PROD.replace('when = { environment = ["PROD"] }\n', "")
    assert gaps(policy(everywhere), staff) == ()


def test_a_rule_that_no_application_can_meet_is_named() -> None:
    """A trial runs 60 days at most."""
    never = PROD.replace('id = "prod"', 'id = "never"').replace('environment = ["PROD"]', 'kind = "trial", days_min = 61')
    assert [rule.id for rule in dead_rules(policy(*FOUR, never))] == ["never"]
    assert dead_rules(policy(*FOUR)) == ()


def test_who_contributed_cannot_be_counted_on() -> None:
    quorum = Quorum((Requirement("prod", "approvers", 2, "Two."),), 2)
    assert missing_people(quorum, STAFF) == ""
    assert missing_people(quorum, STAFF, without={ONE}) == "approvers needs 2 and has 1"
    assert missing_people(Quorum(automatic=True), {}) == ""


def test_the_walk_looks_at_each_stretch_between_two_thresholds_once() -> None:
    """3 environments, 2 requests; users 1, 6, 501; agents 1, 51; days 1, 91."""
    assert len(Walk(policy(*FOUR).rules)) == 3 * 2 * 3 * 2 * 2
