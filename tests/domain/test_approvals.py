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
    Requirement,
    SelfApproval,
    Vote,
    decide,
    require_eligible,
    resolve,
)

DIGEST = "d" * 64
ONE = (Requirement("one", "approvers", 1, "One approver decides."),)
ONE_AND_SECURITY = (*ONE, Requirement("prod", "security", 1, "One of security."))
WROTE_IT = people.id_of(people.LIAISON)
APPROVER, SECURITY, LEAD = (people.id_of(each) for each in people.APPROVERS)


def said(person: UUID, choice: Choice = Choice.APPROVE, *groups: str) -> Vote:
    return Vote(person, 1, DIGEST, choice, frozenset(groups or ("approvers",)))


def count(votes: Iterable[Vote], requirements: Iterable[Requirement] = ONE) -> Decision:
    return decide(requirements, votes, revision=1, content_digest=DIGEST, contributors={WROTE_IT})


def test_one_approver_is_enough() -> None:
    assert [(each.group, each.count) for each in resolve()] == [("approvers", 1)]
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


@given(REQUIREMENTS, st.permutations([said(APPROVER), said(SECURITY, Choice.REQUEST_CHANGES), said(LEAD, Choice.REJECT)]))
def test_the_order_of_votes_changes_nothing(requirements: list[Requirement], votes: list[Vote]) -> None:
    assert count(votes, requirements).outcome is count(sorted(votes, key=lambda vote: vote.person), requirements).outcome


def test_the_author_is_told_that_another_approver_decides() -> None:
    with pytest.raises(SelfApproval, match="another approver decides"):
        require_eligible(ONE, WROTE_IT, {"approvers"}, {WROTE_IT})


def test_someone_of_no_group_that_is_asked_is_told_who_decides() -> None:
    with pytest.raises(NotEligible, match="approvers and security"):
        require_eligible(ONE_AND_SECURITY, APPROVER, {"leads"}, {WROTE_IT})
    require_eligible(ONE_AND_SECURITY, APPROVER, {"security"}, {WROTE_IT})
