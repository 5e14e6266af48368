"""What happens when nobody decides in time: reminders, one more group, and never an approval."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from tests import people
from tests.builders import DESK, NOW, Office
from tests.domain.policy.written import LARGE, PROD, policy
from workflow.db.queries import applications
from workflow.db.queries import people as person_queries
from workflow.db.tables import EscalationRow, RequirementRow
from workflow.domain.approvals import Choice, Outcome
from workflow.domain.events import ASKING
from workflow.services import applications as applying
from workflow.services import escalations

DAY = timedelta(days=1)
SMALL = {"limits__users": 100, "limits__agents": 10}


@pytest.fixture
def strict(office: Office) -> Office:
    """Submitted on a Monday at 17:00 in Shanghai: a reminder on Tuesday, an answer due on Wednesday, the leads on Thursday."""
    return replace(office, desk=replace(DESK, policy=policy(PROD, LARGE)))


def scan(office: Office, now: datetime) -> None:
    looked_at = 1
    while looked_at:
        with office.work() as session:
            looked_at = escalations.take_due(session, office.desk, now, 1)


def asked(office: Office) -> list[str]:
    with office.work() as session:
        return sorted(row.group_name for row in session.exec(select(RequirementRow)))


def told(office: Office, number: str) -> list[str]:
    """Whom letters ask for a decision, however they are worded."""
    return sorted(name for letter, name in office.letters(number) if letter in ASKING)


def test_who_is_asked_is_reminded_and_then_one_more_group_is_asked(strict: Office) -> None:
    number = strict.submitted(**SMALL)
    everybody = ["Aisha Rahman", "Daniel Osei", "Tomas Varga"]
    scan(strict, NOW + DAY - timedelta(seconds=1))
    assert told(strict, number) == everybody
    scan(strict, NOW + DAY)
    scan(strict, NOW + DAY)
    assert told(strict, number) == sorted(everybody * 2), "once each, however often the scan runs"
    scan(strict, NOW + 3 * DAY)
    assert [each for each in strict.said(number) if "reminded" in each or "escalated" in each] == [
        "application.approval_reminded",
        "application.approval_reminded",
        "application.approval_escalated",
    ]
    assert asked(strict) == ["approvers", "leads", "security"]
    assert told(strict, number).count("Tomas Varga") == 4
    assert strict.status(number) == "submitted", "time that runs out approves nothing"


def test_what_is_asked_besides_has_to_be_met(strict: Office) -> None:
    number = strict.submitted(**SMALL)
    scan(strict, NOW + 3 * DAY)
    later = replace(strict, now=NOW + 3 * DAY)
    assert later.vote(number).outcome is Outcome.PENDING
    assert later.vote(number, actor=people.SECURITY).outcome is Outcome.PENDING
    assert later.vote(number, actor=people.LEAD).outcome is Outcome.APPROVED
    later.sign(number)


def test_only_those_whose_approval_is_missing_are_reminded(strict: Office) -> None:
    number = strict.submitted(**SMALL)
    strict.vote(number, actor=people.LEAD)
    before = told(strict, number)
    scan(strict, NOW + DAY)
    assert told(strict, number) == sorted([*before, "Aisha Rahman"]), "security is what is missing"


@pytest.mark.parametrize("choice", [Choice.REQUEST_CHANGES, Choice.REJECT])
def test_nothing_happens_to_what_was_decided(strict: Office, choice: Choice) -> None:
    number = strict.submitted(**SMALL)
    strict.vote(number, choice)
    said, letters = strict.said(number), strict.letters(number)
    scan(strict, NOW + 30 * DAY)
    assert (strict.said(number), strict.letters(number)) == (said, letters)
    with strict.work() as session:
        assert all(row.taken_at for row in session.exec(select(EscalationRow)))


def test_a_revision_starts_the_time_anew(strict: Office) -> None:
    number = strict.submitted(**SMALL)
    later = replace(strict, now=NOW + DAY - timedelta(hours=1))
    later.submit(number)
    scan(later, NOW + DAY)
    assert "application.approval_reminded" not in strict.said(number)
    scan(later, NOW + 2 * DAY)
    assert "application.approval_reminded" in strict.said(number)


def test_a_group_of_which_nobody_can_decide_is_not_added_and_raises_attention(strict: Office) -> None:
    number = strict.submitted(**SMALL)
    with strict.work() as session:
        person_queries.get_person(session, people.id_of(people.LEAD)).disabled_at = NOW
    scan(strict, NOW + 3 * DAY)
    assert asked(strict) == ["approvers", "security"]
    assert "nobody of leads can decide" in (strict.application(number).attention or "")


def test_who_read_the_application_before_a_group_was_added_reads_it_again(strict: Office) -> None:
    number = strict.submitted(**SMALL)
    seen = strict.application(number).version
    scan(strict, NOW + 3 * DAY)
    assert strict.application(number).version == seen + 1
    with strict.work() as session:
        application = applications.get_application(session, number)
        applying.withdraw(session, people.LIAISON, application, seen + 1, "", NOW + 3 * DAY)
    assert strict.status(number) == "withdrawn"
