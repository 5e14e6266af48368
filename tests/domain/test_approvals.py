"""Counting votes: what a set of them comes to, whoever asks."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import people
from workflow.domain.approvals import (
    Choice,
    Decision,
    NotEligible,
    Outcome,
    Quorum,
    Requirement,
    SelfApproval,
    Vote,
    decide,
    require_eligible,
)

DIGEST = "d" * 64
ONE = (Requirement("one", "approvers", 1, "One approver decides."),)
ONE_AND_SECURITY = (*ONE, Requirement("prod", "security", 1, "One of security."))
WROTE_IT = people.id_of(people.LIAISON)
APPROVER, SECURITY, LEAD = (people.id_of(each) for each in people.APPROVERS)


def said(person: UUID, choice: Choice = Choice.APPROVE, *groups: str) -> Vote:
    return Vote(person, 1, DIGEST, choice, frozenset(groups or ("approvers",)))


def count(votes: Iterable[Vote], requirements: Iterable[Requirement] = ONE) -> Decision:
    return counted(Quorum(tuple(requirements)), votes)


def counted(quorum: Quorum, votes: Iterable[Vote]) -> Decision:
    return decide(quorum, votes, revisions={1}, content_digest=DIGEST, contributors={WROTE_IT})


def acting(person: UUID, behalf: UUID, *groups: str) -> Vote:
    return replace(said(person, Choice.APPROVE, *groups), on_behalf_of=behalf)


def test_one_approver_is_enough() -> None:
    assert count([]).outcome is Outcome.PENDING
    assert count([said(APPROVER)]).outcome is Outcome.APPROVED


def test_nothing_is_approved_when_nothing_is_required() -> None:
    assert count([said(APPROVER)], requirements=()).outcome is Outcome.PENDING


def test_every_requirement_has_to_be_met() -> None:
    pending = count([said(APPROVER)], ONE_AND_SECURITY)
    assert pending.outcome is Outcome.PENDING
    assert [each.text for each in pending.missing] == ["One of security."]
    both = count([said(APPROVER), said(SECURITY, Choice.APPROVE, "approvers", "security")], ONE_AND_SECURITY)
    assert both.outcome is Outcome.APPROVED
    assert both.missing == ()


def test_one_person_counts_once_however_often_they_vote() -> None:
    two = (Requirement("two", "approvers", 2, "Two approvers."),)
    assert count([said(APPROVER), said(APPROVER)], two).outcome is Outcome.PENDING
    assert count([said(APPROVER), said(LEAD)], two).outcome is Outcome.APPROVED


def test_one_person_may_serve_several_groups_unless_different_people_are_asked_for() -> None:
    both = said(SECURITY, Choice.APPROVE, "approvers", "security")
    assert counted(Quorum(ONE_AND_SECURITY), [both]).outcome is Outcome.APPROVED
    two_people = counted(Quorum(ONE_AND_SECURITY, distinct=2), [both])
    assert (two_people.outcome, two_people.missing, len(two_people.people)) == (Outcome.PENDING, (), 1)
    assert counted(Quorum(ONE_AND_SECURITY, distinct=2), [both, said(LEAD)]).outcome is Outcome.APPROVED


def test_somebody_of_a_group_that_is_not_asked_is_not_one_of_the_different_people() -> None:
    votes = [said(SECURITY, Choice.APPROVE, "approvers", "security"), said(LEAD, Choice.APPROVE, "leads")]
    assert counted(Quorum(ONE_AND_SECURITY, distinct=2), votes).outcome is Outcome.PENDING


def test_what_needs_nobody_is_approved_without_a_vote_and_still_can_be_refused() -> None:
    assert counted(Quorum(automatic=True), []).outcome is Outcome.APPROVED
    assert counted(Quorum(automatic=True), [said(APPROVER, Choice.REJECT)]).outcome is Outcome.REJECTED
    with pytest.raises(ValueError, match="not automatic"):
        Quorum(ONE, automatic=True)


def test_two_quorums_add_up() -> None:
    more = Quorum((Requirement("prod", "security", 1, "One of security."),), distinct=2)
    assert Quorum(ONE).plus(more) == Quorum(ONE_AND_SECURITY, distinct=2)
    assert Quorum(ONE).plus(Quorum(ONE)) == Quorum(ONE)
    assert Quorum(automatic=True).plus(Quorum(ONE)) == Quorum(ONE)
    assert Quorum(automatic=True).plus(Quorum(automatic=True)).automatic


def test_who_acts_for_somebody_counts_with_the_groups_of_that_person() -> None:
    assert count([acting(LEAD, SECURITY, "security")], ONE_AND_SECURITY[1:]).outcome is Outcome.APPROVED


def test_somebody_and_the_one_who_acts_for_them_are_one_approval() -> None:
    two = (Requirement("two", "approvers", 2, "Two approvers."),)
    twice = [said(APPROVER), acting(LEAD, APPROVER, "approvers")]
    assert count(twice, two).outcome is Outcome.PENDING
    assert count([*twice, said(SECURITY)], two).outcome is Outcome.APPROVED


def test_an_own_right_and_a_right_of_another_are_still_one_person() -> None:
    two = (Requirement("two", "approvers", 2, "Two approvers."),)
    assert count([said(APPROVER), acting(APPROVER, LEAD, "approvers")], two).outcome is Outcome.PENDING


def test_who_acts_for_the_author_never_counts() -> None:
    assert count([acting(APPROVER, WROTE_IT, "approvers")]).outcome is Outcome.PENDING
    assert count([acting(WROTE_IT, APPROVER, "approvers")]).outcome is Outcome.PENDING


def test_the_author_of_a_revision_never_counts() -> None:
    assert count([said(WROTE_IT)]).outcome is Outcome.PENDING
    assert count([said(WROTE_IT, Choice.REJECT)]).outcome is Outcome.PENDING


def test_a_vote_on_another_revision_does_not_count() -> None:
    assert count([replace(said(APPROVER), revision=2)]).outcome is Outcome.PENDING
    assert count([replace(said(APPROVER), revision=0)]).outcome is Outcome.PENDING


def test_a_vote_on_other_content_does_not_count() -> None:
    assert count([replace(said(APPROVER), content_digest="e" * 64)]).outcome is Outcome.PENDING


def test_a_vote_of_someone_outside_the_group_does_not_count() -> None:
    assert count([said(APPROVER, Choice.APPROVE, "auditors")]).outcome is Outcome.PENDING


def test_a_refusal_of_someone_who_belonged_to_no_group_closes_nothing() -> None:
    nobody = Vote(uuid4(), 1, DIGEST, Choice.REJECT, frozenset())
    assert count([nobody, said(APPROVER)]).outcome is Outcome.APPROVED


def test_one_rejection_closes_it_whatever_else_was_said() -> None:
    votes = [said(APPROVER), said(SECURITY, Choice.REQUEST_CHANGES), said(LEAD, Choice.REJECT)]
    assert count(votes).outcome is Outcome.REJECTED


def test_one_request_for_changes_outweighs_approvals() -> None:
    assert count([said(APPROVER), said(LEAD, Choice.REQUEST_CHANGES)]).outcome is Outcome.CHANGES_REQUESTED


VOTES = st.builds(
    Vote,
    person=st.sampled_from([WROTE_IT, APPROVER, SECURITY, LEAD]),
    revision=st.integers(0, 2),
    content_digest=st.sampled_from([DIGEST, "e" * 64]),
    choice=st.sampled_from(Choice),
    groups=st.frozensets(st.sampled_from(["approvers", "security", "leads"])),
    on_behalf_of=st.none() | st.sampled_from([WROTE_IT, APPROVER, SECURITY, LEAD]),
)
REQUIREMENTS = st.lists(
    st.builds(
        Requirement,
        rule=st.sampled_from(["a", "b"]),
        group=st.sampled_from(["approvers", "security", "leads"]),
        count=st.integers(1, 3),
        text=st.just("x"),
    ),
    max_size=3,
)


@given(REQUIREMENTS, st.lists(VOTES, max_size=8))
def test_approved_means_that_enough_different_people_of_each_group_approved_this_very_revision(
    requirements: list[Requirement], votes: list[Vote]
) -> None:
    decision = count(votes, requirements)
    if decision.outcome is not Outcome.APPROVED:
        return
    assert requirements
    for each in requirements:
        agreed = {
            vote.person
            for vote in votes
            if (vote.choice, vote.revision, vote.content_digest) == (Choice.APPROVE, 1, DIGEST)
            and each.group in vote.groups
            and vote.person != WROTE_IT
        }
        assert len(agreed) >= each.count


@given(REQUIREMENTS, st.lists(VOTES, max_size=8), REQUIREMENTS)
def test_one_more_requirement_never_makes_an_approval_easier(
    requirements: list[Requirement], votes: list[Vote], more: list[Requirement]
) -> None:
    if requirements and count(votes, [*requirements, *more]).outcome is Outcome.APPROVED:
        assert count(votes, requirements).outcome is Outcome.APPROVED


@given(
    REQUIREMENTS,
    st.integers(1, 3),
    st.lists(VOTES, max_size=6).flatmap(lambda votes: st.tuples(st.just(votes), st.permutations(votes))),
)
def test_the_order_of_votes_changes_nothing(
    requirements: list[Requirement], distinct: int, orders: tuple[list[Vote], list[Vote]]
) -> None:
    quorum = Quorum(tuple(requirements), distinct)
    one, other = (counted(quorum, votes) for votes in orders)
    assert one.outcome is other.outcome
    assert one.missing == other.missing
    assert [len(each.people) for each in one.tallies] == [len(each.people) for each in other.tallies]


@given(REQUIREMENTS, st.integers(1, 3), st.lists(VOTES, max_size=6), VOTES)
def test_one_more_approval_never_undoes_one(
    requirements: list[Requirement], distinct: int, votes: list[Vote], more: Vote
) -> None:
    quorum = Quorum(tuple(requirements), distinct)
    before, after = counted(quorum, votes), counted(quorum, [*votes, replace(more, choice=Choice.APPROVE)])
    assert before.outcome is not Outcome.APPROVED or after.outcome is Outcome.APPROVED
    assert len(before.people) <= len(after.people)
    assert set(after.missing) <= set(before.missing)


@given(REQUIREMENTS, st.integers(1, 3), st.lists(VOTES, max_size=8))
def test_an_approval_has_as_many_people_and_as_many_rights_behind_it_as_are_asked_for(
    requirements: list[Requirement], distinct: int, votes: list[Vote]
) -> None:
    decision = counted(Quorum(tuple(requirements), distinct), votes)
    if decision.outcome is Outcome.APPROVED:
        most = max(distinct, *(each.count for each in requirements))
        assert len({vote.person for vote in decision.counted}) >= most
        assert len({vote.right for vote in decision.counted}) >= most


def test_the_author_is_told_that_another_approver_decides() -> None:
    with pytest.raises(SelfApproval, match="another approver decides"):
        require_eligible(Quorum(ONE), WROTE_IT, {"approvers"}, {WROTE_IT})


def test_someone_of_no_group_that_is_asked_is_told_who_decides() -> None:
    with pytest.raises(NotEligible, match="approvers and security"):
        require_eligible(Quorum(ONE_AND_SECURITY), APPROVER, {"leads"}, {WROTE_IT})
    require_eligible(Quorum(ONE_AND_SECURITY), APPROVER, {"security"}, {WROTE_IT})


def test_who_acts_for_the_author_is_told_so() -> None:
    with pytest.raises(SelfApproval, match="The person you act for submitted or edited"):
        require_eligible(Quorum(ONE), APPROVER, {"approvers"}, {WROTE_IT}, WROTE_IT)
