"""Whether enough people have approved: `decide` is the only place that counts votes.

The policy (`domain.policy`) says who must. The web process and the signing worker both call `decide`: the worker trusts no
status.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from workflow.errors import Conflict, Forbidden, Invalid


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

    def __init__(self, acting_for_one: bool = False) -> None:
        who = "The person you act for" if acting_for_one else "You"
        super().__init__(f"{who} submitted or edited this application, so another approver decides.")


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

    @property
    def wanted(self) -> str:
        """Who is asked for, in few words: "2 of security"."""
        return f"{self.count} of {self.group}"


@dataclass(frozen=True)
class Quorum:
    """Everything one application needs: all requirements, by at least `distinct` different people.

    `automatic`: the policy asks for nobody.
    """

    requirements: tuple[Requirement, ...] = ()
    distinct: int = 1
    automatic: bool = False

    def __post_init__(self) -> None:
        if self.automatic and self.requirements:
            raise ValueError("what asks for people is not automatic")

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that are asked, each once."""
        return tuple(dict.fromkeys(each.group for each in self.requirements))

    def plus(self, other: "Quorum") -> "Quorum":
        """What both ask for together: requirements add up, the larger number of people wins, automatic needs both."""
        requirements = tuple(dict.fromkeys((*self.requirements, *other.requirements)))
        return Quorum(requirements, max(self.distinct, other.distinct), self.automatic and other.automatic)


@dataclass(frozen=True)
class Vote:
    """One person's word on one revision. `groups` are those the person belonged to when they voted, or those of the person
    they acted for, if `on_behalf_of` names one.
    """

    person: UUID
    revision: int
    content_digest: str
    choice: Choice
    groups: frozenset[str]
    on_behalf_of: UUID | None = None

    @property
    def right(self) -> UUID:
        """Whose right to approve is used."""
        return self.on_behalf_of or self.person


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
    """What the votes come to, and why. `people` are the different people who approved for a group that is asked."""

    outcome: Outcome
    tallies: tuple[Tally, ...]
    counted: tuple[Vote, ...]
    people: tuple[UUID, ...]
    distinct: int

    @property
    def needed(self) -> int:
        """How many approvals there are at the end, at least: `people` counts towards it."""
        return max((self.distinct, *(each.requirement.count for each in self.tallies)))

    @property
    def missing(self) -> tuple[Requirement, ...]:
        """What still has to be met."""
        return tuple(each.requirement for each in self.tallies if not each.met)

    @property
    def still_needed(self) -> tuple[str, ...]:
        """What still has to be met, in sentences: the rules' own, and that different people are needed."""
        texts = dict.fromkeys(each.text for each in self.missing)
        if not texts and len(self.people) < self.distinct:
            return (f"{self.distinct} different people have to approve; {len(self.people)} did.",)
        return tuple(texts)


def require_eligible(
    quorum: Quorum, person: UUID, groups: Set[str], contributors: Set[UUID], on_behalf_of: UUID | None = None
) -> None:
    """Raises SelfApproval for contributors and who acts for one, NotEligible for people whom no requirement asks for."""
    if person in contributors:
        raise SelfApproval
    if on_behalf_of in contributors:
        raise SelfApproval(acting_for_one=True)
    if groups.isdisjoint(quorum.groups):
        raise NotEligible(quorum.groups)


def decide(
    quorum: Quorum, votes: Iterable[Vote], *, revisions: Set[int], content_digest: str, contributors: Set[UUID]
) -> Decision:
    """What `votes` come to for this content.

    Votes on revisions other than `revisions` or on other content, votes of contributors and of those who act for one do not
    count. A rejection or a request for changes decides alone. An approval needs every requirement met, and `distinct`
    different people in all; one person may serve several groups. Without any requirement only an automatic quorum is met.
    """
    counted = tuple(
        vote
        for vote in votes
        if vote.revision in revisions
        and vote.content_digest == content_digest
        and contributors.isdisjoint((vote.person, vote.right))
    )
    approving = [vote for vote in counted if vote.choice is Choice.APPROVE]
    tallies = tuple(
        Tally(each, _independent(vote for vote in approving if each.group in vote.groups)) for each in quorum.requirements
    )
    people = _independent(vote for vote in approving if not vote.groups.isdisjoint(quorum.groups))
    choices = {vote.choice for vote in counted if vote.groups}
    if Choice.REJECT in choices:
        outcome = Outcome.REJECTED
    elif Choice.REQUEST_CHANGES in choices:
        outcome = Outcome.CHANGES_REQUESTED
    elif quorum.automatic or (tallies and all(each.met for each in tallies) and len(people) >= quorum.distinct):
        outcome = Outcome.APPROVED
    else:
        outcome = Outcome.PENDING
    return Decision(outcome, tallies, counted, people, quorum.distinct)


def _independent(votes: Iterable[Vote]) -> tuple[UUID, ...]:
    """The people who count together: as many as can be picked so that nobody, and nobody's right to approve, counts twice.

    Somebody on leave and the colleague who acts for them are one approval; so are two votes of one person. (A maximum
    matching between people and rights, so that the order of votes makes no difference.)
    """
    rights: dict[UUID, list[UUID]] = {}
    for vote in votes:
        rights.setdefault(vote.person, []).append(vote.right)
    user: dict[UUID, UUID] = {}

    def place(person: UUID, tried: set[UUID]) -> bool:
        for right in rights[person]:
            if right not in tried:
                tried.add(right)
                if right not in user or place(user[right], tried):
                    user[right] = person
                    return True
        return False

    return tuple(person for person in rights if place(person, set()))
