"""When nobody decides in time: approvers are reminded, or one more group is asked. Time that runs out approves nothing."""

from collections.abc import Collection
from datetime import datetime
from typing import assert_never
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import applications, escalations, moves
from workflow.db.tables import Application, EscalationRow, RequirementRow
from workflow.domain.application import Status
from workflow.domain.events import ApprovalEscalated, ApprovalReminded
from workflow.domain.policy import Policy, StepKind
from workflow.services import delegations
from workflow.services.decisions import Ballot, ballot_of, quorum_of
from workflow.services.desk import Desk
from workflow.services.policies import POLICY, staff_of


def take_due(session: Session, desk: Desk, now: datetime, limit: int) -> int:
    """Takes every step that is due, at most `limit`, each once. Steps of what was decided, sent back or revised meanwhile
    come to nothing. Returns how many were looked at. Raises AlreadyMoved when somebody decides at this very moment: the next
    scan then sees what they did.
    """
    due = escalations.due(session, now, limit)
    for step in due:
        step.taken_at = now
        application = applications.get_application_by_id(session, step.application)
        if Status(application.status) is Status.SUBMITTED and application.revision == step.revision:
            _take(session, desk.policy, application, step, now)
    return len(due)


def _take(session: Session, policy: Policy, application: Application, step: EscalationRow, now: datetime) -> None:
    ballot = ballot_of(session, policy, application)
    match StepKind(step.step):
        case StepKind.REMIND:
            decision = ballot.decision(quorum_of(session, application, ballot.revision))
            # With every requirement met, it is different people that are missing, of whatever group.
            groups = {each.group for each in decision.missing} or {each.requirement.group for each in decision.tallies}
            fact = ApprovalReminded(step.revision)
            outbox.record(
                session, fact, POLICY, now, application=application, approvers=_able(session, policy, ballot, groups, now)
            )
        case StepKind.ADD:
            able = _able(session, policy, ballot, {step.group_name}, now)
            voted = any(step.group_name in vote.groups and vote.revision in ballot.numbers for vote in ballot.votes)
            if not able and not voted:
                # One more requirement that nobody can meet would only leave the application stuck.
                application.attention = f"{step.explanation} But nobody of {step.group_name} can decide on this application."
                return
            moves.touch(session, application, now)
            session.add(
                RequirementRow(
                    application=application.id,
                    revision=step.revision,
                    rule=step.rule,
                    group_name=step.group_name,
                    count=1,
                    explanation=step.explanation,
                )
            )
            escalated = ApprovalEscalated(step.revision, step.rule, step.group_name)
            outbox.record(session, escalated, POLICY, now, application=application, approvers=able)
        case unknown:
            assert_never(unknown)


def _able(session: Session, policy: Policy, ballot: Ballot, groups: Collection[str], now: datetime) -> list[UUID]:
    """Who of these groups can still decide: people who were there at the submission, did not write it and have not voted."""
    then, today = staff_of(session, policy, ballot.revision.created_at), staff_of(session, policy, now)
    people = {person for group in groups for person in then.get(group, set()) & today.get(group, set())} - ballot.contributors
    people |= delegations.standing_in(session, people, now) - ballot.contributors
    return sorted(person for person in people if not ballot.has_voted(person))
