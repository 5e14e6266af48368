"""Out of office: who may act for whom, and what a vote "B for A" counts as."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlmodel import select

from tests import people
from tests.builders import DESK, NOW, Office
from tests.domain.policy.written import FOUR, policy
from workflow.db.queries import applications
from workflow.db.tables import DelegationRow, RoleGrant, VoteRow
from workflow.domain.approvals import NotEligible, Outcome, SelfApproval, VotedAlready
from workflow.domain.roles import Actor, Role
from workflow.services import decisions, delegations
from workflow.services.delegations import AwayAlready, DelegationRefused, NotTheirDelegate, NotYourDelegation
from workflow.services.issuing import NotApproved
from workflow.web.desk.shown.activity import entries

SECURITY, LEAD, APPROVER = (people.id_of(each) for each in (people.SECURITY, people.LEAD, people.APPROVER))
DAY = date(2026, 11, 2)


@pytest.fixture
def strict(office: Office) -> Office:
    """PROD needs one approver and one of security, two different people."""
    return replace(office, desk=replace(DESK, policy=policy(*FOUR)))


def away(
    office: Office,
    giver: UUID = SECURITY,
    to: str = "lead@serviceme.example",
    actor: Actor = people.SECURITY,
    first: date = DAY,
    last: date = DAY + timedelta(days=9),
    reason: str = "On leave.",
) -> UUID:
    with office.work() as session:
        return delegations.delegate(
            session, actor, giver, to=to, first_day=first, last_day=last, reason=reason, now=office.now
        ).id


def prod(office: Office) -> str:
    return office.submitted(limits__users=100, limits__agents=10)


def test_a_vote_for_a_colleague_counts_with_their_groups_and_is_told_as_theirs(strict: Office) -> None:
    away(strict)
    number = prod(strict)
    assert strict.vote(number).outcome is Outcome.PENDING
    assert strict.vote(number, actor=people.LEAD, on_behalf_of=SECURITY).outcome is Outcome.APPROVED
    told = [each.title for each in entries(strict.history(number))]
    assert "Approved by Tomas Varga for Aisha Rahman" in told
    with strict.work() as session:
        application = applications.get_application(session, number)
        decision = decisions.where_it_stands(session, strict.desk.policy, application)
        assert set(delegations.names_of_voters(session, decision).values()) == {"Daniel Osei", "Tomas Varga for Aisha Rahman"}
        assert delegations.voters(session, application) == ("Daniel Osei", "Tomas Varga for Aisha Rahman")
        strict.claims_to_sign(session, application.number)


def test_one_person_with_two_rights_is_one_person(strict: Office) -> None:
    """The approver also acts for security: one vote each person, whichever right is used."""
    away(strict, to="daniel.osei@serviceme.example")
    number = prod(strict)
    assert strict.vote(number, on_behalf_of=SECURITY).outcome is Outcome.PENDING
    with pytest.raises(VotedAlready):
        strict.vote(number)


def test_who_is_away_and_who_acts_for_them_are_one_approval(strict: Office) -> None:
    away(strict)
    number = prod(strict)
    strict.vote(number, actor=people.SECURITY)
    assert strict.vote(number, actor=people.LEAD, on_behalf_of=SECURITY).outcome is Outcome.PENDING


def test_nobody_acts_for_whom_they_were_not_asked_by_nor_before_nor_after_the_days(strict: Office) -> None:
    number = prod(strict)
    with pytest.raises(NotTheirDelegate):
        strict.vote(number, actor=people.LEAD, on_behalf_of=SECURITY)
    away(strict, first=DAY + timedelta(days=1), last=DAY + timedelta(days=1))
    for days, allowed in ((0, False), (1, True), (2, False)):
        strict.now = NOW.replace(hour=12) + timedelta(days=days)
        if allowed:
            strict.vote(number, actor=people.LEAD, on_behalf_of=SECURITY)
        else:
            with pytest.raises(NotTheirDelegate):
                strict.vote(number, actor=people.LEAD, on_behalf_of=SECURITY)


def test_nothing_is_passed_on(strict: Office) -> None:
    """Security asked the lead, the lead asked the approver: the approver does not act for security."""
    away(strict)
    away(strict, LEAD, "daniel.osei@serviceme.example", people.LEAD)
    number = prod(strict)
    with pytest.raises(NotTheirDelegate):
        strict.vote(number, on_behalf_of=SECURITY)
    strict.vote(number, on_behalf_of=LEAD)
    with strict.work() as session:
        row = session.exec(select(VoteRow)).one()
        assert row.groups == "approvers,leads"


def test_who_acts_for_a_contributor_decides_nothing_for_them(strict: Office) -> None:
    with strict.work() as session:
        session.add(RoleGrant(person=people.id_of(people.LIAISON), role=Role.APPROVER.value, granted_at=people.HIRED))
    away(strict, people.id_of(people.LIAISON), actor=people.LIAISON)
    number = prod(strict)
    with pytest.raises(SelfApproval, match="The person you act for"):
        strict.vote(number, actor=people.LEAD, on_behalf_of=people.id_of(people.LIAISON))


def test_a_delegate_who_became_an_approver_after_the_submission_does_not_count(strict: Office) -> None:
    number = prod(strict)
    with strict.work() as session:
        grant = session.exec(select(RoleGrant).where(RoleGrant.person == LEAD)).one()
        grant.granted_at = NOW + timedelta(minutes=1)
    strict.now = NOW + timedelta(minutes=2)
    away(strict)
    with pytest.raises(NotEligible):
        strict.vote(number, actor=people.LEAD, on_behalf_of=SECURITY)


def test_a_vote_is_not_signed_when_it_was_made_one_for_a_colleague_by_hand(strict: Office) -> None:
    away(strict)
    number = prod(strict)
    strict.vote(number)
    strict.vote(number, actor=people.LEAD, on_behalf_of=SECURITY)
    with strict.work() as session:
        session.exec(select(VoteRow).where(VoteRow.person == APPROVER)).one().on_behalf_of = LEAD
        session.add(
            DelegationRow(
                giver=LEAD, delegate=APPROVER, reason="x", created_at=NOW, starts_at=NOW, ends_at=NOW + timedelta(days=1)
            )
        )
    with strict.work() as session, pytest.raises(NotApproved, match="does not tell"):
        strict.claims_to_sign(session, number)


def test_a_delegation_ends_early_by_its_giver_or_an_operator_and_votes_stand(strict: Office) -> None:
    number = prod(strict)
    first = away(strict)
    strict.vote(number, actor=people.LEAD, on_behalf_of=SECURITY)
    strict.now = NOW + timedelta(hours=1)
    with strict.work() as session, pytest.raises(NotYourDelegation):
        delegations.end(session, people.LEAD, first, strict.now)
    with strict.work() as session:
        delegations.end(session, people.SECURITY, first, strict.now)
    other = prod(strict)
    with pytest.raises(NotTheirDelegate):
        strict.vote(other, actor=people.LEAD, on_behalf_of=SECURITY)
    second = away(strict)
    with strict.work() as session:
        delegations.end(session, people.OPERATOR, second, strict.now)
    assert strict.vote(number).outcome is Outcome.APPROVED
    with strict.work() as session:
        application = applications.get_application(session, number)
        assert decisions.where_it_stands(session, strict.desk.policy, application).outcome is Outcome.APPROVED
    assert [each for each in ("delegation.given", "delegation.ended") if any(each in said for said in strict.system_facts())]


def test_who_acts_for_somebody_is_written_to_as_well(strict: Office) -> None:
    away(strict)
    with strict.work() as session:
        grant = session.exec(select(RoleGrant).where(RoleGrant.person == people.OPERATOR.person_id)).one()
        session.add(RoleGrant(person=grant.person, role=Role.APPROVER.value, granted_at=people.HIRED))
        session.exec(select(DelegationRow)).one().delegate = people.id_of(people.OPERATOR)
    number = strict.submitted(environment="UAT", limits__users=501)
    assert ("approval_requested", "Omar Reyes") in strict.letters(number)


@pytest.mark.parametrize(
    ("how", "fields"),
    [
        ({"to": "nobody@serviceme.example"}, ["to"]),
        ({"to": "omar.reyes@serviceme.example"}, ["to"]),
        ({"to": "security@serviceme.example"}, ["to"]),
        ({"first": DAY - timedelta(days=1)}, ["first_day"]),
        ({"last": DAY - timedelta(days=1)}, ["last_day"]),
        ({"last": DAY + timedelta(days=90)}, ["last_day"]),
        ({"reason": "  "}, ["reason"]),
        ({"giver": people.id_of(people.LIAISON), "actor": people.OPERATOR}, ["giver"]),
    ],
)
def test_what_does_not_fit_is_refused_by_field(office: Office, how: dict[str, object], fields: list[str]) -> None:
    with pytest.raises(DelegationRefused) as refused:
        away(office, **how)  # type: ignore[arg-type]  # a table of arguments
    assert [each.field for each in refused.value.problems] == fields


def test_one_colleague_at_a_time_and_nobody_gives_in_anothers_name(office: Office) -> None:
    away(office)
    with pytest.raises(AwayAlready, match="Tomas Varga acts for Aisha Rahman"):
        away(office, to="daniel.osei@serviceme.example", first=DAY + timedelta(days=9), last=DAY + timedelta(days=12))
    with pytest.raises(NotYourDelegation):
        away(office, actor=people.APPROVER)
    away(office, first=DAY + timedelta(days=10), last=DAY + timedelta(days=12))
