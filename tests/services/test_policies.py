"""The approval policy at work: who is asked, who can decide, what the signing worker makes of it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from tests import people
from tests.builders import DESK, NOW, YU, Office, answers
from tests.domain.policy.written import FOUR, HEAD, LARGE, PROD, WIDER, policy
from workflow.db import outbox
from workflow.db.queries import applications, overview
from workflow.db.queries import people as person_queries
from workflow.db.queries import policies as kept
from workflow.db.tables import DelegationRow, EventRow, RequirementRow, Revision, RoleGrant, VoteRow
from workflow.domain.approvals import Choice, NotEligible, Outcome, VotedAlready
from workflow.domain.events import ApplicationApproved, Job
from workflow.domain.policy import Policy, PolicyBroken
from workflow.domain.roles import Actor, Role
from workflow.errors import Misconfigured
from workflow.services import accounts, decisions, policies
from workflow.services import applications as applying
from workflow.services.desk import desk_from
from workflow.services.issuing import ContentChanged, NotApproved
from workflow.services.policies import NobodyCanApprove, PolicyUnreadable
from workflow.settings import Database

TWO_PEOPLE = policy(*FOUR)
SECURITY_ONLY = PROD.replace('{ group = "approvers", count = 1 }, ', "").replace("distinct = 2\n", "")
SMALL = {"environment": "DEV", "limits__users": 5, "limits__agents": 5, "validity__last_day": "2026-12-31"}


@pytest.fixture
def strict(office: Office) -> Office:
    """The office under the policy of four rules."""
    return under(office, TWO_PEOPLE)


def under(office: Office, rules: Policy) -> Office:
    return replace(office, desk=replace(DESK, policy=rules))


def requirements(office: Office, number: str) -> list[tuple[int, str, str, int]]:
    with office.work() as session:
        application = applications.get_application(session, number)
        rows = session.exec(select(RequirementRow).where(RequirementRow.application == application.id))
        return sorted((row.revision, row.rule, row.group_name, row.count) for row in rows)


def waiting(office: Office, colleague: people.Colleague) -> list[str]:
    with office.work() as session:
        groups = office.desk.policy.groups_of(colleague.email, colleague.actor.roles)
        found = [each.application.number for each in applications.waiting_for(session, colleague.actor, groups)]
        assert len(found) == overview.count_waiting_for(session, people.id_of(colleague.actor), groups)
        return found


def colleague(actor: Actor) -> people.Colleague:
    return next(each for each in people.STAFF if each.actor == actor)


# At submission


def test_what_the_policy_asks_is_kept_with_the_revision(strict: Office) -> None:
    number = strict.submitted(limits__users=800)
    assert requirements(strict, number) == [
        (1, "large", "leads", 1),
        (1, "prod", "approvers", 1),
        (1, "prod", "security", 1),
    ]
    with strict.work() as session:
        revision = session.exec(select(Revision)).one()
    assert (revision.policy_sha256, revision.distinct_people, revision.automatic) == (TWO_PEOPLE.sha256, 2, False)
    assert TWO_PEOPLE.sha256 in strict.history(number)[-1].payload


def test_an_answer_is_due_in_business_time(office: Office) -> None:
    """Submitted on Monday 2 November at 17:00 in Shanghai; two business days are Wednesday at 17:00. The other policy: four
    hours, of which one is left on Monday."""
    for rules, due in ((policy(PROD), "2026-11-04T09:00"), (policy(PROD, LARGE), "2026-11-03T04:00")):
        number = under(office, rules).submitted(limits__users=800)
        with office.work() as session:
            application = applications.get_application(session, number)
            revision = applications.current_revision(session, application)
        assert revision is not None
        assert revision.due_at is not None
        assert revision.due_at.isoformat().startswith(due)


def test_those_who_can_decide_are_written_to_and_nobody_else(strict: Office) -> None:
    number = strict.submitted(environment="UAT")
    assert {name for letter, name in strict.letters(number) if letter == "approval_requested"} == {
        "Daniel Osei",
        "Aisha Rahman",
        "Tomas Varga",
    }
    only_security = under(strict, policy(SECURITY_ONLY))
    asked = only_security.submitted()
    assert strict.letters(asked) == [("approval_requested", "Aisha Rahman")]


def test_a_withdrawal_is_told_to_those_who_were_asked(office: Office) -> None:
    one = under(office, policy(SECURITY_ONLY))
    number = one.submitted()
    with office.work() as session:
        application = applications.get_application(session, number)
        applying.withdraw(session, people.LIAISON, application, application.version, "", NOW)
    assert ("withdrawn", "Aisha Rahman") in office.letters(number)
    assert ("withdrawn", "Daniel Osei") not in office.letters(number)


def test_the_queue_shows_what_asks_for_ones_own_group(strict: Office) -> None:
    small_one, large_one = strict.submitted(environment="UAT", limits__users=10, limits__agents=5), strict.submitted()
    assert waiting(strict, colleague(people.LEAD)) == [small_one, large_one]
    office = under(strict, policy(SECURITY_ONLY))
    number = office.submitted()
    assert number not in waiting(office, colleague(people.APPROVER))
    assert number in waiting(office, colleague(people.SECURITY))


def test_an_application_that_nobody_could_decide_on_is_not_submitted(strict: Office) -> None:
    draft = strict.draft()
    with strict.work() as session:
        session.exec(select(RoleGrant).where(RoleGrant.person == people.SECURITY.person_id)).one().revoked_at = NOW
    with pytest.raises(NobodyCanApprove, match=r"security needs 1 and has 0\. Your draft is kept"):
        strict.submit(draft)
    assert strict.status(draft) == "draft"
    assert requirements(strict, draft) == []


def test_the_author_is_not_counted_on_when_an_application_is_submitted(office: Office) -> None:
    """Two approvers are asked for and there are three; one of them wrote it, one left."""
    two = under(
        office, policy(PROD.replace('"approvers", count = 1 }, { group = "security", count = 1', '"approvers", count = 2'))
    )
    draft = two.draft()
    with two.work() as session:
        session.add(RoleGrant(person=people.id_of(people.LIAISON), role=Role.APPROVER.value, granted_at=people.HIRED))
        session.exec(select(RoleGrant).where(RoleGrant.person == people.LEAD.person_id)).one().revoked_at = NOW
    two.submit(draft)
    with two.work() as session:
        session.exec(select(RoleGrant).where(RoleGrant.person == people.SECURITY.person_id)).one().revoked_at = NOW
    with pytest.raises(NobodyCanApprove, match="approvers needs 2 and has 1"):
        two.submit(two.draft())


def test_what_needs_nobody_is_approved_at_once_and_signed(strict: Office) -> None:
    number = strict.submitted(**SMALL)
    assert strict.status(number) == "approved"
    assert [(row.type, row.actor_name) for row in strict.history(number)[-2:]] == [
        ("application.submitted", "Lin Mei"),
        ("application.approved", "approval policy"),
    ]
    assert strict.letters(number) == [("approved", "Lin Mei")]
    assert len(strict.jobs(number, Job.SIGN)) == 1
    assert strict.sign(number).version == 1


def test_more_than_the_license_in_force_is_told_from_no_more(office: Office) -> None:
    number = office.activated()
    wider = under(office, policy(WIDER))
    same = wider.submitted(request="renewal")
    more = wider.submitted(request="change", limits__agents=121)
    assert [rule for _, rule, _, _ in requirements(office, same)] == ["fallback"]
    assert [rule for _, rule, _, _ in requirements(office, more)] == ["wider"]
    assert office.status(number) == "activated"


# Deciding


def test_two_different_people_have_to_approve(strict: Office) -> None:
    number = strict.submitted(limits__users=100, limits__agents=10)
    first = strict.vote(number, actor=people.SECURITY)
    assert (first.outcome, first.missing) == (Outcome.PENDING, ()), "one person, both groups"
    assert first.still_needed == ("2 different people have to approve; 1 did.",)
    with pytest.raises(VotedAlready):
        strict.vote(number, actor=people.SECURITY)
    assert strict.vote(number, actor=people.LEAD).outcome is Outcome.APPROVED
    strict.sign(number)
    assert strict.status(number) == "issued"


def test_every_group_has_to_approve(strict: Office) -> None:
    number = strict.submitted(limits__users=800)
    assert strict.vote(number).outcome is Outcome.PENDING
    assert strict.vote(number, actor=people.LEAD).outcome is Outcome.PENDING
    assert strict.vote(number, actor=people.SECURITY).outcome is Outcome.APPROVED


def test_somebody_of_no_group_that_is_asked_does_not_decide(office: Office) -> None:
    leads = under(office, policy(LARGE))
    number = leads.submitted()
    for choice in Choice:
        with pytest.raises(NotEligible, match="decided by leads"):
            leads.vote(number, choice, actor=people.SECURITY)
    assert leads.vote(number, actor=people.LEAD).outcome is Outcome.APPROVED


def test_being_listed_in_the_policy_makes_nobody_an_approver(office: Office) -> None:
    listed = under(office, policy(PROD, head=HEAD.replace("security@serviceme.example", "greta.holm@serviceme.example")))
    with pytest.raises(NobodyCanApprove, match="security needs 1 and has 0"):
        listed.submitted()


def test_a_role_granted_after_the_submission_does_not_count(office: Office) -> None:
    number = office.submitted()
    later = office.now + timedelta(hours=1)
    newcomer = people.Colleague("new@serviceme.example", replace(people.APPROVER, name="New Here", person_id=None))
    with office.work() as session:
        person = accounts.add_person(
            session, people.OPERATOR, email=newcomer.email, name="New Here", roles=[Role.APPROVER], password=None, now=later
        )
        actor = accounts.actor_of(session, person, later)
    voting = replace(office, now=later + timedelta(hours=1))
    with pytest.raises(NotEligible):
        voting.vote(number, actor=actor)
    assert number not in waiting(voting, people.Colleague(newcomer.email, actor))
    with voting.work() as session:
        application = applications.get_application(session, number)
        applying.submit(session, people.LIAISON, voting.desk, application, application.version, voting.now)
    assert number in waiting(voting, people.Colleague(newcomer.email, actor))
    assert voting.vote(number, actor=actor).outcome is Outcome.APPROVED


def test_a_role_given_back_after_it_was_taken_does_not_count_either(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        accounts.revoke_role(session, people.OPERATOR, people.id_of(people.APPROVER), Role.APPROVER, NOW)
        session.flush()
        accounts.grant_role(session, people.OPERATOR, people.id_of(people.APPROVER), Role.APPROVER, NOW + timedelta(seconds=1))
    with pytest.raises(NotEligible):
        replace(office, now=NOW + timedelta(hours=1)).vote(number)


# Signing


def refused_to_sign(office: Office, number: str, match: str) -> None:
    with office.work() as session, pytest.raises(NotApproved, match=match):
        office.claims_to_sign(session, number)


def test_the_signing_worker_counts_again_under_its_own_policy(office: Office) -> None:
    """The desk asked for one approver; the worker's file asks for security as well."""
    number = office.approved()
    refused_to_sign(under(office, TWO_PEOPLE), number, "come to pending.*one of security")
    office.sign(number)


def test_the_signing_worker_asks_for_what_the_desk_asked_for_too(strict: Office) -> None:
    number = strict.submitted(limits__users=100, limits__agents=10)
    strict.vote(number)
    by_hand(strict, number)
    refused_to_sign(replace(strict, desk=DESK), number, "come to pending")


def test_an_automatic_approval_is_not_signed_when_the_workers_own_policy_asks_for_somebody(strict: Office) -> None:
    number = strict.submitted(**SMALL)
    refused_to_sign(under(strict, policy(PROD)), number, "No rule applies: one of leads decides")


def test_requirements_deleted_by_hand_are_asked_for_all_the_same(strict: Office) -> None:
    number = strict.submitted(limits__users=100, limits__agents=10)
    strict.vote(number)
    with strict.work() as session:
        for row in session.exec(select(RequirementRow)):
            session.delete(row)
        revision = session.exec(select(Revision)).one()
        revision.distinct_people, revision.automatic = 1, True
    by_hand(strict, number)
    refused_to_sign(strict, number, "come to pending")


def test_a_vote_for_somebody_else_counts_with_that_persons_groups(strict: Office) -> None:
    number = strict.submitted(limits__users=100, limits__agents=10)
    strict.vote(number)
    with strict.work() as session:
        first = session.exec(select(VoteRow)).one()
        acting = VoteRow(**{**first.model_dump(exclude={"id"}), "person": people.LEAD.person_id})
        acting.on_behalf_of = people.SECURITY.person_id
        session.add(acting)
        giver, delegate = people.id_of(people.SECURITY), people.id_of(people.LEAD)
        until = NOW + timedelta(days=1)
        session.add(
            DelegationRow(giver=giver, delegate=delegate, reason="On leave", created_at=NOW, starts_at=NOW, ends_at=until)
        )
        session.flush()
        decision = decisions.where_it_stands(session, TWO_PEOPLE, applications.get_application(session, number))
    assert decision.outcome is Outcome.APPROVED


def by_hand(office: Office, number: str) -> None:
    with office.work() as session:
        applications.get_application(session, number).status = "approved"


# Files, staff, history


def test_a_desk_without_a_file_of_its_own_asks_for_one_approver_everywhere(office: Office) -> None:
    for environment in ("DEV", "UAT", "PROD"):
        number = office.submitted(environment=environment)
        assert [(rule, group, count) for _, rule, group, count in requirements(office, number)] == [
            ("one-approver", "approvers", 1)
        ]
        assert office.vote(number).outcome is Outcome.APPROVED


def test_a_broken_file_stops_the_start_with_file_line_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(HEAD + PROD.replace('"security", count', '"securty", count'), encoding="utf-8")
    line = HEAD.count("\n") + 6
    with pytest.raises(PolicyBroken, match=rf"{path}, line {line}: group names 'securty'"):
        desk_from(Database(policy_file=path))
    path.write_text(HEAD + PROD, encoding="utf-8")
    running = desk_from(Database(policy_file=path))
    path.write_text("[[rule]", encoding="utf-8")
    assert running.policy.sha256 == policy(PROD).sha256, "what runs keeps the good one"
    with pytest.raises(PolicyBroken, match="is not TOML"):
        desk_from(Database(policy_file=path))


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(PolicyUnreadable, match="nowhere"):
        desk_from(Database(policy_file=tmp_path / "nowhere.toml"))
    (tmp_path / "latin.toml").write_bytes(b'text = "M\xfcller"\n')
    with pytest.raises(PolicyUnreadable, match="cannot be read"):
        desk_from(Database(policy_file=tmp_path / "latin.toml"))
    (tmp_path / "large.toml").write_bytes(b"#" * 300_000)
    with pytest.raises(Misconfigured, match="larger than 256 KiB"):
        desk_from(Database(policy_file=tmp_path / "large.toml"))


def test_a_group_that_lost_its_last_member_is_a_gap_and_stops_nothing(strict: Office) -> None:
    with strict.work() as session:
        assert policies.staffing_gaps(session, strict.desk.policy, NOW) == ()
        person_queries.get_person(session, people.id_of(people.SECURITY)).disabled_at = NOW
    with strict.work() as session:
        (gap,) = policies.staffing_gaps(session, strict.desk.policy, NOW)
    assert (gap.rule, gap.missing) == ("prod", "security needs 1 and has 0")
    assert strict.submitted(environment="UAT", limits__users=10, limits__agents=5)


def test_a_policy_is_kept_once_and_its_adoption_is_in_the_history(strict: Office) -> None:
    strict.submitted()
    strict.submitted(environment="UAT")
    with strict.work() as session:
        row = kept.find(session, TWO_PEOPLE.sha256)
        adopted = [each for each in session.exec(select(EventRow)) if "policy.adopted" in each.payload]
    assert row is not None
    assert '"id":"prod"' in row.document
    assert len(adopted) == 1
    assert TWO_PEOPLE.sha256 in adopted[0].payload


def test_a_revision_is_asked_about_anew(strict: Office) -> None:
    number = strict.submitted(limits__users=100, limits__agents=10)
    with strict.work() as session:
        application = applications.get_application(session, number)
        applying.save_draft(session, people.LIAISON, answers(limits__users=900), NOW, application=application)
    strict.submit(number)
    assert [(revision, group) for revision, _, group, _ in requirements(strict, number)] == [
        (1, "approvers"),
        (1, "security"),
        (2, "leads"),
        (2, "approvers"),
        (2, "security"),
    ]


# Revisions of what waits


def revised(office: Office, number: str, **changes: object) -> None:
    with office.work() as session:
        application = applications.get_application(session, number)
        applying.save_draft(session, people.LIAISON, answers(**changes), NOW, application=application)
    office.submit(number)


SOME = {"limits__users": 100, "limits__agents": 10}


def test_a_changed_note_leaves_approvals_standing(strict: Office) -> None:
    number = strict.submitted(**SOME)
    strict.vote(number)
    revised(strict, number, **SOME, note="Order PO-88213, see the contract.")
    revised(strict, number, **SOME, note="Order PO-88213, see both contracts.")
    assert waiting(strict, colleague(people.APPROVER)) == [], "their word stands"
    with pytest.raises(VotedAlready):
        strict.vote(number)
    assert strict.vote(number, actor=people.SECURITY).outcome is Outcome.APPROVED
    assert strict.sign(number).version == 1


@pytest.mark.parametrize(
    "change",
    [{"limits__users": 101}, {"recipients": [YU]}, {"contract_reference": "C-2026-78"}],
    ids=["users", "recipients", "contract"],
)
def test_any_other_change_makes_approvals_stale(strict: Office, change: dict[str, object]) -> None:
    number = strict.submitted(**SOME)
    strict.vote(number)
    revised(strict, number, **{**SOME, **change})
    assert waiting(strict, colleague(people.APPROVER)) == [number]
    assert strict.vote(number, actor=people.SECURITY).outcome is Outcome.PENDING
    assert strict.vote(number).outcome is Outcome.APPROVED
    strict.sign(number)


def test_what_was_sent_back_starts_without_approvals(strict: Office) -> None:
    number = strict.submitted(**SOME)
    strict.vote(number)
    strict.vote(number, Choice.REQUEST_CHANGES, actor=people.LEAD)
    revised(strict, number, **SOME, note="The same again.")
    assert strict.vote(number, actor=people.SECURITY).outcome is Outcome.PENDING


def test_an_approval_that_was_taken_back_does_not_come_back(office: Office) -> None:
    number = office.approved()
    with office.work() as session:
        application = applications.get_application(session, number)
        decisions.rescind(session, people.APPROVER, application, application.version, "Wait.", NOW)
    office.submit(number)
    assert office.status(number) == "submitted"
    with office.work() as session:
        assert (
            decisions.where_it_stands(session, office.desk.policy, applications.get_application(session, number)).people == ()
        )


def test_approvals_of_other_content_are_not_made_to_stand_by_hand(strict: Office) -> None:
    number = strict.submitted(**SOME)
    strict.vote(number)
    revised(strict, number, **SOME, recipients=[YU])
    strict.vote(number, actor=people.SECURITY)
    with strict.work() as session:
        session.exec(select(Revision).where(Revision.number == 2)).one().approvals_from = 1
    by_hand(strict, number)
    with strict.work() as session, pytest.raises(ContentChanged, match=r"Revision 1 .* is not what is to be signed"):
        strict.claims_to_sign(session, number)


def test_approvals_from_before_it_was_sent_back_are_not_made_to_stand_by_hand(strict: Office) -> None:
    number = strict.submitted(**SOME)
    strict.vote(number)
    with strict.work() as session:
        vote = session.exec(select(VoteRow)).one()
    strict.vote(number, Choice.REQUEST_CHANGES, actor=people.LEAD)
    strict.submit(number)
    strict.vote(number, actor=people.SECURITY)
    with strict.work() as session:
        session.exec(select(Revision).where(Revision.number == 2)).one().approvals_from = 1
        session.delete(session.exec(select(VoteRow).where(VoteRow.choice == "request_changes")).one())
        application = applications.get_application(session, number)
        application.status = "approved"
        fact = ApplicationApproved(2, vote.content_digest, 2, TWO_PEOPLE.sha256)
        outbox.record(session, fact, people.SECURITY, NOW, application=application)
    refused_to_sign(strict, number, "does not tell of its approval")
