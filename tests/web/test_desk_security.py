"""Password, second factor and one-time links on pages, and what a vote on PROD asks for."""

import dataclasses
import re
from collections.abc import Callable

import pyotp
import pytest
from fastapi import FastAPI
from sqlmodel import col, select

from tests.servers import SmtpCatcher, plain_text
from tests.web.api import Program
from tests.web.desk import ORIGIN, PASSWORD, Browser
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.tables import Delivery, Person, SecondFactor
from workflow.domain.application import Status
from workflow.domain.events import Job
from workflow.times import wall_now
from workflow.web.desk.app import create_app

Open = Callable[[str], Browser]
PAGE, ENROL = "/profile/security", "/profile/security/second-factor"


class Phone:
    """An authenticator app. A code of it is good once, so each one asked for is of another half minute."""

    def __init__(self, secret: str) -> None:
        self.totp, self.used = pyotp.TOTP(secret), -1

    def code(self) -> str:
        self.used += 1
        assert self.used <= 1, "a code two steps ahead is not good yet"
        return self.totp.at(wall_now(), counter_offset=self.used)


def enrol(person: Browser) -> tuple[Phone, list[str]]:
    """Sets the second factor up as a person would; returns the app and the recovery codes."""
    person.open(PAGE)
    page = person.send(f"{ENROL}/start")
    assert page.url.path == ENROL
    assert 'class="qr"' in page.text
    secret = re.search(r'id="secret">([A-Z2-7 ]+)<', page.text)
    assert secret
    phone = Phone(secret[1].replace(" ", ""))
    done = person.send(ENROL, code=phone.totp.at(wall_now(), counter_offset=-1))
    assert done.status_code == 201, person.words
    return phone, re.findall(r"<code>([0-9A-Z-]{19})</code>", done.text)


@pytest.fixture
def strict(app: FastAPI) -> FastAPI:
    """The same desk as it runs in production: votes on PROD need a second factor."""
    settings = dataclasses.replace(app.state.house.settings, second_factor_for_prod=True)
    return create_app(settings)


def test_an_app_is_set_up_and_asked_for_at_the_next_sign_in(browser: Open, app: FastAPI) -> None:
    person = browser("approver")
    phone, codes = enrol(person)
    assert len(codes) == 10
    person.open(PAGE)
    assert "10 codes are left." in person.words
    assert codes[0] not in person.page.text
    other = Browser.on(app)
    other.open("/applications?state=submitted")
    asked = other.send("/sign-in", email="approver@serviceme.example", password=PASSWORD)
    assert "Enter the code" in other.words
    assert other.client.get("/api/v1/me").status_code == 401
    assert other.send("/sign-in/code", code="000000").status_code == 401
    answer = other.send("/sign-in/code", code=phone.code())
    assert str(answer.url) == f"{ORIGIN}/applications?state=submitted", asked.text
    third = Browser.on(app)
    third.sign_in("approver@serviceme.example")
    third.send("/sign-in/code", code=codes[3])
    assert third.page.url.path == "/"
    fourth = Browser.on(app)
    fourth.sign_in("approver@serviceme.example")
    assert fourth.send("/sign-in/code", code=codes[3]).status_code == 401, "a recovery code works once"


def test_setting_up_needs_the_password_and_a_right_code(browser: Open) -> None:
    person = browser("approver")
    person.open(PAGE)
    refused = person.send(f"{ENROL}/start", password="wrong")
    assert refused.status_code == 422
    assert 'href="#start-password"' in refused.text
    assert person.open(ENROL).url.path == PAGE, "there is nothing to show yet"
    person.send(f"{ENROL}/start")
    assert person.send(ENROL, code="000000").status_code == 422
    assert "This code does not fit" in person.words
    enrol(person)
    assert person.open(ENROL).url.path == PAGE, "a secret in use is never shown again"


def test_it_is_turned_off_with_a_code_only(browser: Open) -> None:
    person = browser("approver")
    phone, _ = enrol(person)
    person.open(PAGE)
    assert person.send(f"{ENROL}/off", code="000000").status_code == 422
    person.send(f"{ENROL}/off", code=phone.code())
    assert "Your second factor is turned off." in person.words


def test_a_password_is_changed_with_the_old_one_and_other_browsers_are_out(browser: Open, app: FastAPI) -> None:
    person, elsewhere = browser("liaison"), browser("liaison")
    person.open(PAGE)
    assert person.words.count("Signed in ") >= 2
    short = person.send(f"{PAGE}/password", new_password="short")
    assert short.status_code == 422
    assert 'href="#password-new_password"' in short.text
    assert person.send(f"{PAGE}/password", password="wrong", new_password="a much better password").status_code == 422
    person.send(f"{PAGE}/password", new_password="a much better password")
    assert "Your password is changed." in person.words
    assert elsewhere.open("/profile").url.path == "/sign-in"
    fresh = Browser.on(app)
    assert fresh.sign_in("liaison@serviceme.example").status_code == 401
    assert fresh.sign_in("liaison@serviceme.example", "a much better password").status_code == 200


def test_another_browser_is_signed_out_from_here(browser: Open) -> None:
    person, elsewhere, stranger = browser("liaison"), browser("liaison"), browser("stranger")
    person.open(PAGE)
    end = re.search(r'action="(/profile/security/sessions/[^"]+/end)"', person.page.text)
    assert end
    stranger.open(PAGE)
    forged = {"csrf": dict(stranger.form("/sign-out"))["csrf"]}
    assert stranger.client.post(end[1], data=forged, headers={"Origin": ORIGIN}).status_code == 404
    person.send(end[1])
    assert "That browser is signed out." in person.words
    assert elsewhere.open("/profile").url.path == "/sign-in"


# One-time links


def test_a_forgotten_password_is_chosen_anew_by_mail(app: FastAPI, company: Company, smtp: SmtpCatcher) -> None:
    said = set()
    for email in ("approver@serviceme.example", "nobody@serviceme.example"):
        person = Browser.on(app)
        person.open("/sign-in")
        assert 'href="/forgot"' in person.page.text
        person.open("/forgot")
        person.send("/forgot", email=email)
        said.add(person.words.replace(email, ""))
    assert len(said) == 1
    company.run(Job.ONE_TIME_LINK)
    (message,) = smtp.messages
    assert message["To"].addresses[0].addr_spec == "approver@serviceme.example"
    link = re.search(r"/welcome/[\w-]{43}", plain_text(message))
    assert link
    with transaction(company.engine) as session:
        kept = session.exec(select(Delivery).where(Delivery.kind == "one_time_link")).one()
        assert (kept.state, kept.mime) == ("accepted", None), "whoever reads the database finds no link that works"
    person = Browser.on(app)
    person.open(link[0])
    person.open(link[0])  # mail scanners open links; nothing happens on GET
    assert "You sign in as approver@serviceme.example." in person.words
    assert person.send(link[0], password="short").status_code == 422
    person.send(link[0], password="a much better password")
    assert "Your password is set." in person.words
    assert Browser.on(app).open(link[0]).status_code == 404
    person.send("/sign-in", email="approver@serviceme.example", password="a much better password")
    assert person.page.url.path == "/"


def test_who_chose_a_password_after_a_submission_does_not_decide_on_it(app: FastAPI, browser: Open, company: Company) -> None:
    number = company.apply()
    approver = browser("approver")
    with transaction(company.engine) as session:
        session.exec(select(Person).where(Person.email == "approver@serviceme.example")).one().credentials_at = wall_now()
    approver.open(f"/approvals/{number}")
    assert 'name="decision"' not in approver.page.text
    assert company.application(number).status == Status.SUBMITTED


# Votes on PROD


def test_a_vote_on_prod_asks_for_the_password_and_shows_no_code_field_to_who_has_none(browser: Open, company: Company) -> None:
    number = company.apply()
    approver = browser("approver")
    approver.open(f"/approvals/{number}")
    fields = dict(approver.form(f"/approvals/{number}"))
    assert "password" in fields
    assert "code" not in fields
    for wrong in ("", "wrong"):
        refused = approver.send(f"/approvals/{number}", decision="approve", comment="Fine.", password=wrong)
        assert refused.status_code == 422
        assert 'href="#password"' in refused.text
        assert dict(approver.form(f"/approvals/{number}"))["comment"] == "Fine."
    assert company.application(number).status == Status.SUBMITTED
    approver.send(f"/approvals/{number}", decision="approve")
    assert company.application(number).status == Status.APPROVED


def test_guessing_the_password_in_the_vote_is_stopped(browser: Open, company: Company) -> None:
    number = company.apply()
    approver = browser("approver")
    approver.open(f"/approvals/{number}")
    for _ in range(5):
        approver.send(f"/approvals/{number}", decision="approve", password="wrong")
    assert approver.send(f"/approvals/{number}", decision="approve").status_code == 429
    assert "Too many tries." in approver.words
    assert company.application(number).status == Status.SUBMITTED


def test_elsewhere_nothing_is_asked_for(browser: Open, company: Company) -> None:
    number = company.apply(environment="UAT")
    approver = browser("approver")
    approver.open(f"/approvals/{number}")
    assert "password" not in dict(approver.form(f"/approvals/{number}"))
    approver.send(f"/approvals/{number}", decision="approve")
    assert company.application(number).status == Status.APPROVED


def test_in_production_a_vote_on_prod_needs_the_second_factor(strict: FastAPI, company: Company) -> None:
    approver = Browser.on(strict)
    approver.sign_in("approver@serviceme.example")
    early = company.apply()
    approver.open(f"/approvals/{early}")
    assert 'name="decision"' not in approver.page.text
    assert "Set up a second factor" in approver.words
    phone, _ = enrol(approver)
    approver.open(f"/approvals/{early}")
    assert 'name="decision"' not in approver.page.text, "it counts for what is submitted after it was set up"
    number = company.apply(modules=["workflow"])
    address = f"/approvals/{number}"
    approver.open(address)
    assert approver.send(address, decision="approve", code="").status_code == 422
    assert approver.send(address, decision="approve", code="000000").status_code == 422
    code = phone.code()
    assert approver.send(address, decision="reject", code=code).status_code == 422, "why is missing"
    approver.send(address, decision="approve", code=code)
    assert f"Approved: {number}." in approver.words
    again = company.apply(agents=5, modules=["knowledge-base"])
    approver.open(f"/approvals/{again}")
    assert approver.send(f"/approvals/{again}", decision="approve", code=code).status_code == 422, "used already"
    assert company.application(again).status == Status.SUBMITTED


def test_the_api_never_votes_on_prod(app: FastAPI, program: Callable[[str], Program], company: Company) -> None:
    number = company.apply()
    for choice in ("approve", "reject", "request_changes"):
        body = {"choice": choice, "revision": 1, "comment": "By a program."}
        refused = program("approver").post(f"/applications/{number}/votes", body)
        assert (refused.status_code, refused.json()["code"]) == (403, "approvals.prod_needs_a_person")
    assert company.application(number).status == Status.SUBMITTED


def test_a_token_does_no_more_than_its_scopes_say(browser: Open, app: FastAPI) -> None:
    liaison = browser("liaison")
    liaison.open("/profile")
    made = liaison.send("/profile/tokens", name="report", days="30", scope=["download", "operate"])
    token = re.search(r"licdesk_[A-Za-z0-9_-]{43}", made.text)
    assert token
    assert "Read, download license files" in liaison.words
    report = Program.without_token(app, token[0])
    assert report.get("/applications").status_code == 200
    refused = report.post("/applications", {})
    assert (refused.status_code, refused.json()["code"]) == (403, "tokens.scope_missing")
    assert report.get("/jobs").json()["code"] == "roles.missing", "a scope adds nothing to a role"


def test_what_a_token_may_do_is_said_in_our_words(browser: Open) -> None:
    approver = browser("approver")
    approver.open("/profile")
    approver.send("/profile/tokens", name="report", days="30", scope=["decide"])
    assert "Read, decide, except on PROD" in approver.words


def test_the_secret_is_shown_while_it_waits_and_belongs_to_its_owner(browser: Open, company: Company) -> None:
    first, second = browser("approver"), browser("approver2")
    for person in (first, second):
        person.open(PAGE)
        person.send(f"{ENROL}/start")
    with transaction(company.engine) as session:
        secrets = session.exec(select(SecondFactor.secret).order_by(col(SecondFactor.person))).all()
    assert len(set(secrets)) == 2
    shown = [re.sub(r"\s", "", person.page.text) for person in (first, second)]
    assert sorted(sum(secret in page for secret in secrets) for page in shown) == [1, 1]
