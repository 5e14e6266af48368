"""What approvers do: approve, send back, reject, take back. Every refusal says why and changes nothing."""

from typing import Any

import pytest
from sqlmodel import select

from tests import people
from tests.builders import NOW, Office, answers
from workflow.db.queries import applications
from workflow.db.queries.moves import AlreadyMoved
from workflow.db.tables import RequirementRow, RoleGrant, VoteRow
from workflow.domain.application import IllegalMove
from workflow.domain.approvals import Choice, CommentMissing, NotEligible, Outcome, SelfApproval, StaleRevision, VotedAlready
from workflow.domain.events import Job
from workflow.domain.roles import Actor, MissingRole, Role
from workflow.errors import DeskError
from workflow.services import applications as applying
from workflow.services import decisions
from workflow.services.decisions import NotYourApproval


def votes(office: Office) -> list[VoteRow]:
    with office.work() as session:
        return list(session.exec(select(VoteRow)))


def refused(office: Office, number: str, error: type[DeskError], match: str = ".", **how: Any) -> None:
    """A vote that is refused and leaves everything as it was."""
    before = (office.application(number).version, office.said(number), len(votes(office)))
    with office.work() as session:
        application = applications.get_application(session, number)
        made: dict[str, Any] = {
            "actor": people.APPROVER,
            "choice": Choice.APPROVE,
            "comment": "Because.",
            "seen_revision": application.revision,
            "seen_version": application.version,
            **how,
        }
        with pytest.raises(error, match=match):
            decisions.vote(session, made.pop("actor"), office.desk, application, made.pop("choice"), **made, now=NOW)
    assert (office.application(number).version, office.said(number), len(votes(office))) == before


def test_the_vote_that_meets_every_requirement_approves_and_owes_the_signature(office: Office) -> None:
    number = office.submitted()
    decision = office.vote(number, comment=" Fine. ")
    assert decision.outcome is Outcome.APPROVED
    assert office.status(number) == "approved"
    assert office.said(number)[-2:] == ["application.approval_recorded", "application.approved"]
    assert ("approved", "Lin Mei") in office.letters(number)
    assert len(office.jobs(number, Job.SIGN)) == 1
    (row,) = votes(office)
    assert (row.choice, row.comment, row.revision, row.groups) == ("approve", "Fine.", 1, "approvers")
    recorded = office.history(number)[-2]
    assert row.event_hash == recorded.hash, "the vote is tied to its line in the history"


def test_while_a_requirement_is_open_the_application_waits(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        session.exec(select(RequirementRow)).one().count = 2
    assert office.vote(number).outcome is Outcome.PENDING
    assert (office.status(number), office.jobs(number, Job.SIGN)) == ("submitted", [])
    assert office.vote(number, actor=people.LEAD).outcome is Outcome.APPROVED
    assert office.said(number).count("application.approved") == 1
    assert len(office.jobs(number, Job.SIGN)) == 1


@pytest.mark.parametrize(
    ("choice", "status", "letter"),
    [
        (Choice.REQUEST_CHANGES, "changes_requested", "changes_requested"),
        (Choice.REJECT, "rejected", "rejected"),
    ],
)
def test_a_no_goes_back_to_the_liaison_with_its_reason(office: Office, choice: Choice, status: str, letter: str) -> None:
    number = office.submitted()
    assert office.vote(number, choice, comment="Ask for 100 agents.").outcome == status
    assert office.status(number) == status
    last = office.history(number)[-1]
    assert (last.type, last.actor_name) == (f"application.{status}", "Daniel Osei")
    assert "Ask for 100 agents." in last.payload
    assert (letter, "Lin Mei") in office.letters(number)
    assert office.jobs(number, Job.SIGN) == []


@pytest.mark.parametrize("choice", [Choice.REQUEST_CHANGES, Choice.REJECT])
def test_a_no_needs_a_reason(office: Office, choice: Choice) -> None:
    number = office.submitted()
    refused(office, number, CommentMissing, "Say why", choice=choice, comment="  \n ")
    refused(office, number, CommentMissing, "2,000 characters", choice=choice, comment="x" * 2_001)


def test_a_yes_needs_no_reason(office: Office) -> None:
    number = office.submitted()
    assert office.vote(number, comment="").outcome is Outcome.APPROVED


@pytest.mark.parametrize("choice", Choice)
def test_nobody_decides_on_what_they_submitted(office: Office, choice: Choice) -> None:
    """A liaison who is an approver, too."""
    number = office.submitted()
    both = Actor(people.LIAISON.name, people.LIAISON.person_id, frozenset({Role.LIAISON, Role.APPROVER}))
    with office.work() as session:
        session.add(RoleGrant(person=people.id_of(both), role=Role.APPROVER.value, granted_at=people.HIRED))
    refused(office, number, SelfApproval, "another approver decides", actor=both, choice=choice)


def test_who_edited_an_earlier_revision_decides_on_none(office: Office) -> None:
    """The application changed hands: its first author must not approve the second revision either."""
    number = office.submitted()
    with office.work() as session:
        applications.get_application(session, number).owner = people.id_of(people.LEAD)
        session.add(RoleGrant(person=people.id_of(people.LIAISON), role=Role.APPROVER.value, granted_at=people.HIRED))
    office.submit(number, Actor(people.LEAD.name, people.LEAD.person_id, frozenset({Role.LIAISON})))
    first_author = Actor(people.LIAISON.name, people.LIAISON.person_id, frozenset({Role.APPROVER}))
    refused(office, number, SelfApproval, actor=first_author)


@pytest.mark.parametrize(
    "actor", [each for each in people.EVERYBODY if each not in people.APPROVERS], ids=lambda each: each.name
)
def test_only_approvers_decide(office: Office, actor: Actor) -> None:
    refused(office, office.submitted(), MissingRole, "approver", actor=actor)


def test_a_role_that_ended_since_the_page_was_opened_counts_no_more(office: Office) -> None:
    """The session still says approver; the database does not."""
    number = office.submitted()
    with office.work() as session:
        session.exec(select(RoleGrant).where(RoleGrant.person == people.APPROVER.person_id)).one().revoked_at = NOW
    refused(office, number, NotEligible, "decided by approvers")


def test_a_page_older_than_the_last_change_is_refused_with_who_was_quicker(office: Office) -> None:
    number = office.submitted()
    seen = office.application(number).version
    office.vote(number, Choice.REQUEST_CHANGES, actor=people.SECURITY)
    refused(
        office,
        number,
        AlreadyMoved,
        r"Aisha Rahman sent it back on 2 Nov 2026 at 09:00 UTC, after you opened this page\.",
        seen_version=seen,
    )


def test_a_revision_nobody_read_is_not_approved(office: Office) -> None:
    number = office.submitted()
    office.submit(number)
    refused(office, number, StaleRevision, "You read revision 1, but revision 2 has replaced it", seen_revision=1)


def test_one_person_decides_once_on_a_revision(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        session.exec(select(RequirementRow)).one().count = 2
    office.vote(number)
    refused(office, number, VotedAlready, "Your first decision stands")
    refused(office, number, VotedAlready, choice=Choice.REJECT)


def test_the_same_person_decides_again_on_the_next_revision(office: Office) -> None:
    number = office.submitted()
    office.vote(number, Choice.REQUEST_CHANGES)
    office.submit(number)
    assert office.vote(number).outcome is Outcome.APPROVED
    assert [(row.revision, row.choice) for row in votes(office)] == [(1, "request_changes"), (2, "approve")]


def test_an_approval_of_the_revision_before_does_not_count_for_the_next(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        session.exec(select(RequirementRow)).one().count = 2
    office.vote(number)
    with office.work() as session:
        application = applications.get_application(session, number)
        applying.save_draft(session, people.LIAISON, answers(limits__users=9_000), NOW, application=application)
    office.submit(number)
    with office.work() as session:
        session.exec(select(RequirementRow).where(RequirementRow.revision == 2)).one().count = 2
    assert office.vote(number, actor=people.LEAD).outcome is Outcome.PENDING
    assert office.status(number) == "submitted"


# Taking an approval back


def take_back(office: Office, number: str, actor: Actor = people.APPROVER, comment: str = "Wrong tenant.") -> None:
    with office.work() as session:
        application = applications.get_application(session, number)
        decisions.rescind(session, actor, application, application.version, comment, NOW)


def test_an_approval_can_be_taken_back_until_the_license_is_issued(office: Office) -> None:
    number = office.approved()
    take_back(office, number)
    assert office.status(number) == "changes_requested"
    last = office.history(number)[-1]
    assert (last.type, last.payload) == ("application.approval_rescinded", '{"comment":"Wrong tenant."}')


@pytest.mark.parametrize("actor", [people.APPROVER, people.OPERATOR], ids=lambda each: each.name)
def test_who_approved_and_operators_can_take_it_back(office: Office, actor: Actor) -> None:
    number = office.approved()
    take_back(office, number, actor)
    assert office.status(number) == "changes_requested"


@pytest.mark.parametrize(
    "actor", [people.LEAD, people.LIAISON, people.AUDITOR, people.ADMINISTRATOR, people.STRANGER], ids=lambda each: each.name
)
def test_nobody_takes_back_what_another_approved(office: Office, actor: Actor) -> None:
    number = office.approved()
    with pytest.raises(NotYourApproval, match="Only the approvers who approved"):
        take_back(office, number, actor)
    assert office.status(number) == "approved"


def test_taking_back_needs_a_reason(office: Office) -> None:
    number = office.approved()
    with pytest.raises(CommentMissing):
        take_back(office, number, comment=" ")
    assert office.status(number) == "approved"


def test_after_it_was_issued_no_approval_is_taken_back(office: Office) -> None:
    number = office.issued()
    with pytest.raises(IllegalMove):
        take_back(office, number)


def test_the_liaison_is_told_that_an_approval_was_taken_back(office: Office) -> None:
    number = office.approved()
    take_back(office, number)
    assert ("changes_requested", "Lin Mei") in office.letters(number)
