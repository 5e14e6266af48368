"""Approvers decide: what they see, what they must say, and what happens when somebody was quicker."""

from collections.abc import Callable

from sqlmodel import select

from tests.people import id_of
from tests.web.desk import ORIGIN, Browser
from tests.workers.company import WITH_CERTIFICATE, WITHOUT_CERTIFICATE, Company
from workflow.database import transaction
from workflow.db.tables import RoleGrant, VoteRow
from workflow.domain.application import Status
from workflow.domain.events import Job
from workflow.domain.roles import Role
from workflow.services import applications
from workflow.times import wall_now
from workflow.web.shared import csrf

Open = Callable[[str], Browser]


def test_an_approver_sees_every_licensed_member_and_approves(browser: Open, company: Company) -> None:
    number = company.apply(restrictions=["internal-use"])
    approver = browser("approver")
    approver.open("/")
    assert "Harbourline Logistics Co., Ltd." in approver.words
    approver.open(f"/approvals/{number}")
    for words in (
        "T-20817",
        "Agent Studio",
        "Chat",
        "Internal use only",
        "14 days after the last usable day",
        "licensing@serviceme.example",
        "You did not submit or edit this application",
        "0 of 1",
    ):
        assert words in approver.words, words
    approver.send(f"/approvals/{number}", decision="approve")
    assert f"Approved: {number}." in approver.words
    assert company.application(number).status == Status.APPROVED


def test_a_draft_that_was_withdrawn_before_it_was_submitted_stays_its_owners(browser: Open, company: Company) -> None:
    now = wall_now()
    with transaction(company.engine) as session:
        draft = applications.save_draft(session, company.liaison, {"tenant_id": "T-20817"}, now)
        applications.withdraw(session, company.liaison, draft, draft.version, "", now)
        session.add(RoleGrant(person=id_of(company.liaison), role=Role.APPROVER.value, granted_at=now))
        number = draft.number
    approver, owner = browser("approver"), browser("liaison")
    for path in (f"/applications/{number}", f"/approvals/{number}"):
        assert approver.open(path).status_code == 404
    approver.open("/applications")
    assert number not in approver.words
    assert owner.open(f"/applications/{number}").status_code == 200
    assert owner.open(f"/approvals/{number}").status_code == 404  # an approver, too, and there is nothing to decide


def test_no_choice_is_made_for_the_approver(browser: Open, company: Company) -> None:
    number = company.apply()
    approver = browser("approver")
    approver.open(f"/approvals/{number}")
    assert "decision" not in dict(approver.form(f"/approvals/{number}"))
    answer = approver.send(f"/approvals/{number}", comment="Looks fine.")
    assert answer.status_code == 422
    assert approver.words.count("Choose approve, send back or reject.") == 2
    assert dict(approver.form(f"/approvals/{number}"))["comment"] == "Looks fine."


def test_sending_back_needs_a_comment_which_the_liaison_then_reads(browser: Open, company: Company) -> None:
    number = company.apply()
    approver = browser("approver")
    approver.open(f"/approvals/{number}")
    assert approver.send(f"/approvals/{number}", decision="request_changes").status_code == 422
    assert approver.words.count("Say why, so that the liaison knows what to do.") == 2
    approver.send(f"/approvals/{number}", decision="request_changes", comment="The order says 500 users.")
    liaison = browser("liaison")
    liaison.open("/")
    assert "was sent back by an approver" in liaison.words
    liaison.open(f"/applications/{number}/edit")
    assert "Sent back by Daniel Osei" in liaison.words
    assert "The order says 500 users." in liaison.words
    liaison.send(f"/applications/{number}/edit", users="500", action="continue")
    liaison.send(f"/applications/{number}/submit")
    approver.open(f"/approvals/{number}")
    assert "revision 2" in approver.words
    assert "Revised since revision 1" in approver.words, "the detail page promises that approvers see the difference"
    assert "The order says 500 users." in approver.words
    assert "800 500 −300 (38%)" in approver.words


def test_a_revision_shows_what_is_not_licensed_too(browser: Open, company: Company) -> None:
    number = company.apply(recipients=[WITH_CERTIFICATE, WITHOUT_CERTIFICATE])
    letters = company.jobs(Job.LETTER)
    liaison, approver = browser("liaison"), browser("approver")
    approver.open(f"/approvals/{number}")
    assert "Revised since" not in approver.words
    liaison.open(f"/applications/{number}/edit")
    liaison.send(
        f"/applications/{number}/edit", recipients=[WITH_CERTIFICATE], contract_reference="C-77", note="", action="continue"
    )
    liaison.send(f"/applications/{number}/submit")
    assert "The approvers were told by e-mail what changed." in liaison.words
    assert len(company.jobs(Job.LETTER)) == 2 * len(letters)
    approver.open(f"/approvals/{number}")
    assert f"2 recipients 1 recipient removed: {WITHOUT_CERTIFICATE}" in approver.words
    assert "None C-77" in approver.words
    assert "Order PO-88213. None" in approver.words


def test_two_applications_for_one_platform_know_of_each_other(browser: Open, company: Company) -> None:
    first, second = company.apply(), company.apply(modules=["workflow"])
    elsewhere = company.apply(environment="UAT")
    approver, liaison = browser("approver"), browser("liaison")
    approver.open(f"/approvals/{second}")
    assert f"{first} is open for the same platform Submitted, by Lin Mei." in approver.words
    assert f"{second} is open" not in approver.words
    assert f"{elsewhere} is open" not in approver.words
    liaison.open("/applications/new")
    assert f"open: {first}, {second}" in liaison.words
    liaison.open(f"/applications/{first}/edit")
    assert f"{second} is open for the same platform" in liaison.words
    assert f"{first} is open" not in liaison.words
    company.approve(first)
    company.run(Job.SIGN)
    approver.open(f"/approvals/{second}")
    assert "is open for the same platform" not in approver.words, "a license is compared with, term by term"
    assert "terms differ from version 1" in approver.words or "1 term differs from version 1" in approver.words


def test_a_rejected_application_shows_why_and_offers_a_copy(browser: Open, company: Company) -> None:
    number = company.apply()
    approver = browser("approver")
    approver.open(f"/approvals/{number}")
    approver.send(f"/approvals/{number}", decision="reject", comment="Wrong customer.")
    liaison = browser("liaison")
    liaison.open(f"/applications/{number}")
    assert "Rejected by Daniel Osei" in liaison.words
    assert "Wrong customer." in liaison.words
    assert f'action="/applications/{number}/copy"' in liaison.page.text


def test_who_comes_second_gets_409_with_the_name_of_the_first(browser: Open, company: Company) -> None:
    number = company.apply()
    first, second = browser("approver"), browser("approver2")
    for each in (first, second):
        each.open(f"/approvals/{number}")
    first.send(f"/approvals/{number}", decision="approve")
    answer = second.send(f"/approvals/{number}", decision="reject", comment="No.")
    assert answer.status_code == 409
    assert "Daniel Osei approved it" in second.words
    assert "Your decision was not recorded." in second.words
    assert company.application(number).status == Status.APPROVED
    with transaction(company.engine) as session:
        assert len(session.exec(select(VoteRow)).all()) == 1


def test_who_was_refused_is_told_on_the_history_and_audit_pages(browser: Open, company: Company) -> None:
    number = company.apply()
    first, second = browser("approver"), browser("approver2")
    second.open(f"/approvals/{number}")
    first.open(f"/approvals/{number}")
    first.send(f"/approvals/{number}", decision="approve")
    assert second.send(f"/approvals/{number}", decision="approve").status_code == 409
    said = "Sofia Marin tried to approve and was refused: somebody else was quicker"
    first.open(f"/applications/{number}")
    assert said in first.words
    auditor = browser("auditor")
    auditor.open(f"/audit?application={number}&kind=application.vote_refused")
    assert said in auditor.words
    assert "Application: vote refused" in auditor.words
    company.run(Job.SIGN)
    assert company.application(number).status == Status.ISSUED, "the signer does not mind"


def test_nobody_decides_on_their_own_application(browser: Open, company: Company) -> None:
    number = company.apply()
    with transaction(company.engine) as session:
        assert company.liaison.person_id is not None
        session.add(
            RoleGrant(
                person=company.liaison.person_id, role=Role.APPROVER.value, granted_at=company.application(number).created_at
            )
        )
    both = browser("liaison")
    both.open("/approvals")
    assert number not in both.words
    both.open(f"/approvals/{number}")
    assert "You submitted or edited this application, so another approver decides." in both.words
    assert 'name="decision"' not in both.page.text
    row = company.application(number)
    forged = both.client.post(
        f"/approvals/{number}",
        data={
            "csrf": csrf.token_for(str(both.client.cookies.get("desk_session"))),
            "decision": "approve",
            "password": both.password,
            "revision": str(row.revision),
            "version": str(row.version),
        },
        headers={"Origin": ORIGIN},
    )
    assert forged.status_code == 403
    both.open(f"/applications/{number}")
    assert "was refused: whoever submitted or edited an application never decides on it" in both.words
    assert company.application(number).status == Status.SUBMITTED


def test_what_was_never_submitted_cannot_be_decided(browser: Open, company: Company) -> None:
    with transaction(company.engine) as session:
        draft = applications.save_draft(session, company.liaison, {"tenant_id": "T-20817"}, wall_now())
        applications.withdraw(session, company.liaison, draft, draft.version, "", wall_now())
    approver = browser("approver")
    assert approver.open(f"/approvals/{draft.number}").status_code == 404
    assert "There is no application" in approver.words


def test_the_queue_is_for_approvers_and_those_who_may_read_everything(browser: Open, company: Company) -> None:
    number = company.apply()
    for who in ("operator", "auditor"):
        assert browser(who).open(f"/approvals/{number}").status_code == 200
    for who in ("liaison", "administrator", "stranger"):
        other = browser(who)
        assert other.open(f"/approvals/{number}").status_code == 403
        assert 'href="/approvals"' not in other.open("/").text


def test_an_approval_can_be_taken_back_before_the_license_is_signed(browser: Open, company: Company) -> None:
    number = company.apply()
    company.approve(number)
    approver = browser("approver")
    approver.open(f"/applications/{number}")
    approver.send(f"/applications/{number}/rescind", comment="Wrong file.")
    assert company.application(number).status == Status.CHANGES_REQUESTED


def test_a_first_license_for_a_platform_that_got_one_meanwhile_can_only_be_sent_back(browser: Open, company: Company) -> None:
    first, second = company.apply(), company.apply()
    company.approve(first)
    company.run(Job.SIGN)
    approver, liaison = browser("approver"), browser("liaison")
    approver.open(f"/approvals/{second}")
    assert "has version 1 already" in approver.words
    assert approver.send(f"/approvals/{second}", decision="approve").status_code == 409
    assert "This platform has a license meanwhile" in approver.words
    assert "who makes it a change of that license" in approver.words
    liaison.open(f"/applications/{second}")
    assert "This platform has a license meanwhile" in liaison.words
    assert f'href="/applications/{second}/edit"' in liaison.page.text
    approver.send(f"/approvals/{second}", decision="request_changes", comment="Make it a change.")
    assert company.application(second).status == "changes_requested"


def test_an_approver_sees_what_changed_since_the_revision_they_decided_on(browser: Open, company: Company) -> None:
    number = company.apply(environment="UAT")
    first, second = browser("approver"), browser("approver2")
    first.open(f"/approvals/{number}")
    first.send(f"/approvals/{number}", decision="request_changes", comment="The order says 500 users.")
    for users, note in ((500, "Order PO-88213."), (500, "Order PO-90001.")):
        company.revise(number, limits={"agents": 120, "users": users}, note=note)
    first.open(f"/approvals/{number}")
    assert "Revised since revision 1, on which you decided" in first.words
    assert "The order says 500 users." in first.words
    for words in ("Authorized users", "800", "500", "Order PO-90001."):
        assert words in first.words.split("Revised since")[1].split("What will be signed")[0], words
    second.open(f"/approvals/{number}")
    assert "Revised since revision 2" in second.words
    assert "on which you decided" not in second.words
    assert "800" not in second.words.split("Revised since")[1].split("What will be signed")[0]
