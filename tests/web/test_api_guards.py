"""Who may call the API, what it refuses, and that repeating or overtaking a request does no harm."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from sqlmodel import select

from tests.web.api import Program, pointers, problem, terms
from tests.web.desk import ORIGIN, Browser
from workflow.database import transaction
from workflow.db.tables import ApiToken, Application, IdempotencyKey, Person
from workflow.times import wall_now
from workflow.web.shared.csrf import token_for

As = Callable[[str], Program]
Open = Callable[[str], Browser]


def count(app: FastAPI, table: type) -> int:
    with transaction(app.state.house.engine) as session:
        return len(session.exec(select(table)).all())


# Who calls ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/applications", "/licenses", "/customers", "/reminders", "/jobs", "/catalogue", "/me"])
def test_nothing_is_told_without_a_token(app: FastAPI, path: str) -> None:
    answer = Program.without_token(app).get(path)
    assert (answer.status_code, problem(answer)["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_that_ended_or_was_revoked_is_refused(app: FastAPI, program: As) -> None:
    liaison = program("liaison")
    assert liaison.get("/me").json()["name"] == "Lin Mei"
    for change in ({"ends_at": wall_now() - timedelta(seconds=1)}, {"revoked_at": wall_now()}):
        with transaction(app.state.house.engine) as session:
            row = session.exec(select(ApiToken)).one()
            row.ends_at, row.revoked_at = wall_now() + timedelta(days=1), None
            for name, value in change.items():
                setattr(row, name, value)
        refused = liaison.get("/me")
        assert (refused.status_code, problem(refused)["code"]) == (401, "accounts.token_refused")


def test_the_owner_of_a_token_sees_when_it_was_used(app: FastAPI, program: As) -> None:
    program("liaison").get("/me")
    with transaction(app.state.house.engine) as session:
        used = session.exec(select(ApiToken)).one().used_at
    assert used is not None
    assert wall_now() - used < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("who", "path", "body"),
    [
        ("approver", "/applications", terms()),
        ("auditor", "/applications", terms()),
        ("liaison", "/applications/APP-2026-0001/votes", {"choice": "approve", "revision": 1}),
        ("approver", "/customers", {"tenant_id": "T-1", "company": "One", "time_zone": "UTC"}),
        ("liaison", f"/jobs/{UUID(int=7)}/retry", None),
        ("stranger", "/renewals", {"license_id": "PROD-00000-00000-00000"}),
    ],
)
def test_a_missing_role_is_named(program: As, who: str, path: str, body: Any) -> None:
    answer = program(who).post(path, body)
    assert (answer.status_code, problem(answer)["code"]) == (403, "roles.missing")
    assert "needs the role" in problem(answer)["detail"]


def test_nobody_learns_of_what_is_not_theirs(program: As, company: Any) -> None:
    number = company.apply()
    for who in ("administrator", "stranger"):
        for path in ("", "/votes", "/events", "/revisions", "/deliveries"):
            assert program(who).get(f"/applications/{number}{path}").status_code in (403, 404)


def test_a_browser_needs_its_form_token_to_write(app: FastAPI, browser: Open) -> None:
    client = browser("liaison").client
    assert client.get("/api/v1/me").json()["name"] == "Lin Mei"
    body = {"tenant_id": "T-1", "company": "One", "time_zone": "UTC"}
    for headers in (
        {},
        {"Origin": ORIGIN},
        {"Origin": "http://evil.test", "X-CSRF-Token": token_for(client.cookies["desk_session"])},
    ):
        answer = client.post("/api/v1/customers", json=body, headers=headers)
        assert (answer.status_code, problem(answer)["status"]) == (403, 403)
    good = {"Origin": ORIGIN, "X-CSRF-Token": token_for(client.cookies["desk_session"])}
    assert client.post("/api/v1/customers", json=body, headers=good).status_code == 201


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "request.malformed"),
        (b"[" * 60_000, "http.400"),
        (b"[]", "request.malformed"),
        (b'{"tenant_id": "\\u0000"}', "request.malformed"),
        (b'{"limits": {"\\ud800": 1}}', "request.malformed"),
        (b'{"modules": [{"a": [1]}], "limits": {"agents": 1e999, "users": NaN}}', "application.terms_refused"),
        (b"\xff\xfe", "request.malformed"),
        (b'{"note": ' + b"[" * 400 + b"]" * 400 + b"}", "request.malformed"),
        (b'{"note": "a", "note": "b"}', "request.malformed"),
        (b'{"limits": {"users": 1, "\\u0075sers": 2}}', "request.malformed"),
    ],
)
def test_a_body_that_is_no_application_is_refused_in_words(program: As, body: bytes, code: str) -> None:
    liaison = program("liaison")
    headers = {"Authorization": f"Bearer {liaison.token}", "Content-Type": "application/json"}
    answer = liaison.client.post("/api/v1/applications", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert problem(answer)["code"] == code


def test_more_than_a_body_may_hold_is_refused(program: As) -> None:
    answer = program("liaison").post("/applications", terms(note="x" * 300_000))
    assert (answer.status_code, problem(answer)["code"]) == (413, "http.413")


@pytest.mark.parametrize(
    "path",
    [
        "/applications/%00",
        "/applications?search=%00",
        "/licenses/%00/versions/1/file",
        "/applications?cursor=%00",
        "/nothing/here",
    ],
)
def test_an_address_no_database_can_look_up_is_no_failure(program: As, path: str) -> None:
    assert problem(program("liaison").get(path))["status"] in (404, 422)


ROW = str(UUID(int=7))


@pytest.mark.parametrize("path", ["/applications", "/licenses", "/customers", "/reminders"])
def test_a_cursor_that_was_not_made_here_is_refused(program: As, path: str) -> None:
    liaison = program("liaison")
    forged = [
        *('["x","y"]', "[1,2]", "nonsense", "[" * 700, "[NaN,1]", f'["\\ud800","{ROW}"]', f'["\\u0000","{ROW}"]'),
        *(f'["2026-01-01T00:00:00+00:00","{ROW}",{10**30},"a"]', f'["2026-01-01T00:00:00+00:00","{ROW}",7,"\\ud800"]'),
        f'["0001-01-01T00:00:00+14:00","{ROW}",7,"a"]',
        *([f'["0001-01-01T00:00:00+14:00","{ROW}"]', f'["9999-12-31T23:59:59-14:00","{ROW}"]'] if path != "/customers" else []),
    ]
    for cursor in ("x", *(base64.urlsafe_b64encode(each.encode()).decode() for each in forged)):
        for accept in ("application/json", "text/csv"):
            answer = liaison.get(f"{path}?cursor={cursor}", Accept=accept)
            assert (answer.status_code, problem(answer)["code"]) == (422, "list.cursor_unusable"), (accept, cursor)


def test_a_filter_that_does_not_exist_names_those_that_do(program: As) -> None:
    answer = program("liaison").get("/applications?status=lost&limit=201")
    assert pointers(answer) == {"#/query/status": "request.enum", "#/query/limit": "request.less_than_equal"}


# Once, and not on top of others' work ---------------------------------------------------------------------------------


def test_the_same_request_again_gets_the_same_answer_and_does_nothing(app: FastAPI, program: As) -> None:
    liaison, body = program("liaison"), terms()
    first = liaison.post("/applications", body, Idempotency_Key="k-1")
    again = liaison.post("/applications", body, Idempotency_Key="k-1")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotency-replayed"] == "true"
    assert count(app, Application) == 1


def test_a_key_stands_for_one_request_of_one_person(app: FastAPI, program: As) -> None:
    liaison = program("liaison")
    assert liaison.post("/applications", terms(), Idempotency_Key="k-1").status_code == 201
    other = liaison.post("/applications", terms(note="Another."), Idempotency_Key="k-1")
    assert (other.status_code, problem(other)["code"]) == (422, "request.key_reused")
    elsewhere = liaison.post("/applications?submit=false", terms(), Idempotency_Key="k-1")
    assert problem(elsewhere)["code"] == "request.key_reused"
    body = {"tenant_id": "T-1", "company": "One", "time_zone": "UTC"}
    assert program("operator").post("/customers", body, Idempotency_Key="k-1").status_code == 201
    for key in ("", "x" * 201, "späth"):
        refused = liaison.client.post(
            "/api/v1/applications",
            json=terms(),
            headers={"Authorization": f"Bearer {liaison.token}", "Idempotency-Key": key.encode("latin-1")},
        )
        assert problem(refused)["code"] == "request.key_unusable"


def test_a_refusal_is_not_kept_so_the_corrected_request_may_use_its_key(app: FastAPI, program: As) -> None:
    liaison = program("liaison")
    assert liaison.post("/applications", terms(modules=[]), Idempotency_Key="k-1").status_code == 422
    assert count(app, IdempotencyKey) == 0
    assert liaison.post("/applications", terms(), Idempotency_Key="k-1").status_code == 201


def test_a_key_is_free_again_after_its_day(app: FastAPI, program: As) -> None:
    liaison = program("liaison")
    liaison.post("/applications", terms(), Idempotency_Key="k-1")
    with transaction(app.state.house.engine) as session:
        session.exec(select(IdempotencyKey)).one().until = wall_now() - timedelta(seconds=1)
    assert liaison.post("/applications", terms(note="Tomorrow."), Idempotency_Key="k-1").status_code == 201
    assert count(app, Application) == 2


def test_six_at_once_with_one_key_make_one_application(app: FastAPI, program: As) -> None:
    liaison, body = program("liaison"), terms()
    clients = [Program.without_token(app, liaison.token) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda each: each.post("/applications", body, Idempotency_Key="k-1"), clients))
    assert {each.status_code for each in answers} == {201}
    assert len({each.json()["number"] for each in answers}) == 1
    assert count(app, Application) == 1


def test_six_at_once_who_add_one_customer_are_told_so(program: As, app: FastAPI) -> None:
    token = program("liaison").token
    body = {"tenant_id": "T-1", "company": "One", "time_zone": "UTC"}
    clients = [Program.without_token(app, token) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda each: each.post("/customers", body), clients))
    assert sorted(each.status_code for each in answers) == [201] + [409] * 5


def test_replacing_needs_the_version_that_was_read(program: As) -> None:
    liaison = program("liaison")
    made = liaison.post("/applications", terms())
    path = f"/applications/{made.json()['number']}"
    assert liaison.put(path, terms()).status_code == 428
    assert liaison.put(path, terms(), If_Match='"not ours"').status_code == 412
    assert liaison.put(path, terms(note="New."), If_Match=made.headers["etag"]).status_code == 200
    late = liaison.put(path, terms(note="Newer."), If_Match=made.headers["etag"])
    assert (late.status_code, problem(late)["code"]) == (412, "application.version_moved")
    assert "Lin Mei revised it" in problem(late)["detail"]


# The description ------------------------------------------------------------------------------------------------------


def test_the_description_is_public_and_its_examples_fit(app: FastAPI) -> None:
    document = Program.without_token(app).get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    seen = 0
    for schema in schemas.values():
        for example in schema.get("examples", []):
            Draft202012Validator({**schema, "components": document["components"]}).validate(example)
            seen += 1
    assert seen >= 5
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    assert len(operations) >= 25
    assert all(each.get("summary") for each in operations)
    assert "HTTPValidationError" not in json.dumps(document), "problems are described as they are"


def test_what_is_answered_has_the_described_shape(app: FastAPI, program: As, company: Any) -> None:
    number = company.apply()
    auditor = program("auditor")
    document = auditor.get("/openapi.json").json()
    for path, real in (
        ("/applications/{number}", f"/applications/{number}"),
        ("/applications/{number}/events", f"/applications/{number}/events"),
        ("/applications", "/applications"),
        ("/customers/{tenant_id}", "/customers/T-20817"),
        ("/catalogue", "/catalogue"),
    ):
        described = document["paths"][f"/api/v1{path}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator({**described, "components": document["components"]}).validate(auditor.get(real).json())


def test_everybody_who_is_somebody_can_ask_who_they_are(app: FastAPI, program: As) -> None:
    for person, roles in (("approver", ["approver"]), ("stranger", [])):
        assert program(person).get("/me").json()["roles"] == roles
    assert count(app, Person) > 1
