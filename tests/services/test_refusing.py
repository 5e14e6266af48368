"""Votes that do not count: refused, told in the history once, and in nobody's way."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlmodel import select

from tests import people
from tests.builders import NOW, Office, answers
from workflow.db.queries import applications
from workflow.db.tables import Application, RequirementRow, RoleGrant, VoteRow
from workflow.domain.approvals import Choice, CommentMissing, Outcome
from workflow.domain.roles import Actor, Role
from workflow.errors import DeskError
from workflow.services import applications as applying
from workflow.services import decisions, delegations, refusals
from workflow.web.desk.shown.activity import REFUSED_BECAUSE, entries

TRIED = "application.vote_refused"
Change = Callable[[Office, str], dict[str, Any]]
"""Brings an application where a vote is refused; returns how it is tried."""


def attempt(
    office: Office,
    number: str,
    actor: Actor = people.APPROVER,
    choice: Choice = Choice.APPROVE,
    comment: str = "Because.",
    seen: Application | None = None,
    on_behalf_of: Any = None,
) -> str:
    """Tries to vote as a page does; returns the code of the refusal."""
    seen = seen or office.application(number)
    with (
        pytest.raises(DeskError) as refused,
        refusals.kept(office.engine, actor, number, choice, seen.revision, on_behalf_of, NOW),
        office.work() as session,
    ):
        decisions.vote(
            session,
            actor,
            office.desk,
            applications.get_application(session, number),
            choice,
            comment=comment,
            seen_revision=seen.revision,
            seen_version=seen.version,
            now=NOW,
            on_behalf_of=on_behalf_of,
        )
    return refused.value.code


def two_needed(office: Office) -> None:
    with office.work() as session:
        for row in session.exec(select(RequirementRow)):
            row.count = 2


def make_approver(office: Office) -> None:
    with office.work() as session:
        session.add(RoleGrant(person=people.id_of(people.LIAISON), role=Role.APPROVER.value, granted_at=people.HIRED))


def replaced(office: Office, number: str) -> dict[str, Any]:
    seen = office.application(number)
    with office.work() as session:
        draft = applications.get_application(session, number)
        applying.save_draft(session, people.LIAISON, answers(limits__users=9_000), NOW, application=draft)
    office.submit(number)
    seen.version = office.application(number).version
    return {"seen": seen}


def own(office: Office, _number: str) -> dict[str, Any]:
    make_approver(office)
    return {"actor": Actor(people.LIAISON.name, people.LIAISON.person_id, frozenset({Role.APPROVER}))}


def delegate_of_one(office: Office, _number: str) -> dict[str, Any]:
    make_approver(office)
    liaison = people.id_of(people.LIAISON)
    with office.work() as session:
        delegations.delegate(
            session,
            people.OPERATOR,
            liaison,
            to="lead@serviceme.example",
            first_day=date(2026, 11, 2),
            last_day=date(2026, 11, 9),
            reason="On leave.",
            now=NOW,
        )
    return {"actor": people.LEAD, "on_behalf_of": liaison}


def twice(office: Office, number: str) -> dict[str, Any]:
    two_needed(office)
    office.vote(number)
    return {}


def decided(office: Office, number: str) -> dict[str, Any]:
    office.vote(number, Choice.REJECT)
    return {"actor": people.LEAD}


def quicker(office: Office, number: str) -> dict[str, Any]:
    seen = office.application(number)
    office.vote(number)
    return {"actor": people.LEAD, "seen": seen}


def no_delegate(_office: Office, _number: str) -> dict[str, Any]:
    return {"actor": people.LEAD, "on_behalf_of": people.id_of(people.SECURITY)}


@pytest.mark.parametrize(
    ("change", "code", "because"),
    [
        (replaced, "approvals.stale_revision", "it was about a revision that had been replaced"),
        (own, "approvals.self_approval", "whoever submitted or edited an application never decides on it"),
        (delegate_of_one, "approvals.self_approval", "nor does who acts for them"),
        (twice, "approvals.voted_already", "they had decided already"),
        (decided, "application.illegal_move", "it did not wait for a decision"),
        (quicker, "application.already_moved", "somebody else was quicker"),
        (no_delegate, "delegations.not_theirs", "they did not act for this colleague"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_refused_vote_is_told_once_and_moves_nothing(office: Office, change: Change, code: str, because: str) -> None:
    number = office.submitted()
    how = change(office, number)
    before = office.application(number)
    assert [attempt(office, number, **how) for _ in range(3)] == [code] * 3
    after = office.application(number)
    assert (after.status, after.version) == (before.status, before.version), "nobody's page is out of date through it"
    assert office.said(number).count(TRIED) == 1, "the chain holds, and does not grow with every try"
    told = entries(office.history(number))[-1].title
    actor = how.get("actor", people.APPROVER)
    assert told.startswith(actor.name)
    assert because in told


def test_each_person_reason_and_revision_is_told_of(office: Office) -> None:
    number = office.submitted()
    two_needed(office)
    office.vote(number)
    office.vote(number, actor=people.LEAD)
    for actor in (people.APPROVER, people.LEAD, people.SECURITY, people.SECURITY):
        attempt(office, number, actor)
    assert office.said(number).count(TRIED) == 3


def test_who_was_refused_for_a_colleague_is_told_as_such(office: Office) -> None:
    number = office.submitted()
    attempt(office, number, people.LEAD, on_behalf_of=people.id_of(people.SECURITY))
    assert entries(office.history(number))[-1].title.startswith("Tomas Varga for Aisha Rahman tried to approve")


def test_a_form_that_was_not_filled_in_is_no_refused_vote(office: Office) -> None:
    number = office.submitted()
    assert attempt(office, number, choice=Choice.REJECT, comment=" ") == CommentMissing.code
    assert TRIED not in office.said(number)


def test_refused_votes_are_in_the_way_of_neither_the_decision_nor_the_signature(office: Office) -> None:
    number = office.submitted()
    two_needed(office)
    office.vote(number)
    attempt(office, number)
    assert office.vote(number, actor=people.LEAD).outcome is Outcome.APPROVED
    attempt(office, number, people.SECURITY)
    assert office.said(number)[-1] == TRIED
    assert office.sign(number).version == 1
    with office.work() as session:
        assert len(session.exec(select(VoteRow)).all()) == 2


def test_every_refusal_has_its_reason_in_words() -> None:
    codes = {each.code for each in refusals.REFUSALS}
    assert codes - {"stale"} <= set(REFUSED_BECAUSE), "and what an If-Match is refused with has a code of its own"
    assert "application.version_moved" in REFUSED_BECAUSE
