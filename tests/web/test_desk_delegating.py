"""An approver names a colleague, who finds the application in the queue and decides for them."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta

from fastapi import FastAPI

from tests.web.desk import Browser
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.queries import delegations
from workflow.times import utc_now
from workflow.web.desk.app import create_app

Open = Callable[[str], Browser]


def test_a_colleague_decides_for_who_is_out_of_office(browser: Open, company: Company) -> None:
    number = company.apply()
    away, colleague = browser("approver"), browser("approver2")
    away.open("/profile")
    assert "Name a colleague" in away.words
    away.open("/profile/away")
    assert away.send("/profile/away", to="nobody@serviceme.example").status_code == 422
    today = utc_now().date().isoformat()
    away.send("/profile/away", to="approver2@serviceme.example", first_day=today, last_day=today, reason="On leave.")
    assert "Sofia Marin" in away.words
    colleague.open(f"/approvals/{number}")
    assert "who is out of office" in colleague.words
    giver = next(value for value in colleague.page.text.split('value="') if "For " in value[:120]).split('"')[0]
    colleague.send(f"/approvals/{number}", decision="approve", **{"for": giver})
    colleague.open(f"/applications/{number}")
    assert colleague.words.count("Sofia Marin for Daniel Osei") >= 3, "in the steps, among the people, in the history"


def test_who_is_no_approver_has_nobody_act_for_them(browser: Open) -> None:
    liaison = browser("liaison")
    liaison.open("/profile")
    assert "Out of office" not in liaison.words
    assert liaison.open("/profile/away").status_code == 403


def test_operators_see_who_acts_for_whom_and_end_it_early(browser: Open, company: Company) -> None:
    number = company.apply()
    away, colleague, operator = browser("approver"), browser("approver2"), browser("operator")
    operator.open("/people")
    assert "/people/away" in operator.page.text
    operator.open("/people/away")
    assert "Nobody is out of office" in operator.words
    away.open("/profile/away")
    today = utc_now().date()
    days = {"first_day": today.isoformat(), "last_day": (today + timedelta(days=3)).isoformat()}
    away.send("/profile/away", to="approver2@serviceme.example", reason="On leave.", **days)
    colleague.open(f"/approvals/{number}")
    assert "who is out of office" in colleague.words
    operator.open("/people/away")
    for words in ("Daniel Osei", "Sofia Marin", "On leave."):
        assert words in operator.words, words
    assert browser("liaison").open("/people/away").status_code == 403
    with transaction(company.engine) as session:
        [row] = delegations.not_over(session, utc_now())
    operator.send(f"/people/away/{row.id}/end")
    assert "Ended. What was decided until now stands." in operator.words
    colleague.open(f"/approvals/{number}")
    assert "who is out of office" not in colleague.words
    auditor = browser("auditor")
    auditor.open("/audit")
    assert "Nobody acts any more for an approver out of office" in auditor.words


def test_an_approver_without_a_second_factor_is_told_at_home_before_a_vote_on_prod(
    app: FastAPI, browser: Open, company: Company
) -> None:
    relaxed = browser("approver")
    relaxed.open("/")
    assert "You cannot vote on PROD yet" not in relaxed.words
    strict = create_app(dataclasses.replace(app.state.house.settings, second_factor_for_prod=True))
    for who, told in (("approver", True), ("liaison", False)):
        person = Browser.on(strict)
        person.sign_in(f"{who}@serviceme.example")
        person.open("/")
        assert ("You cannot vote on PROD yet" in person.words) is told
