"""A liaison writes an application: errors that lead to their field, a review, and nothing lost or sent twice."""

import re
from collections.abc import Callable

from fastapi import FastAPI

from tests.web.desk import ORIGIN, Browser
from tests.workers.company import WITH_CERTIFICATE, Company
from workflow.domain.application import Status
from workflow.domain.events import Job
from workflow.errors import Problem
from workflow.web.desk.shown.checks import still_open

Open = Callable[[str], Browser]


def environment_of(browser: Browser, name: str) -> str:
    """The License ID that the form offers for an environment."""
    found = re.search(rf'value="({name}-[^"]+)"', browser.page.text)
    assert found
    return found.group(1)


def fill(browser: Browser, **changes: str | list[str]) -> None:
    """Opens the form for the customer and sends it with answers that pass every check, except for `changes`."""
    browser.open("/applications/new?tenant=T-20817")
    answers: dict[str, str | list[str]] = {
        "environment": environment_of(browser, "PROD"),
        "modules": ["agent-studio", "workflow"],
        "model_types": ["chat"],
        "agents": "1,200",
        "users": "800",
        "first_day": "2099-01-01",
        "last_day": "2099-12-31",
        "duration": "dates",
        "recipients": [WITH_CERTIFICATE],
        "note": "Order PO-88213.",
        "action": "continue",
        **changes,
    }
    browser.send("/applications/new", **answers)


def number_in(browser: Browser) -> str:
    found = re.search(r"APP-\d{4}-\d{4}", str(browser.page.url) + browser.page.text)
    assert found
    return found.group()


def test_an_application_is_reviewed_and_then_submitted(browser: Open, company: Company) -> None:
    liaison = browser("liaison")
    fill(liaison)
    assert liaison.page.url.path.endswith("/review")
    for words in ("Agent Studio", "Workflow", "1,200", "1 Jan 2099 to 31 Dec 2099", "Order PO-88213.", "Zhang Wei"):
        assert words in liaison.words
    number = number_in(liaison)
    liaison.send(f"/applications/{number}/submit")
    assert liaison.page.url.path == f"/applications/{number}"
    assert "Submitted. The approvers were told by e-mail." in liaison.words
    assert company.application(number).status == Status.SUBMITTED


def test_every_error_is_in_the_summary_beside_its_field_and_its_link_lands_there(browser: Open) -> None:
    liaison = browser("liaison")
    fill(liaison, modules=[], agents="0", last_day="2098-12-31", recipients=[], environment="")
    assert liaison.page.status_code == 422
    page = liaison.page.text
    assert "<title>Error:" in page
    for sentence in (
        "Choose DEV, UAT or PROD.",
        "Choose at least one module.",
        "Maximum agents must be from 1 to 1,000,000.",
        "The last day must be on or after 1 Jan 2099.",
        "Choose at least one recipient of the license file.",
    ):
        assert liaison.words.count(sentence) == 2, sentence
    links = re.findall(r'<li><a href="#([^"]+)"', page)
    assert len(links) == 5
    for target in links:
        assert re.search(rf'<(input|select|textarea)[^>]* id="{re.escape(target)}"', page), target


def test_the_answers_survive_an_error(browser: Open) -> None:
    liaison = browser("liaison")
    fill(liaison, agents="many", note="A note\nof two lines & <b>.")
    sent = dict(liaison.form(f"/applications/{number_in(liaison)}/edit"))
    assert sent["agents"] == "many"
    assert sent["note"] == "A note\nof two lines & <b>."
    assert ("modules", "workflow") in liaison.form(f"/applications/{number_in(liaison)}/edit")


def test_a_draft_is_saved_incomplete_and_shown_to_nobody_else(browser: Open) -> None:
    liaison = browser("liaison")
    fill(liaison, agents="", action="save")
    number = number_in(liaison)
    assert "Draft saved. Nothing was sent to an approver." in liaison.words
    assert "Draft" in liaison.words
    approver = browser("approver")
    approver.open("/applications")
    assert number not in approver.words
    assert liaison.open(f"/applications/{number}/review").url.path.endswith("/edit")


def test_a_period_of_months_needs_no_script(browser: Open) -> None:
    liaison = browser("liaison")
    fill(liaison, first_day="2099-01-31", last_day="", duration="3m")
    assert "31 Jan 2099 to 29 Apr 2099" in liaison.words


def test_a_second_click_on_continue_keeps_one_draft_and_no_conflict(browser: Open) -> None:
    liaison = browser("liaison")
    fill(liaison, action="save")
    number = number_in(liaison)
    liaison.open(f"/applications/{number}/edit")
    form = liaison.page
    liaison.send(f"/applications/{number}/edit", users="900", action="continue")
    assert liaison.page.status_code == 200
    liaison.page = form
    again = liaison.send(f"/applications/{number}/edit", users="900", action="continue")
    assert again.status_code == 200
    assert again.url.path.endswith("/review")


def test_a_form_that_was_overtaken_says_so_and_overwrites_nothing(browser: Open) -> None:
    liaison = browser("liaison")
    fill(liaison, action="save")
    number = number_in(liaison)
    liaison.open(f"/applications/{number}/edit")
    stale = liaison.page
    liaison.send(f"/applications/{number}/edit", users="900", action="save")
    liaison.page = stale
    answer = liaison.send(f"/applications/{number}/edit", users="700", action="save")
    assert answer.status_code == 409
    assert "application.already_moved" in answer.text
    liaison.open(f"/applications/{number}/edit")
    assert dict(liaison.form(f"/applications/{number}/edit"))["users"] == "900"


def test_a_submitted_page_cannot_be_submitted_again(browser: Open) -> None:
    liaison = browser("liaison")
    fill(liaison)
    number, review = number_in(liaison), liaison.page
    liaison.send(f"/applications/{number}/submit")
    liaison.page = review
    again = liaison.send(f"/applications/{number}/submit")
    assert again.status_code == 409
    assert "This page is out of date" in liaison.words, "nobody else was quicker: it was a second click"
    assert "Lin Mei submitted it" in liaison.words
    assert f'href="/applications/{number}">Open the application' in again.text


def test_a_renewal_shows_the_difference_to_the_license_in_force(browser: Open, company: Company) -> None:
    first = company.apply()
    company.approve(first)
    company.run(Job.SIGN)
    liaison = browser("liaison")
    liaison.open(f"/applications/{first}")
    liaison.send(f"/applications/{first}/renew")
    number = str(liaison.page.url).rsplit("/", 2)[1]
    form = dict(liaison.form(f"/applications/{number}/edit"))
    assert form["agents"] == "120"
    assert form["request"] == "renewal"
    liaison.send(f"/applications/{number}/edit", agents="200", users="700", model_types=["vision"], action="continue")
    assert "was 120" in liaison.words
    assert "added: Vision" in liaison.words
    assert "removed: Chat" in liaison.words
    assert "Authorized users falls from 800 to 700" in liaison.words
    assert "Replaces version 1 without a gap" in liaison.words


def test_an_environment_with_a_license_offers_renewal_and_change_instead_of_a_new_one(browser: Open, company: Company) -> None:
    first = company.apply()
    company.approve(first)
    company.run(Job.SIGN)
    liaison = browser("liaison")
    liaison.open("/applications/new")
    assert f'action="/applications/{first}/renew"' in liaison.page.text
    address = re.search(r'href="(/applications/new\?tenant=T-20817[^"]+)"[^>]*>Start a change', liaison.page.text)
    assert address
    liaison.open(address.group(1).replace("&amp;", "&"))
    form = dict(liaison.form("/applications/new"))
    assert form["request"] == "change"
    assert form["users"] == "800"


def test_checks_beside_the_form_follow_what_it_holds_and_keep_nothing(browser: Open) -> None:
    liaison = browser("liaison")
    liaison.open("/applications/new?tenant=T-20817")
    fields = [(name, value) for name, value in liaison.form("/applications/new") if name != "environment"]
    fields += [("environment", environment_of(liaison, "UAT")), ("modules", "workflow"), ("model_types", "chat")]
    fields += [("agents", "5"), ("users", "6"), ("last_day", "2099-01-01")]
    data: dict[str, list[str]] = {}
    for name, value in fields:
        data.setdefault(name, []).append(value)
    data["first_day"], data["duration"] = ["2098-12-31"], ["dates"]
    answer = liaison.client.post("/applications/check", data=data, headers={"Origin": ORIGIN})
    assert answer.status_code == 200
    assert "31 Dec 2098 to 1 Jan 2099, 2 days." in answer.text
    assert "gets a link instead of the file" in answer.text
    liaison.open("/applications")
    assert "No application yet" in liaison.words


def test_a_customer_its_recipients_and_certificates_are_added_on_the_way(
    browser: Open, company: Company, mail_keys: object
) -> None:
    liaison = browser("liaison")
    liaison.open("/customers/new")
    assert liaison.send("/customers/new", company="", tenant_id="has blanks").status_code == 422
    assert liaison.words.count("Enter the company's name") == 2
    liaison.send("/customers/new", company="Tianhe Robotics", tenant_id="T-31002")
    assert "Tianhe Robotics was added." in liaison.words
    assert liaison.open("/customers/new").status_code == 200
    again = liaison.send("/customers/new", company="Tianhe Robotics", tenant_id="T-31002")
    assert again.status_code == 422
    assert "T-31002 already" in liaison.words
    liaison.open("/customers/T-31002")
    here = "/customers/T-31002/recipients"
    certificate = mail_keys.recipients[WITH_CERTIFICATE].read_bytes()  # type: ignore[attr-defined]
    refused = liaison.send(here, {"key": ("x.pem", certificate)}, name="Mo Li", address="mo.li@tianhe.example")
    assert refused.status_code == 422
    assert "Upload a certificate that names mo.li@tianhe.example" in liaison.words
    liaison.send(here, {"key": ("x.pem", certificate)}, name="Zhang Wei", address=WITH_CERTIFICATE)
    assert "Certificate valid to" in liaison.words
    private = liaison.send(here, {"key": ("x.pem", b"-----BEGIN PRIVATE KEY-----\nMC4=\n")}, name="A", address="a@b.example")
    assert private.status_code == 422


def test_withdrawing_and_copying(browser: Open, company: Company) -> None:
    number = company.apply()
    liaison = browser("liaison")
    liaison.open(f"/applications/{number}")
    liaison.send(f"/applications/{number}/withdraw", comment="Not needed.")
    assert "Withdrawn. Nothing will be signed." in liaison.words
    assert company.application(number).status == Status.WITHDRAWN
    liaison.send(f"/applications/{number}/copy")
    assert liaison.page.url.path.endswith("/edit")
    assert f"Filled in from {number}." in liaison.words


def test_nobody_without_the_role_applies(app: FastAPI, browser: Open, company: Company) -> None:
    number = company.apply()
    for who in ("approver", "operator", "auditor", "administrator", "stranger"):
        other = browser(who)
        for address in ("/applications/new", f"/applications/{number}/edit", f"/applications/{number}/review"):
            answer = other.open(address)
            assert answer.status_code == 403, (who, address)
            assert "role liaison" in other.words


def test_before_anybody_pressed_continue_wrong_answers_are_not_counted_as_missing() -> None:
    problems = [Problem(each, "missing", "") for each in ("modules", "recipients")]
    assert still_open(problems).title == "2 answers are missing"
    assert (
        still_open([*problems, Problem("limits.users", "not_a_number", "")]).title
        == "2 answers are missing, 1 answer needs fixing"
    )
