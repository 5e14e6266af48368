"""Lists of the API page by page and as CSV, licenses, customers, reminders, jobs and receipts."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlmodel import col, select

from tests.web.api import BASE, Program, pointers, problem, terms
from tests.web.reporting import confirm, issue, receipt_for
from tests.workers.company import SENDER, WITH_CERTIFICATE, WITHOUT_CERTIFICATE, Company
from workflow.database import transaction
from workflow.db import outbox
from workflow.db.queries import throttle
from workflow.db.tables import JobRow, Receipt, Tenant, Throttle
from workflow.domain.events import Job
from workflow.mail.demo_keys import DemoFiles
from workflow.services import reminders
from workflow.times import wall_now
from workflow.web.desk.api.receipts import PER_MINUTE
from workflow.web.shared.paging import MAX_PAGE_SIZE

As = Callable[[str], Program]


def all_pages(program: Program, path: str) -> Iterator[dict[str, Any]]:
    """Follows `Link: rel="next"` to the end."""
    address: str | None = f"{BASE}{path}"
    headers = {"Authorization": f"Bearer {program.token}"}
    while address:
        answer = program.client.get(address, headers=headers)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        address = answer.links["next"]["url"] if "next" in answer.links else None
        assert (address is None) == (answer.json()["next"] is None)


# Lists ----------------------------------------------------------------------------------------------------------------


def test_a_list_is_read_page_by_page_without_gaps_or_repeats(program: As, company: Company) -> None:
    made = {company.apply(environment=environment) for environment in ("DEV", "UAT", "PROD") for _ in range(2)}
    pages = list(all_pages(program("auditor"), "/applications?limit=4"))
    assert [len(each["items"]) for each in pages] == [4, 2]
    assert {row["number"] for each in pages for row in each["items"]} == made
    filtered = list(all_pages(program("auditor"), "/applications?limit=1&environment=UAT&status=submitted&search=harbour"))
    assert [row["environment"] for each in filtered for row in each["items"]] == ["UAT", "UAT"]


def test_each_sees_what_is_theirs(program: As, company: Company) -> None:
    company.apply()
    assert len(program("approver").get("/applications").json()["items"]) == 1
    assert program("administrator").get("/applications").status_code == 403


def test_a_list_goes_into_a_spreadsheet_whole_and_harmless(program: As, company: Company) -> None:
    operator = program("operator")
    operator.post("/customers", {"tenant_id": "T-1", "company": "=cmd()", "time_zone": "UTC"})
    answer = operator.get("/customers?limit=1", Accept="text/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0] == ["Tenant ID", "Company", "Time zone"]
    assert [row[1] for row in rows[1:]] == ["'=cmd()", "Harbourline Logistics Co., Ltd."], "the limit is for JSON only"
    for accept in ("application/json, text/csv", "*/*", ""):
        assert operator.get("/customers", Accept=accept).headers["content-type"] == "application/json"


def test_a_spreadsheet_has_more_rows_than_a_page_can(program: As, company: Company) -> None:
    with transaction(company.engine) as session:
        for number in range(MAX_PAGE_SIZE + 5):
            session.add(Tenant(tenant_id=f"T-{number}", company=f"Company {number}", time_zone="UTC", created_at=wall_now()))
    answer = program("auditor").get("/customers", Accept="text/csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == 1 + MAX_PAGE_SIZE + 5 + 1
    assert len({row[0] for row in rows}) == len(rows)


@pytest.mark.parametrize("path", ["/applications", "/licenses", "/reminders", "/jobs"])
def test_every_list_has_a_csv_with_as_many_cells_as_heads(program: As, company: Company, path: str) -> None:
    issue(company)
    with transaction(company.engine) as session:
        reminders.queue_due(session, company.here.desk, wall_now() + timedelta(days=358))
    answer = program("operator").get(path, Accept="text/csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}


# Licenses and customers -----------------------------------------------------------------------------------------------


def test_a_license_shows_its_versions_to_those_who_may_see_them(program: As, company: Company) -> None:
    number = issue(company)
    auditor = program("auditor")
    [row] = auditor.get("/licenses?standing=issued&environment=PROD&search=harbour").json()["items"]
    found = auditor.get(f"/licenses/{row['license_id']}").json()
    assert (found["company"], found["in_force"]) == ("Harbourline Logistics Co., Ltd.", None)
    assert [each["application"] for each in found["versions"]] == [number]
    assert auditor.get("/licenses/PROD-00000-00000-00000").status_code == 404
    file = f"/licenses/{row['license_id']}/versions/1/file"
    assert problem(auditor.get(file))["code"] == "roles.missing", "an auditor reads, and takes no file"
    assert program("liaison").get(file).content.startswith(b"{")
    assert program("liaison").get(file.replace("/1/", "/2/")).status_code == 404


def test_a_customer_is_added_with_recipients_on_the_way(program: As, mail_keys: DemoFiles) -> None:
    liaison = program("liaison")
    made = liaison.post("/customers", {"tenant_id": "T-1", "company": "One GmbH", "time_zone": "Europe/Berlin"})
    assert made.headers["location"] == "/api/v1/customers/T-1"
    assert [each["name"] for each in made.json()["environments"]] == ["DEV", "UAT", "PROD"]
    bad = liaison.post("/customers", {"tenant_id": "T 2", "company": " ", "time_zone": "Mars/Base"})
    assert pointers(bad) == {"#/tenant_id": "malformed", "#/company": "missing", "#/time_zone": "unknown"}
    assert problem(liaison.post("/customers", {"tenant_id": "T-1", "company": "X", "time_zone": "UTC"}))["status"] == 409

    certificate = mail_keys.recipients[WITH_CERTIFICATE].read_text()
    person = {"name": "Zhang Wei", "address": WITH_CERTIFICATE, "key": certificate}
    assert liaison.post("/customers/T-1/recipients", person).json()["channel"] == "smime"
    assert problem(liaison.post("/customers/T-1/recipients", person))["code"] == "customers.recipient_exists"
    other = {"name": "Chen Yu", "address": WITHOUT_CERTIFICATE, "key": certificate}
    refused = liaison.post("/customers/T-1/recipients", other)
    assert refused.status_code == 422, "a certificate of somebody else"
    assert pointers(refused) == {"#/key": "certificate.address"}
    assert liaison.post("/customers/T-1/recipients", {"name": "Chen Yu", "address": "nowhere"}).status_code == 422
    assert liaison.post("/customers/T-9/recipients", person).status_code == 404
    applied = liaison.post("/applications", terms(tenant_id="T-1"))
    assert applied.json()["company"] == "One GmbH"


# Reminders and jobs ---------------------------------------------------------------------------------------------------


def test_reminders_say_who_was_told_of_what(program: As, company: Company) -> None:
    number = issue(company, recipients=[WITH_CERTIFICATE, WITHOUT_CERTIFICATE])
    with transaction(company.engine) as session:
        reminders.queue_due(session, company.here.desk, wall_now() + timedelta(days=358))
    liaison = program("liaison")
    pages = list(all_pages(liaison, "/reminders?limit=2"))
    rows = [row for each in pages for row in each["items"]]
    told = {row["address"] for row in rows if row["days_ahead"] == 7}
    assert told == {WITH_CERTIFICATE, WITHOUT_CERTIFICATE, "liaison@serviceme.example"}
    assert {row["application"] for row in rows} == {number}
    assert len({(row["days_ahead"], row["address"]) for row in rows}) == len(rows)
    license_id = rows[0]["license_id"]
    assert len(liaison.get(f"/reminders?license_id={license_id}&limit=200").json()["items"]) == len(rows)
    assert liaison.get("/reminders?license_id=PROD-1").json()["items"] == []


def test_an_operator_retries_or_cancels_what_gave_up(program: As, company: Company) -> None:
    operator = program("operator")
    with transaction(company.engine) as session:
        for name in ("a", "b"):
            job = outbox.owe(session, Job.LETTER, name, detail="approved")
            session.execute(update(JobRow).where(col(JobRow.id) == job).values(state="dead", last_error="550 no such box"))
    first, second = operator.get("/jobs?state=dead").json()["items"]
    assert first["last_error"] == "550 no such box"
    assert operator.post(f"/jobs/{first['id']}/retry").json()["state"] == "pending"
    assert operator.post(f"/jobs/{second['id']}/cancel", {"reason": "The box is gone."}).json()["state"] == "cancelled"
    again = operator.post(f"/jobs/{second['id']}/retry")
    assert (again.status_code, problem(again)["code"]) == (409, "jobs.not_dead")
    listed = [row for each in all_pages(operator, "/jobs?limit=1") for row in each["items"]]
    assert [row["kind"] for row in listed] == ["letter.send", "letter.send", "letter.notice"], "the token is told of, too"
    assert program("auditor").get("/jobs").status_code == 200
    assert program("auditor").post(f"/jobs/{first['id']}/retry").status_code == 403
    assert program("liaison").get("/jobs").status_code == 403


def test_only_an_operator_is_told_how_the_work_gets_on(app: FastAPI, program: As, company: Company) -> None:
    company.apply()
    public = Program.without_token(app).get("/health").json()
    assert (public["status"], public["processes"], public["needs_attention"]) == ("ok", None, None)
    told = program("operator").get("/health").json()
    assert told["waiting_seconds"] >= 0
    assert told["needs_attention"] == 0
    assert program("liaison").get("/catalogue").json()["modules"][0]["code"] == "agent-studio"


# Receipts -------------------------------------------------------------------------------------------------------------


def test_a_receipt_of_a_confirmed_platform_activates(app: FastAPI, company: Company) -> None:
    number, platform = issue(company), Program.without_token(app)
    raw = receipt_for(company, number)
    first = platform.client.post(f"{BASE}/receipts", content=raw)
    assert (first.status_code, first.content) == (202, b"")
    assert company.application(number).status == "delivered", "nobody has vouched for this platform"
    confirm(company)
    assert company.application(number).status == "activated"
    again = platform.client.post(f"{BASE}/receipts", content=raw)
    assert (again.status_code, again.content) == (202, b"")
    with transaction(company.engine) as session:
        assert len(session.exec(select(Receipt)).all()) == 1


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff" * 100, b"[" * 10_000, SENDER.encode()])
def test_every_sender_of_a_receipt_gets_the_same_answer(app: FastAPI, company: Company, raw: bytes) -> None:
    answer = Program.without_token(app).client.post(f"{BASE}/receipts", content=raw)
    assert (answer.status_code, answer.content) == (202, b"")
    with transaction(company.engine) as session:
        assert session.exec(select(Receipt)).all() == []
        assert session.exec(select(Throttle)).all() == [], "rubbish takes no turn at writing and no place of a real one"


def test_a_flood_of_receipts_is_slowed_down(app: FastAPI, company: Company) -> None:
    raw = receipt_for(company, issue(company))
    with transaction(company.engine) as session:
        for _ in range(PER_MINUTE):
            throttle.count(session, "receipts", timedelta(minutes=1), wall_now())
    answer = Program.without_token(app).client.post(f"{BASE}/receipts", content=raw)
    assert (answer.status_code, problem(answer)["code"]) == (429, "receipts.too_many")
    assert int(answer.headers["retry-after"]) > 0
    assert Program.without_token(app).client.post(f"{BASE}/receipts", content=b"x" * 16_385).status_code == 413
