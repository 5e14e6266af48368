"""What holds for every page at once: forms are guarded, roles are checked, nothing answers 500."""

import re
from collections.abc import Callable

from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlmodel import select

from tests.servers import SmtpCatcher
from tests.web.desk import ORIGIN, Browser
from tests.workers.company import Company
from workflow.database import reading, transaction
from workflow.db.ids import new_id
from workflow.db.queries import deliveries, people
from workflow.db.tables import Delivery, IssuedLicense
from workflow.domain.events import Job
from workflow.web.desk.pages import ROUTERS
from workflow.web.shared.forms import posted_form

Open = Callable[[str], Browser]
ROLES = ("liaison", "approver", "operator", "auditor", "administrator", "stranger")


def routes() -> list[APIRoute]:
    return [each for router in ROUTERS for each in router.routes if isinstance(each, APIRoute)]


def methods_of(route: APIRoute) -> set[str]:
    assert route.methods
    return route.methods


def uses(route: APIRoute, dependency: object) -> bool:
    waiting = list(route.dependant.dependencies)
    while waiting:
        each = waiting.pop()
        if each.call is dependency:
            return True
        waiting += each.dependencies
    return False


def test_every_post_of_a_page_checks_where_the_form_came_from() -> None:
    posts = [each for each in routes() if "POST" in methods_of(each)]
    assert len(posts) > 20
    assert [each.path for each in posts if not uses(each, posted_form)] == []


def test_pages_answer_get_and_post_only_and_get_has_no_form() -> None:
    for each in routes():
        assert methods_of(each) <= {"GET", "POST"}, each.path
        assert "GET" not in methods_of(each) or not uses(each, posted_form), each.path


def test_every_page_answers_every_role_without_an_error_of_ours(browser: Open, company: Company) -> None:
    number = company.apply()
    company.approve(number)
    for kind in (Job.SIGN, Job.LETTER, Job.DELIVER):
        company.run(kind)
    waiting = company.apply(environment="UAT")
    with transaction(company.engine) as session:
        license_id = session.exec(select(IssuedLicense.license_id)).one()
    values = {"number": waiting, "license_id": license_id, "tenant_id": "T-20817", "path": "nowhere", "token": "x" * 43}
    values |= {"person_id": str(company.liaison.person_id), "name": "license_delivery", "language": "en"}
    with transaction(company.engine) as session:
        values["delivery_id"] = str(session.exec(select(Delivery.id)).first())
    addresses = [each.path for each in routes() if "GET" in methods_of(each) and not each.path.endswith("/stream")]
    for who in ROLES:
        person = browser(who)
        for path in addresses:
            answer = person.open(re.sub(r"\{(\w+)(:path)?\}", lambda m: values[m.group(1)], path))
            assert answer.status_code in (200, 403, 404), (who, path, answer.status_code)
            if answer.headers["Content-Type"].startswith("text/html"):
                assert answer.text.count("<h1") == 1, (who, path)
                framed = (
                    path.startswith("/settings/letters/") and answer.status_code == 200
                )  # a mail, under a policy of its own
                assert framed or " style=" not in answer.text, (who, path)
                assert re.search(r"<title>[^<]+</title>", answer.text)


def test_no_page_looks_a_nul_up_or_stores_one(browser: Open, company: Company) -> None:
    number = company.apply()
    approver = browser("approver")
    for path in (
        "/applications?q=%00",
        "/licenses?q=a%00",
        "/customers?q=%00",
        "/applications/%00",
        "/customers/%00",
        "/d/%00",
    ):
        assert approver.open(path).status_code == 404, path
    approver.open(f"/approvals/{number}")
    assert approver.send(f"/approvals/{number}", decision="reject", comment="a\0b").status_code == 400
    assert company.application(number).status == "submitted"


def test_every_post_without_a_token_is_refused_for_every_role(browser: Open, company: Company) -> None:
    number = company.apply()
    values = {"number": number, "license_id": "X", "tenant_id": "T-20817", "token": "x" * 43, "version": "1"}
    for who in ("liaison", "stranger"):
        person = browser(who)
        for path in [each.path for each in routes() if "POST" in methods_of(each)]:
            filled = re.sub(r"\{(\w+)\}", lambda m: values.get(m.group(1), "01890000-0000-7000-8000-000000000000"), path)
            answer = person.client.post(filled, data={"csrf": "0" * 64}, headers={"Origin": ORIGIN})
            assert answer.status_code == 403, (who, path, answer.status_code)


def test_operators_retry_and_cancel_what_gave_up(browser: Open, company: Company, smtp: SmtpCatcher) -> None:
    number = company.apply()
    company.approve(number)
    smtp.refuse["RCPT"] = "550 5.1.1 no such user here"
    company.run(Job.LETTER)
    operator = browser("operator")
    operator.open("/")
    assert "Jobs that gave up" in operator.words
    operator.open("/operations")
    assert "no such user here" in operator.words
    assert "Send a letter" in operator.words
    retry = re.search(r'action="(/operations/jobs/[^"]+/retry)"', operator.page.text)
    assert retry
    page = operator.page
    operator.send(retry.group(1))
    assert "The job is tried again." in operator.words
    operator.page = page
    assert operator.send(retry.group(1)).status_code == 409
    liaison = browser("liaison")
    assert liaison.open("/operations").status_code == 403
    with transaction(company.engine) as session:
        states = [each.state for each in deliveries.list_jobs(session)]
    assert "pending" in states


def test_a_token_is_shown_once_and_can_be_revoked(browser: Open) -> None:
    liaison = browser("liaison")
    liaison.open("/profile")
    assert liaison.send("/profile/tokens", name="", days="90").status_code == 422
    made = liaison.send("/profile/tokens", name="nightly export", days="90")
    assert made.status_code == 201
    token = re.search(r"licdesk_[A-Za-z0-9_-]{43}", made.text)
    assert token
    liaison.open("/profile")
    assert token.group() not in liaison.page.text
    assert "nightly export" in liaison.words
    revoke = re.search(r'action="(/profile/tokens/[^"]+/revoke)"', liaison.page.text)
    assert revoke
    other = browser("approver")
    other.open("/profile")
    other.page = liaison.page
    forged = other.client.post(revoke.group(1), data={"csrf": dict(_token(other))["csrf"]}, headers={"Origin": ORIGIN})
    assert forged.status_code == 404
    liaison.send(revoke.group(1))
    assert "The token is revoked." in liaison.words


def _token(browser: Browser) -> list[tuple[str, str]]:
    browser.open("/profile")
    return browser.form("/sign-out")


def test_times_are_shown_in_the_zone_a_person_chose(browser: Open, company: Company) -> None:
    liaison = browser("liaison")
    liaison.open("/profile")
    assert liaison.send("/profile/preferences", time_zone="Mars/Olympus").status_code == 422
    liaison.send("/profile/preferences", time_zone="America/New_York")
    assert "Times are shown in America/New York." in liaison.words


def test_letters_come_in_the_language_a_person_chose(browser: Open, company: Company) -> None:
    liaison = browser("liaison")
    liaison.open("/profile")
    assert liaison.send("/profile/preferences", time_zone="UTC", language="tlh").status_code == 422
    liaison.send("/profile/preferences", time_zone="UTC", language="zh")
    assert '<option value="zh" selected>' in liaison.open("/profile").text
    with reading(company.engine) as session:
        mei = people.get_person(session, company.liaison.person_id or new_id())
        assert mei.language == "zh"


def test_health_needs_no_session(app: FastAPI) -> None:
    answer = Browser.on(app).open("/health")
    assert answer.json() == {"status": "ok"}
