"""Looking at the policy beside applications: why it asks for whom, and what another one would have asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from workflow.db.queries import applications
from workflow.db.tables import Application
from workflow.domain.application import FINAL, LIVE, Status
from workflow.domain.approvals import Decision, Outcome, Quorum
from workflow.domain.policy import Policy, RuleReport, Subject, explain, resolve, subject_of
from workflow.errors import NotFound
from workflow.services.applications import content_of
from workflow.services.decisions import ballot_of, quorum_of

_APPROVED = LIVE | {Status.APPROVED, Status.SUPERSEDED, Status.EXPIRED, Status.REVOKED}
"""The statuses that only an approved application can have."""


@dataclass(frozen=True)
class Explanation:
    """What the policy says to one application. `policy_sha256` is the digest of the one it was submitted under."""

    subject: Subject
    rules: tuple[RuleReport, ...]
    asked: Quorum
    now: Quorum
    decision: Decision
    policy_sha256: str


@dataclass(frozen=True)
class Difference:
    """An application that another policy would have treated differently."""

    number: str
    subject: Subject
    asked: Quorum
    would_ask: Quorum
    was_approved: bool
    would_be_approved: bool
    still_needed: tuple[str, ...]


def explain_application(session: Session, policy: Policy, application: Application) -> Explanation:
    """Why this application needs whom. Raises NotFound while nothing was submitted."""
    if application.revision == 0:
        raise NotFound(f"{application.number} is a draft. The policy speaks once it is submitted.")
    ballot = ballot_of(session, policy, application)
    subject, asked = _subject(session, application), quorum_of(session, application, ballot.revision)
    return Explanation(
        subject=subject,
        rules=explain(policy, subject),
        asked=asked,
        now=resolve(policy, subject).quorum,
        decision=ballot.decision(asked),
        policy_sha256=ballot.revision.policy_sha256,
    )


def simulate(session: Session, policy: Policy, since: datetime) -> Iterator[Difference]:
    """Decides every application submitted since then again under `policy`, with the votes on record, and yields those for
    which it would ask for other people or that it would not have approved (or would have)."""
    for application in applications.submitted_since(session, since):
        ballot = ballot_of(session, policy, application)
        subject, asked = _subject(session, application), quorum_of(session, application, ballot.revision)
        would_ask = resolve(policy, subject).quorum
        decision = ballot.decision(would_ask)
        status = Status(application.status)
        was, would = status in _APPROVED, decision.outcome is Outcome.APPROVED
        decided = was or status in FINAL  # what waits, or went back, may still get its votes
        if _people(asked) != _people(would_ask) or (decided and was != would):
            yield Difference(application.number, subject, asked, would_ask, was, would, decision.still_needed)


def _people(quorum: Quorum) -> tuple[object, ...]:
    """What matters of a quorum when two are compared: groups with their largest count, not the rules' names and words."""
    counts: dict[str, int] = {}
    for each in quorum.requirements:
        counts[each.group] = max(counts.get(each.group, 0), each.count)
    return (sorted(counts.items()), max([quorum.distinct, *counts.values()]), quorum.automatic)


def _subject(session: Session, application: Application) -> Subject:
    """An application as rules saw it when it was submitted: beside the license it renews or changes."""
    before = None
    if application.renews is not None:
        before = content_of(session, applications.get_application_by_id(session, application.renews)).terms
    return subject_of(content_of(session, application).request, before)
