"""Who may: sign-in, roles, foreign forms, and the token of a program."""

import pytest
from fastapi import FastAPI
from sqlmodel import select

from tests.console import vendor
from tests.web.console_page import ORIGIN, PATH, Visitor, installed
from workflow.console import accounts
from workflow.console.identity import Console, digest
from workflow.console.store import StagedUpload
from workflow.database import reading


def test_nobody_sees_anything_without_signing_in_and_is_led_back(app: FastAPI) -> None:
    visitor = Visitor.at(app)
    assert "/console/sign-in?next=/console/license" in str(visitor.page.url)
    for address in (f"{PATH}/history.csv", f"{PATH}/history/1/file", f"{PATH}/uploads/UP-1", f"{PATH}/receipts/1"):
        assert visitor.client.get(address, follow_redirects=False).status_code == 303


def test_a_member_who_is_no_administrator_gets_403_on_everything(app: FastAPI) -> None:
    member = Visitor.signed_in(app, vendor.MEMBER)
    assert member.page.status_code == 403
    assert "Ask a platform administrator" in member.text
    for address in (PATH, f"{PATH}/history.csv", f"{PATH}/uploads/UP-1"):
        assert member.open(address).status_code == 403
    assert member.send([("file", ("a.lic", vendor.lic()))]).status_code == 403
    assert member.post(f"{PATH}/uploads/UP-1/activate").status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.test", "null", None])
def test_a_form_of_another_site_is_refused(admin: Visitor, console: Console, origin: str | None) -> None:
    headers = {"Origin": origin} if origin else {}
    admin.client.headers.pop("Origin")
    answer = admin.client.post(
        f"{PATH}/uploads", data={"csrf": admin.token}, files={"file": ("a.lic", vendor.lic())}, headers=headers
    )
    assert answer.status_code == 403
    with reading(console.engine) as session:
        assert not session.exec(select(StagedUpload)).all()


def test_a_form_without_its_token_is_refused(admin: Visitor) -> None:
    answer = admin.client.post(f"{PATH}/uploads", data={"csrf": "0" * 64}, files={"file": ("a.lic", vendor.lic())})
    assert answer.status_code == 403


def test_an_unknown_host_gets_400(app: FastAPI) -> None:
    assert Visitor.at(app).client.get("/health", headers={"Host": "evil.test"}).status_code == 400


def test_wrong_credentials_are_said_beside_the_field_and_then_throttled(app: FastAPI) -> None:
    visitor = Visitor.at(app)
    for _ in range(accounts.FREE_ATTEMPTS):
        answer = visitor.post("/console/sign-in", email=vendor.ADMIN, password="wrong password")
        assert answer.status_code == 401
        assert "password is not right" in visitor.text
    answer = visitor.post("/console/sign-in", email=vendor.ADMIN, password=vendor.PASSWORD)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "Try again in 1 min" in visitor.text


@pytest.mark.parametrize("elsewhere", ["//evil.test", "https://evil.test", "/\\evil.test"])
def test_signing_in_never_leads_to_another_site(app: FastAPI, elsewhere: str) -> None:
    visitor = Visitor.at(app)
    visitor.client.follow_redirects = False
    answer = visitor.post("/console/sign-in", email=vendor.ADMIN, password=vendor.PASSWORD, next=elsewhere)
    assert answer.headers["location"] == PATH


def test_the_session_cookie_is_the_consoles_own_and_out_of_reach_of_scripts(app: FastAPI) -> None:
    visitor = Visitor.at(app)
    visitor.client.follow_redirects = False
    answer = visitor.post("/console/sign-in", email=vendor.ADMIN, password=vendor.PASSWORD)
    (cookie,) = [each for each in answer.headers.get_list("set-cookie") if each.startswith("console_session=")]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_signing_out_ends_the_session_on_the_server(admin: Visitor) -> None:
    cookie = admin.client.cookies["console_session"]
    admin.post("/console/sign-out")
    assert "You are signed out" in admin.text
    admin.client.cookies.set("console_session", cookie)
    assert "/console/sign-in" in str(admin.open().url)


def test_programs_ask_with_the_token_only(app: FastAPI, admin: Visitor, console: Console) -> None:
    installed(admin, vendor.lic())
    programs = Visitor.at(app).client
    refused = programs.get("/console/api/license")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert programs.get("/console/api/license", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert admin.client.get("/console/api/license").status_code == 401
    token = (console.directory / "api-token").read_text().strip()
    answer = programs.get("/console/api/license", headers={"Authorization": f"Bearer {token}"})
    facts = answer.json()
    assert (facts["state"], facts["version"], facts["generation"]) == ("active", 1, 1)
    assert facts["limits"]["agents"] == {"max": 80, "count": "total", "over": "block_new"}
    assert {each["code"] for each in facts["modules"]} >= {"agent-studio", "workflow"}
    assert "activation" not in answer.text
    assert digest(token.encode()) not in answer.text


def test_health_needs_nobody(app: FastAPI) -> None:
    answer = Visitor.at(app).client.get("/health")
    assert answer.json() == {"status": "ok", "generation": 0}
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert ORIGIN not in answer.text
