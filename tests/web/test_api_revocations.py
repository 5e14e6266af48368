"""Calling a license back over the API: two operators for PROD, and a list that anybody may fetch."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlmodel import select

from tests.web.api import Program, problem, terms
from tests.workers.company import Company
from tests.workers.test_signing import publish
from workflow.database import transaction
from workflow.db.tables import IssuedLicense
from workflow.domain.events import Job
from workflow.domain.roles import Role, system
from workflow.license_file import verify_revocations
from workflow.services import accounts
from workflow.times import wall_now

As = Callable[[str], Program]
WHY = {"reason": "It named one module too many."}


@pytest.fixture
def second_operator(app: FastAPI, company: Company) -> Program:
    with transaction(company.engine) as session:
        accounts.add_person(
            session,
            system("set-up"),
            email="operator2@serviceme.example",
            name="Priya Nair",
            roles=[Role.OPERATOR],
            password=None,
            now=wall_now() - timedelta(days=1),
        )
    return Program.of(app, "operator2")


def issued_at(program: As, company: Company, environment: str) -> str:
    """The address of a license that was issued."""
    number = program("liaison").post("/applications", terms(environment=environment)).json()["number"]
    company.approve(number)
    company.run(Job.SIGN)
    with transaction(company.engine) as session:
        issued = session.exec(select(IssuedLicense)).one()
    return f"/licenses/{issued.license_id}/versions/1"


def test_two_operators_revoke_a_production_license(program: As, company: Company, second_operator: Program) -> None:
    license_at = issued_at(program, company, "PROD")
    operator = program("operator")
    assert problem(operator.get(f"{license_at}/revocation"))["status"] == 404
    asked = operator.post(f"{license_at}/revocation", WHY)
    assert (asked.status_code, asked.json()["state"]) == (201, "asked")
    again = problem(operator.post(f"{license_at}/revocation", WHY))
    assert (again["status"], again["code"]) == (409, "revocations.second_operator")
    done = second_operator.post(f"{license_at}/revocation", {})
    assert (done.json()["state"], done.json()["confirmed_by"]) == ("revoked", "Priya Nair")
    shown = program("liaison").get(f"{license_at}/revocation").json()
    assert (shown["reason"], shown["asked_by"]) == (WHY["reason"], "Omar Reyes")
    assert program("liaison").get(license_at.rsplit("/versions")[0]).json()["versions"][0]["standing"] == "revoked"
    assert problem(second_operator.post(f"{license_at}/revocation", WHY))["code"] == "application.illegal_move"


@pytest.mark.parametrize("who", ["liaison", "approver", "auditor"])
def test_others_are_refused(program: As, company: Company, who: str) -> None:
    license_at = issued_at(program, company, "UAT")
    assert problem(program(who).post(f"{license_at}/revocation", WHY))["code"] == "roles.missing"


def test_a_reason_is_needed_and_the_version_must_exist(program: As, company: Company) -> None:
    license_at = issued_at(program, company, "UAT")
    operator = program("operator")
    refused = problem(operator.post(f"{license_at}/revocation", {"reason": " "}))
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("revocations.reason", "#/reason")
    assert problem(operator.post(license_at.replace("/1", "/2") + "/revocation", WHY))["status"] == 404


def test_the_list_is_fetched_without_a_token(app: FastAPI, program: As, company: Company, issuer_keys: Path) -> None:
    anybody = Program.without_token(app)
    assert problem(anybody.get("/revocations"))["status"] == 404
    assert program("operator").post(f"{issued_at(program, company, 'UAT')}/revocation", WHY).status_code == 201
    newest = publish(company, issuer_keys)
    answer = anybody.get("/revocations")
    assert (answer.status_code, answer.content) == (200, newest.envelope)
    assert 'filename="revocations-1.lrl"' in answer.headers["content-disposition"]
    held = verify_revocations(answer.content, company.room.chain().current, wall_now())
    assert [each.reason for each in held.content.licenses] == [WHY["reason"]]
