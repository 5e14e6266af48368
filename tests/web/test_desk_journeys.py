"""The journeys of liaisons and approvers in a real browser, looked at by axe-core at each stop."""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlmodel import select

from tests.accessibility import complaints
from tests.web.desk import PASSWORD
from tests.web.test_desk_browser import Person, chromium, database_url, desk, person
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.tables import EventRow, RequirementRow, RoleGrant, SignedIn
from workflow.domain.application import Status
from workflow.domain.roles import Role

pytestmark = pytest.mark.browser
__all__ = ["chromium", "database_url", "desk", "person"]


def decide(page: Page, choice: str, comment: str = "") -> None:
    """Chooses by its words, says why, shows who they are where that is asked for, and submits."""
    page.get_by_label(choice).check()
    page.locator("#comment").fill(comment)
    if page.locator("#password").count():
        page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="Submit decision").click()


def said(company: Company, number: str) -> list[tuple[str, str]]:
    """What happened to an application, and who did it."""
    stream = str(company.application(number).id)
    with transaction(company.engine) as session:
        rows = session.exec(select(EventRow).where(EventRow.stream == stream)).all()
        return [(row.type, row.actor_name) for row in sorted(rows, key=lambda row: row.sequence)]


def ask_for_two(company: Company) -> None:
    with transaction(company.engine) as session:
        for row in session.exec(select(RequirementRow)):
            row.count = 2


def test_sent_back_edited_and_handed_in_again_both_are_in_the_history(company: Company, person: Person) -> None:
    number = company.apply(environment="UAT")
    approver = person("approver").new_page()
    approver.goto("/approvals")
    for key in ("j", "k", "Enter"):
        approver.keyboard.press(key)
    approver.wait_for_url(re.compile(f"/approvals/{number}$"))
    approver.keyboard.press("c")
    approver.get_by_role("button", name="Submit decision").click()
    expect(approver.locator("#errsum")).to_contain_text("Choose approve, send back or reject.")
    assert complaints(approver) == []
    decide(approver, "Send back")
    expect(approver.locator("#errsum")).to_contain_text("Say why, so that the liaison knows what to do.")
    assert complaints(approver) == []
    decide(approver, "Send back", "The order says 500 users.")
    expect(approver.locator(".notice.ok")).to_contain_text(f"Sent back: {number}.")

    liaison = person("liaison").new_page()
    liaison.goto("/")
    liaison.get_by_role("link", name=re.compile("Edit and submit again")).click()
    expect(liaison.locator("main")).to_contain_text("The order says 500 users.")
    assert complaints(liaison) == []
    liaison.locator("#users").fill("500")
    liaison.get_by_role("button", name="Continue to review").click()
    liaison.get_by_role("button", name="Submit application").click()
    expect(liaison.get_by_text("Submitted. The approvers were told by e-mail.")).to_be_visible()

    approver.goto(f"/approvals/{number}")
    expect(approver.locator("main")).to_contain_text("Revised since revision 1")
    assert complaints(approver) == []
    decide(approver, "Approve")
    liaison.goto(f"/applications/{number}")
    for words in ("Sent back by Daniel Osei", "The order says 500 users.", "Submitted by Lin Mei, revision 2"):
        expect(liaison.locator("#story")).to_contain_text(words)
    assert complaints(liaison) == []
    assert company.application(number).status == Status.APPROVED


def test_two_approvals_come_from_two_people_and_never_from_the_submitter(company: Company, person: Person) -> None:
    number = company.apply()
    ask_for_two(company)
    with transaction(company.engine) as session:
        assert company.liaison.person_id is not None
        granted_at = company.application(number).created_at
        session.add(RoleGrant(person=company.liaison.person_id, role=Role.APPROVER.value, granted_at=granted_at))
    author = person("liaison").new_page()
    author.goto(f"/approvals/{number}")
    expect(author.locator("#decide")).to_contain_text("You submitted or edited this application, so another approver decides.")
    assert author.locator('input[name="decision"]').count() == 0
    assert complaints(author) == []

    first = person("approver").new_page()
    first.goto(f"/approvals/{number}")
    decide(first, "Approve", "Fine.")
    assert company.application(number).status == Status.SUBMITTED, "one of two"
    first.goto(f"/approvals/{number}")
    expect(first.locator("#decide")).to_contain_text("You have decided on this revision. It waits for another approver.")
    assert first.locator('input[name="decision"]').count() == 0
    assert complaints(first) == []

    second = person("approver2").new_page()
    second.goto(f"/approvals/{number}")
    expect(second.locator("main")).to_contain_text("1 of 2")
    decide(second, "Approve")
    expect(second.locator(".notice.ok")).to_contain_text(f"Approved: {number}.")
    told = said(company, number)
    assert [who for what, who in told if what == "application.approval_recorded"] == ["Daniel Osei", "Sofia Marin"]
    assert [what for what, _ in told].count("application.approved") == 1


def test_of_two_browsers_that_decide_at_once_the_second_is_told_who_was_first(company: Company, person: Person) -> None:
    number = company.apply()
    first, second = person("approver").new_page(), person("approver2").new_page()
    for page in (first, second):
        page.goto(f"/approvals/{number}")
    decide(first, "Approve")
    expect(first.locator(".notice.ok")).to_contain_text(f"Approved: {number}.")
    with second.expect_response(lambda answer: answer.request.method == "POST") as answered:
        decide(second, "Reject", "Too many users.")
    assert answered.value.status == 409
    expect(second.locator("main")).to_contain_text("Daniel Osei approved it")
    expect(second.locator("main")).to_contain_text("Your decision was not recorded.")
    assert complaints(second) == []
    told = said(company, number)
    assert [what for what, _ in told].count("application.approved") == 1
    assert ("application.vote_refused", "Sofia Marin") in told
    assert "application.rejected" not in {what for what, _ in told}


def end_all_sessions(company: Company) -> None:
    with transaction(company.engine) as session:
        for row in session.exec(select(SignedIn)):
            session.delete(row)


def sign_in_again(page: Page, who: str) -> None:
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert complaints(page) == []
    page.fill("#email", f"{who}@serviceme.example")
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_what_was_filled_in_is_its_persons_and_a_decision_is_made_again(company: Company, person: Person) -> None:
    number = company.apply()
    page = person("approver").new_page()
    for again, comment in (("approver2", ""), ("approver", "Fine by me.")):
        page.goto(f"/approvals/{number}")
        end_all_sessions(company)
        decide(page, "Approve", "Fine by me.")
        sign_in_again(page, again)
        expect(page.locator("#comment")).to_have_value(comment)
        assert page.locator('input[name="decision"]:checked').count() == 0
        assert page.locator("#password").input_value() == ""
        if again == "approver2":
            page.context.clear_cookies()
            page.goto("/sign-in")
            sign_in_again(page, "approver")
            page.wait_for_url(re.compile("/$"))


def test_a_session_that_ends_in_the_middle_of_a_form_loses_nothing(company: Company, person: Person) -> None:
    page = person("liaison").new_page()
    page.goto("/applications/new?tenant=T-20817")
    page.locator('input[name="environment"][value^="UAT"]').check()
    page.get_by_label("Agent Studio").check()
    page.locator("#model_types-chat").check()
    page.locator("#agents").fill("77")
    page.locator("#users").fill("88")
    end_all_sessions(company)
    page.get_by_role("button", name="Continue to review").click()
    sign_in_again(page, "liaison")
    expect(page.locator("#agents")).to_have_value("77")
    expect(page.locator("#users")).to_have_value("88")
    expect(page.get_by_label("Agent Studio")).to_be_checked()
    assert complaints(page) == []
    page.get_by_role("button", name="Continue to review").click()
    page.get_by_role("button", name="Submit application").click()
    expect(page.get_by_text("Submitted. The approvers were told by e-mail.")).to_be_visible()
