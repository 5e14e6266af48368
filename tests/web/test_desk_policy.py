"""What pages and API say about who has to approve, under a policy that asks for more than one approver."""

from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI

from tests.domain.policy.written import DEV_SMALL, HEAD, NONPROD, PROD, policy
from tests.web.api import Program
from tests.web.desk import Browser
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.queries import people
from workflow.domain.application import Status
from workflow.domain.policy import Policy
from workflow.times import wall_now

Open = Callable[[str], Browser]
TWO = policy(
    DEV_SMALL,
    NONPROD,
    PROD,
    head=HEAD.replace("security@", "approver2@")
    .replace("lead@", "approver@")
    .replace(', "Second.approver@serviceme.example"', ""),
)
SMALL = {"environment": "DEV", "limits": {"agents": 5, "users": 5}}


def under(company: Company, app: FastAPI, rules: Policy) -> Company:
    """Desk and company under this policy."""
    desk = replace(app.state.house.desk, policy=rules)
    app.state.house = replace(app.state.house, desk=desk)
    return replace(company, here=replace(company.here, desk=desk))


@pytest.fixture
def strict(company: Company, app: FastAPI) -> Company:
    """The company under a policy that asks for one approver and one of security in PROD."""
    return under(company, app, TWO)


def test_the_page_says_who_still_has_to_decide(browser: Open, strict: Company) -> None:
    number = strict.apply()
    first, second, liaison = browser("approver"), browser("approver2"), browser("liaison")
    liaison.open(f"/applications/{number}")
    for words in ("Approvals needed", "0 of 2: 1 of approvers, 1 of security", "2 different people"):
        assert words in liaison.words, words
    first.open(f"/approvals/{number}")
    first.send(f"/approvals/{number}", decision="approve")
    assert strict.application(number).status == Status.SUBMITTED
    second.open(f"/approvals/{number}")
    assert "1 of 2: 1 of approvers, 1 of security" in second.words
    assert "1 of 1: Daniel Osei. PROD: one approver and one of security" in second.words
    second.send(f"/approvals/{number}", decision="approve")
    assert strict.application(number).status == Status.APPROVED
    liaison.open(f"/applications/{number}")
    assert "Approvals needed" not in liaison.words


def test_an_approver_who_is_not_asked_is_told_who_decides(browser: Open, company: Company, app: FastAPI) -> None:
    alone = under(
        company,
        app,
        policy(
            PROD.replace('{ group = "approvers", count = 1 }, ', "").replace("distinct = 2\n", ""),
            head=HEAD.replace("security@", "approver2@"),
        ),
    )
    number = alone.apply()
    other = browser("approver")
    other.open("/approvals")
    assert number not in other.words
    other.open(f"/approvals/{number}")
    assert "This application is decided by security, and you are not one of them." in other.words
    assert "Submit decision" not in other.words
    asked = browser("approver2")
    asked.open("/approvals")
    assert number in asked.words


def test_the_form_and_the_review_say_who_will_be_asked(browser: Open, strict: Company) -> None:
    number = strict.apply()
    liaison = browser("liaison")
    liaison.open(f"/applications/{number}/review")
    assert "1 of security" in liaison.words
    assert "2 different people" in liaison.words
    liaison.open("/applications/new?tenant=T-20817")
    assert "Shows who approves once nothing is missing" in liaison.words


def test_what_needs_nobody_says_so_before_and_after(browser: Open, strict: Company) -> None:
    number = strict.apply(**SMALL)
    assert strict.application(number).status == Status.SUBMITTED, "a year is more than 90 days"
    day = wall_now().astimezone(ZoneInfo("Asia/Shanghai")).date().isoformat()
    number = strict.apply(**SMALL, validity={"first_day": day, "last_day": day, "time_zone": "Asia/Shanghai"})
    assert strict.application(number).status == Status.APPROVED
    liaison = browser("liaison")
    liaison.open(f"/applications/{number}")
    assert "Every required approval is there (0)" in liaison.words


def test_operators_see_which_rule_nobody_can_meet(browser: Open, strict: Company) -> None:
    operator = browser("operator")
    operator.open("/operations")
    assert "cannot be met" not in operator.words
    with transaction(strict.engine) as session:
        found = people.find_person_by_email(session, "approver2@serviceme.example")
        assert found is not None
        found.disabled_at = wall_now()
    operator.open("/operations")
    assert "Nobody can decide: PROD: one approver and one of security, two different people" in operator.words
    assert "Rule prod of the approval policy cannot be met: security needs 1 and has 0." in operator.words


def test_the_liaison_is_told_whom_an_application_lacks(program: Callable[[str], Program], strict: Company) -> None:
    with transaction(strict.engine) as session:
        found = people.find_person_by_email(session, "approver2@serviceme.example")
        assert found is not None
        found.disabled_at = wall_now()
    number = strict.apply(environment="UAT")
    body = program("liaison").get(f"/applications/{number}").json()["terms"]
    refused = program("liaison").post("/applications", {**body, "environment": "PROD"})
    assert refused.status_code == 409
    assert refused.json()["code"] == "approvals.nobody_can_approve"
    assert "security needs 1 and has 0" in refused.json()["detail"]


def test_the_api_names_the_rules_and_what_is_missing(program: Callable[[str], Program], strict: Company) -> None:
    number = strict.apply()
    strict.approve(number)
    needed = program("approver").get(f"/applications/{number}").json()["requirements"]
    assert [(each["rule"], each["group"], each["met"], each["approved_by"]) for each in needed] == [
        ("prod", "approvers", True, ["Daniel Osei"]),
        ("prod", "security", False, []),
    ]
