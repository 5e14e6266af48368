"""Calling a license back on its page: one operator for UAT, two for PROD, and a reason that everybody can read."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlmodel import select

from tests.web.conftest import PASSWORD_HASH
from tests.web.desk import Browser
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.tables import IssuedLicense
from workflow.domain.events import Job
from workflow.domain.roles import Role, system
from workflow.services import accounts
from workflow.times import wall_now

Open = Callable[[str], Browser]
WHY = "It named one module too many."


@pytest.fixture
def second_operator(app: FastAPI, company: Company) -> Browser:
    with transaction(company.engine) as session:
        made = accounts.add_person(
            session,
            system("set-up"),
            email="operator2@serviceme.example",
            name="Priya Nair",
            roles=[Role.OPERATOR],
            password=None,
            now=wall_now() - timedelta(days=1),
        )
        made.password_hash = PASSWORD_HASH
    browser = Browser.on(app)
    browser.sign_in("operator2@serviceme.example")
    return browser


def issued_for(company: Company, environment: str) -> str:
    """The page of a license that was issued."""
    number = company.apply(environment=environment)
    company.approve(number)
    company.run(Job.SIGN)
    with transaction(company.engine) as session:
        return f"/licenses/{session.exec(select(IssuedLicense)).one().license_id}"


def standing(company: Company) -> str:
    with transaction(company.engine) as session:
        return session.exec(select(IssuedLicense)).one().standing


def test_a_test_license_is_revoked_by_one_operator_with_a_reason(browser: Open, company: Company) -> None:
    page = issued_for(company, "UAT")
    operator = browser("operator")
    operator.open(page)
    assert operator.send(f"{page}/versions/1/revoke", reason="  ").status_code == 422
    assert "There is a problem Say why, in words that every customer may read." in operator.words
    operator.send(f"{page}/versions/1/revoke", reason=WHY)
    assert "The license is revoked at this desk." in operator.words
    assert f"Reason, which every customer can read: {WHY}" in operator.words
    assert standing(company) == "revoked"
    assert "/revoke" not in operator.page.text


def test_a_production_license_needs_a_second_operator(browser: Open, company: Company, second_operator: Browser) -> None:
    page = issued_for(company, "PROD")
    operator = browser("operator")
    operator.open(page)
    before = operator.page
    operator.send(f"{page}/versions/1/revoke", reason=WHY)
    assert "It counts until another operator confirms" in operator.words
    assert f"Omar Reyes asked for it: {WHY}" in operator.words
    assert "/versions/1/revoke" not in operator.page.text, "nobody confirms their own word"
    operator.page = before
    assert operator.send(f"{page}/versions/1/revoke", reason=WHY).status_code == 409
    assert standing(company) == "issued"
    second_operator.open(page)
    assert "Confirm that version 1 is revoked" in second_operator.words
    second_operator.send(f"{page}/versions/1/revoke")
    assert standing(company) == "revoked"
    assert "Revoked by Priya Nair" in second_operator.words


def test_only_operators_are_offered_it(browser: Open, company: Company) -> None:
    page = issued_for(company, "UAT")
    for who in ("liaison", "approver", "auditor"):
        person = browser(who)
        person.open(page)
        assert "/versions/1/revoke" not in person.page.text
        token = dict(person.form("/sign-out"))["csrf"]
        origin = {"Origin": str(person.client.base_url)}
        refused = person.client.post(f"{page}/versions/1/revoke", data={"csrf": token, "reason": WHY}, headers=origin)
        assert refused.status_code == 403
    assert standing(company) == "issued"
