"""What an approver does: approve, send back, reject. Every vote is counted by `domain.approvals.decide` and nowhere else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.ids import new_id
from workflow.db.queries import applications, moves, people
from workflow.db.tables import Application, Person, RequirementRow, Revision, VoteRow
from workflow.domain.application import Action, Status, next_status
from workflow.domain.approvals import (
    Choice,
    CommentMissing,
    Decision,
    Outcome,
    Quorum,
    Requirement,
    StaleRevision,
    Vote,
    VotedAlready,
    decide,
    require_eligible,
)
from workflow.domain.events import (
    ApplicationApproved,
    ApplicationRejected,
    ApprovalRecorded,
    ApprovalRescinded,
    ChangesRequested,
    Event,
)
from workflow.domain.policy import Policy
from workflow.domain.roles import Actor, Permission, may, require
from workflow.domain.terms import MAX_NOTE, RequestType
from workflow.errors import Conflict, Forbidden, Problem
from workflow.services import delegations
from workflow.services.applications import require_first
from workflow.services.delegations import require_delegate
from workflow.services.desk import Desk

_ACTIONS = {
    Choice.APPROVE: Action.RECORD_APPROVAL,
    Choice.REQUEST_CHANGES: Action.REQUEST_CHANGES,
    Choice.REJECT: Action.REJECT,
}


@dataclass(frozen=True)
class Ballot:
    """Everything that a decision on an application is counted from."""

    revision: Revision
    votes: tuple[Vote, ...]
    contributors: frozenset[UUID]
    rows: tuple[VoteRow, ...]
    standing: tuple[Revision, ...]
    """The current revision, and those before it that differ by their notes only: their approvals count."""

    @property
    def numbers(self) -> frozenset[int]:
        """The revisions whose approvals count."""
        return frozenset(each.number for each in self.standing)

    def has_voted(self, person: UUID) -> bool:
        """Whether the person has decided on what is decided on now."""
        return any(each.person == person and each.revision in self.numbers for each in self.votes)

    def with_vote(self, vote: Vote) -> "Ballot":
        """The ballot with one more vote."""
        return replace(self, votes=(*self.votes, vote))

    def decision(self, quorum: Quorum) -> Decision:
        """What the votes come to."""
        return decide(
            quorum,
            self.votes,
            revisions=self.numbers,
            content_digest=self.revision.content_digest,
            contributors=self.contributors,
        )


class RevisionMissing(Conflict):
    """The stored application names a revision that is not there."""

    code = "application.revision_missing"


class NotYourApproval(Forbidden):
    """Only those who approved, and operators, take an approval back."""

    code = "approvals.not_yours"

    def __init__(self) -> None:
        super().__init__("Only the approvers who approved this application and operators can take the approval back.")


def vote(
    session: Session,
    actor: Actor,
    desk: Desk,
    application: Application,
    choice: Choice,
    *,
    comment: str,
    seen_revision: int,
    seen_version: int,
    now: datetime,
    on_behalf_of: UUID | None = None,
) -> Decision:
    """Records the actor's word on the revision they read and returns what all votes come to.

    Raises MissingRole, AlreadyMoved (saying who was quicker), IllegalMove, StaleRevision, SelfApproval, NotEligible,
    VotedAlready, CommentMissing, and LicensedMeanwhile for what can only be sent back.
    Approving, the vote that completes every requirement moves the application on. `on_behalf_of` is a colleague out of office
    whose delegate the actor is, else it raises NotTheirDelegate; the vote counts with the colleague's groups, and both as one
    person.
    """
    require(actor, Permission.DECIDE)
    assert actor.person_id is not None
    comment = comment.strip()
    moves.require_version(session, application, seen_version)
    next_status(Status(application.status), _ACTIONS[choice])
    if seen_revision != application.revision:
        raise StaleRevision(seen_revision, application.revision)
    ballot = ballot_of(session, desk.policy, application)
    revision = ballot.revision
    quorum = quorum_of(session, application, revision)
    if on_behalf_of is not None:
        require_delegate(session, on_behalf_of, actor.person_id, now)
    groups = delegations.groups_of_vote(session, desk.policy, actor.person_id, on_behalf_of, revision.created_at, now)
    require_eligible(quorum, actor.person_id, groups, ballot.contributors, on_behalf_of)
    if ballot.has_voted(actor.person_id):
        raise VotedAlready
    _require_comment(choice, comment)
    if choice is Choice.APPROVE:
        require_first(session, application, RequestType(application.request))

    cast = Vote(actor.person_id, revision.number, revision.content_digest, choice, groups, on_behalf_of)
    decision = ballot.with_vote(cast).decision(quorum)
    acting_for = people.get_person(session, on_behalf_of) if on_behalf_of is not None else None
    facts = [_fact(choice, revision, comment, acting_for)]
    if decision.outcome is Outcome.APPROVED:
        approvals = len(decision.people)
        facts.append(ApplicationApproved(revision.number, revision.content_digest, approvals, revision.policy_sha256))
        moves.move(session, application, _ACTIONS[choice], now, Action.APPROVE)
    else:
        moves.move(session, application, _ACTIONS[choice], now)
    recorded = outbox.record_all(session, facts, actor, now, application=application)
    applications.add_vote(
        session,
        VoteRow(
            id=new_id(),
            application=application.id,
            revision=revision.number,
            person=actor.person_id,
            on_behalf_of=on_behalf_of,
            choice=choice.value,
            comment=comment,
            groups=",".join(sorted(groups)),
            content_digest=revision.content_digest,
            channel=actor.channel,
            event_hash=recorded[0].hash,
            at=now,
        ),
    )
    return decision


def may_rescind(session: Session, actor: Actor, application: Application) -> bool:
    """Whether the actor's word can take the approval back: an operator's, or that of someone who gave it."""
    if may(actor, Permission.OPERATE):
        return True
    revision = applications.current_revision(session, application)
    return revision is not None and any(
        row.person == actor.person_id and row.revision >= revision.approvals_from and row.choice == Choice.APPROVE.value
        for row in applications.votes_on(session, application.id)
    )


def rescind(session: Session, actor: Actor, application: Application, seen_version: int, comment: str, now: datetime) -> None:
    """Takes an approval back before anything is issued; the liaison gets the application back.

    Raises NotYourApproval, AlreadyMoved, IllegalMove, CommentMissing.
    """
    if not may_rescind(session, actor, application):
        raise NotYourApproval
    moves.require_version(session, application, seen_version)
    next_status(Status(application.status), Action.RESCIND)
    _require_comment(Choice.REQUEST_CHANGES, comment.strip())
    moves.move(session, application, Action.RESCIND, now)
    outbox.record(session, ApprovalRescinded(comment.strip()), actor, now, application=application)


def ballot_of(session: Session, policy: Policy, application: Application) -> Ballot:
    """The stored votes on a submitted application, with the groups each voter belonged to from the submission to the vote,
    read again from the roles. The signing worker counts this too, with its own policy.

    Raises RevisionMissing when the revision that the application names is not there.
    """
    revisions = applications.revisions_of(session, application.id)
    return ballots_of(session, policy, revisions, applications.votes_on(session, application.id))(application)


def ballots_of(
    session: Session, policy: Policy, revisions: Sequence[Revision], votes: Sequence[VoteRow]
) -> Callable[[Application], Ballot]:
    """The same for several applications, of all their revisions and votes. The groups are read for all votes at once."""
    submitted_at = {(each.application, each.number): each.created_at for each in revisions}
    counting = [row for row in votes if (row.application, row.revision) in submitted_at]
    groups = delegations.groups_of_votes(session, policy, counting, submitted_at)
    revisions_of, votes_on = applications.grouped(revisions), applications.grouped(votes)

    def ballot(application: Application) -> Ballot:
        its_own, cast = revisions_of.get(application.id, []), votes_on.get(application.id, [])
        current = next((each for each in its_own if each.number == application.revision), None)
        if current is None:
            raise RevisionMissing(f"{application.number} has no revision {application.revision}. Look at its history.")
        return Ballot(
            revision=current,
            votes=tuple(_vote_of(row, groups[row.id]) for row in cast if row.id in groups),
            contributors=frozenset(each.author for each in its_own),
            rows=tuple(cast),
            standing=tuple(each for each in its_own if current.approvals_from <= each.number <= current.number),
        )

    return ballot


def _vote_of(row: VoteRow, groups: frozenset[str]) -> Vote:
    return Vote(row.person, row.revision, row.content_digest, Choice(row.choice), groups, row.on_behalf_of)


def quorum_of(session: Session, application: Application, revision: Revision) -> Quorum:
    """What was asked for when the current revision was submitted, and since."""
    return quorum_from(applications.requirements_of(session, application), revision)


def quorum_from(requirements: Sequence[RequirementRow], revision: Revision) -> Quorum:
    """What these requirements and this revision ask for."""
    asked = (Requirement(row.rule, row.group_name, row.count, row.explanation) for row in requirements)
    return Quorum(tuple(asked), revision.distinct_people, revision.automatic)


def where_it_stands(session: Session, policy: Policy, application: Application) -> Decision:
    """How far a submitted application is, for those who look at it. Raises RevisionMissing."""
    ballot = ballot_of(session, policy, application)
    return ballot.decision(quorum_of(session, application, ballot.revision))


def _require_comment(choice: Choice, comment: str) -> None:
    if len(comment) > MAX_NOTE:
        message = f"Use at most {MAX_NOTE:,} characters."
        raise CommentMissing(message, [Problem("comment", "too_long", message)])
    if choice is not Choice.APPROVE and not comment:
        message = "Say why, so that the liaison knows what to do."
        raise CommentMissing(message, [Problem("comment", "missing", message)])


def _fact(choice: Choice, revision: Revision, comment: str, acting_for: Person | None) -> Event:
    whose, name = (str(acting_for.id), acting_for.name) if acting_for else (None, "")
    match choice:
        case Choice.APPROVE:
            return ApprovalRecorded(revision.number, revision.content_digest, comment, whose, name)
        case Choice.REQUEST_CHANGES:
            return ChangesRequested(revision.number, comment, whose, name)
        case Choice.REJECT:
            return ApplicationRejected(revision.number, comment, whose, name)
