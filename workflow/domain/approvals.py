"""Who must approve, and whether they have.

`resolve` states the requirements, `decide` is the only place that counts votes. The web process and the signing worker
both call it: the worker trusts no status.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from workflow.errors import Conflict, Forbidden, Invalid

POLICY_NAME = "built-in policy 1"
"""Named in every event that a decision writes, until policies come from a file."""


class Choice(StrEnum):
    """What an approver can say."""

    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"
    REJECT = "reject"


class Outcome(StrEnum):
    """What all votes on a revision come to."""

    PENDING = "pending"
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    REJECTED = "rejected"


class SelfApproval(Forbidden):
    """Whoever submitted or edited an application never decides on it."""

    code = "approvals.self_approval"

    def __init__(self) -> None:
        super().__init__("You submitted or edited this application, so another approver decides.")


class NotEligible(Forbidden):
    """The person belongs to no group that this application needs."""

    code = "approvals.not_eligible"

    def __init__(self, groups: Iterable[str]) -> None:
        super().__init__(f"This application is decided by {' and '.join(groups)}, and you are not one of them.")


class VotedAlready(Conflict):
    """One vote per person and revision."""

    code = "approvals.voted_already"

    def __init__(self) -> None:
        super().__init__("You have decided on this revision already. Your first decision stands.")


class StaleRevision(Conflict):
    """The vote was cast on a revision that has been replaced."""

    code = "approvals.stale_revision"

    def __init__(self, seen: int, current: int) -> None:
        super().__init__(f"You read revision {seen}, but revision {current} has replaced it. Read the new one, then decide.")


class CommentMissing(Invalid):
    """Sending back or rejecting needs a reason."""

    code = "approvals.comment_missing"


@dataclass(frozen=True)
class Requirement:
    """So many distinct people of one group must approve. `text` explains it in the rule's own words."""

    rule: str
    group: str
    count: int
    text: str


@dataclass(frozen=True)
class Vote:
    """One person's word on one revision. `groups` are those the person belonged to when they voted."""

    person: UUID
    revision: int
    content_digest: str
    choice: Choice
    groups: frozenset[str]


@dataclass(frozen=True)
class Tally:
    """How far one requirement is."""

    requirement: Requirement
    people: tuple[UUID, ...]

    @property
    def met(self) -> bool:
        """Whether enough people of the group approved."""
        return len(self.people) >= self.requirement.count


@dataclass(frozen=True)
class Decision:
    """What the votes come to, and why."""

    outcome: Outcome
    tallies: tuple[Tally, ...]
    counted: tuple[Vote, ...]

    @property
    def missing(self) -> tuple[Requirement, ...]:
        """What still has to be met."""
        return tuple(each.requirement for each in self.tallies if not each.met)


def resolve() -> tuple[Requirement, ...]:
    """What an application needs: one approver, whoever it is for."""
    return (Requirement("one-approver", "approvers", 1, "One approver decides."),)


def require_eligible(requirements: Iterable[Requirement], person: UUID, groups: Set[str], contributors: Set[UUID]) -> None:
    """Raises SelfApproval for contributors, NotEligible for people whom no requirement asks for."""
    if person in contributors:
        raise SelfApproval
    asked = [each.group for each in requirements]
    if groups.isdisjoint(asked):
        raise NotEligible(dict.fromkeys(asked))


def decide(
    requirements: Iterable[Requirement],
    votes: Iterable[Vote],
    *,
    revision: int,
    content_digest: str,
    contributors: Set[UUID],
) -> Decision:
    """What `votes` come to for this revision of this content.

    Votes on other revisions or other content, and votes of contributors, do not count. A rejection or a request for
    changes decides alone; an approval needs every requirement met by distinct people.
    """
    counted = tuple(
        vote
        for vote in votes
        if vote.revision == revision and vote.content_digest == content_digest and vote.person not in contributors
    )
    tallies = tuple(
        Tally(
            requirement,
            tuple(
                dict.fromkeys(
                    vote.person for vote in counted if vote.choice is Choice.APPROVE and requirement.group in vote.groups
                )
            ),
        )
        for requirement in requirements
    )
    choices = {vote.choice for vote in counted if vote.groups}
    if Choice.REJECT in choices:
        outcome = Outcome.REJECTED
    elif Choice.REQUEST_CHANGES in choices:
        outcome = Outcome.CHANGES_REQUESTED
    elif tallies and all(each.met for each in tallies):
        outcome = Outcome.APPROVED
    else:
        outcome = Outcome.PENDING
    return Decision(outcome, tallies, counted)
