"""Eight processes decide on the same two hundred applications, two approvals each: none is stuck, none has too few."""

import multiprocessing
import random
from collections import Counter
from dataclasses import replace
from uuid import UUID

import pytest
from sqlmodel import select

from tests import people
from tests.builders import DESK, NOW, Office, answers
from tests.db.test_races import eight_approvers
from tests.domain.policy.written import policy
from workflow.database import create_engine, reading, transaction
from workflow.db.queries import applications, events
from workflow.db.tables import Application, EventRow, JobRow
from workflow.domain.application import Status
from workflow.domain.approvals import Choice, VotedAlready
from workflow.domain.events import Job
from workflow.domain.roles import Actor, Role
from workflow.errors import Conflict
from workflow.services import applications as applying
from workflow.services import decisions, issuing, refusals
from workflow.services.desk import Desk
from workflow.services.evidence import evidence_of

APPLICATIONS = 200
TWO = """
[[rule]]
id = "two"
text = "Two approvers"
when = { environment = ["DEV", "UAT", "PROD"] }
require = [{ group = "approvers", count = 2 }]
"""


def desk_of_two() -> Desk:
    return replace(DESK, policy=policy(TWO))


def decide_on_all(url: str, name: str, person: UUID, numbers: list[str]) -> None:
    """One approver in a process of their own: looks at each application in an order of their own, and decides while it waits.
    Whoever is told that somebody was quicker looks again."""
    engine, desk = create_engine(url, pool_size=1), desk_of_two()
    actor = Actor(name, person, frozenset({Role.APPROVER}))
    random.Random(name).shuffle(numbers)
    for number in numbers:
        while True:
            with reading(engine) as session:
                seen = applications.get_application(session, number)
            if seen.status != Status.SUBMITTED:
                break
            try:
                with (
                    refusals.kept(engine, actor, number, Choice.APPROVE, seen.revision, None, NOW),
                    transaction(engine) as session,
                ):
                    decisions.vote(
                        session,
                        actor,
                        desk,
                        applications.get_application(session, number),
                        Choice.APPROVE,
                        comment="",
                        seen_revision=seen.revision,
                        seen_version=seen.version,
                        now=NOW,
                    )
            except VotedAlready:
                break
            except Conflict:
                continue
            break
    engine.dispose()


@pytest.mark.timeout(300)
def test_eight_processes_approve_two_hundred_applications_once_each(office: Office) -> None:
    approvers = eight_approvers(office)
    desk = desk_of_two()
    with office.work() as session:
        numbers = [
            applying.apply(session, people.LIAISON, desk, answers(environment="UAT"), NOW).number for _ in range(APPLICATIONS)
        ]
    url = office.engine.url.render_as_string(hide_password=False)
    apart = multiprocessing.get_context("forkserver")
    apart.set_forkserver_preload([__name__])  # what eight processes would each import takes longer than to vote
    votes = [(url, each.name, people.id_of(each), numbers) for each in approvers]
    voters = [apart.Process(target=decide_on_all, args=each, daemon=True) for each in votes]
    for each in voters:
        each.start()
    for each in voters:
        each.join()
    assert [each.exitcode for each in voters] == [0] * len(voters)

    with office.work() as session:
        made = session.exec(select(Application)).all()
        assert Counter(each.status for each in made) == {"approved": APPLICATIONS}, "none is stuck"
        told = session.exec(select(EventRow.stream, EventRow.type)).all()
        said = Counter(told)
        assert all(said[str(each.id), "application.approved"] == 1 for each in made)
        assert all(said[str(each.id), "application.approval_recorded"] == 2 for each in made)
        assert len(session.exec(select(JobRow).where(JobRow.kind == Job.SIGN.value)).all()) == APPLICATIONS
        for evidence in evidence_of(session, desk.policy, made):
            counted = evidence.ballot.decision(decisions.quorum_from(evidence.requirements, evidence.ballot.revision))
            assert len(set(counted.people)) == 2
            issuing.claims_to_sign(evidence, desk, NOW)  # raises unless the signer counts the same
        chains = events.chains_of(session, [str(each.id) for each in made])
        assert [stream for stream, chain in chains.items() if chain.broken] == []
