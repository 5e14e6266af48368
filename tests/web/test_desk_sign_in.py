"""Signing in: one message for every wrong try, a new session each time, back to the page that was asked for."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlmodel import select

from tests.web.desk import ORIGIN, PASSWORD, Browser
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.tables import SignedIn
from workflow.services.sessions import IDLE_LIMIT, SIGN_IN_TRIES


def test_a_person_comes_back_to_the_page_that_was_asked_for(app: FastAPI) -> None:
    browser = Browser.on(app)
    assert browser.open("/applications?state=submitted").url.path == "/sign-in"
    answer = browser.send("/sign-in", email="liaison@serviceme.example", password=PASSWORD)
    assert str(answer.url) == f"{ORIGIN}/applications?state=submitted"


@pytest.mark.parametrize("away", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_never_leads_to_another_site(app: FastAPI, away: str) -> None:
    browser = Browser.on(app)
    browser.open("/sign-in")
    answer = browser.send("/sign-in", email="liaison@serviceme.example", password=PASSWORD, next=away)
    assert str(answer.url) == f"{ORIGIN}/"


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(app: FastAPI) -> None:
    said = set()
    for email in ("liaison@serviceme.example", "nobody@serviceme.example"):
        browser = Browser.on(app)
        assert browser.sign_in(email, "wrong").status_code == 401
        assert 'href="#email"' in browser.page.text
        said.add(browser.words.replace(email, ""))
    assert len(said) == 1


def test_too_many_wrong_passwords_close_the_address_for_a_while(app: FastAPI) -> None:
    browser = Browser.on(app)
    for _ in range(SIGN_IN_TRIES):
        browser.sign_in("liaison@serviceme.example", "wrong")
    answer = browser.sign_in("liaison@serviceme.example", PASSWORD)
    assert answer.status_code == 429
    assert "Retry-After" in answer.headers
    assert "Try again in" in browser.words


def test_each_sign_in_makes_a_new_session_and_signing_out_ends_it(app: FastAPI) -> None:
    browser = Browser.on(app)
    browser.client.cookies.set("desk_session", "a value somebody planted")
    browser.sign_in("liaison@serviceme.example")
    first = browser.client.cookies.get("desk_session", domain="desk.test")
    assert first
    assert first != "a value somebody planted"
    browser.open("/")
    browser.send("/sign-out")
    assert "You are signed out." in browser.words
    browser.client.cookies.set("desk_session", first)
    assert browser.open("/").url.path == "/sign-in"


def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(app: FastAPI) -> None:
    browser = Browser.on(app)
    browser.open("/sign-in")
    browser.client.follow_redirects = False
    answer = browser.send("/sign-in", email="liaison@serviceme.example", password=PASSWORD)
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("desk_session"))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_what_a_page_asks_by_itself_keeps_no_session_alive(browser: Callable[[str], Browser], company: Company) -> None:
    person = browser("liaison")

    def seen_after(headers: dict[str, str]) -> bool:
        with transaction(company.engine) as session:
            row = session.exec(select(SignedIn)).one()
            row.seen_at -= timedelta(minutes=10)
            before = row.seen_at
        assert person.client.get("/", headers=headers).status_code == 200
        with transaction(company.engine) as session:
            return session.exec(select(SignedIn)).one().seen_at > before

    assert not seen_after({"X-Background": "1"})
    assert seen_after({})


def test_an_idle_session_ends(browser: Callable[[str], Browser], company: Company) -> None:
    person = browser("liaison")
    with transaction(company.engine) as session:
        row = session.exec(select(SignedIn)).one()
        row.seen_at -= IDLE_LIMIT + timedelta(minutes=1)
    assert person.open("/applications").url.path == "/sign-in"
    assert "Your session has ended" in person.words
