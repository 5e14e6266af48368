"""The audit page and its list in the API: everything in words and on record; an auditor reads it all and changes nothing."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta

from fastapi.routing import APIRoute
from sqlalchemy import text

from tests.web.api import BASE, Program
from tests.web.desk import ORIGIN, Browser
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db import outbox
from workflow.db.queries import housekeeping
from workflow.domain.events import Job, SystemFact
from workflow.domain.roles import system
from workflow.services.trail import AT_ONCE
from workflow.services.witnessing import DOUBT, PROCESS
from workflow.times import wall_now
from workflow.web.desk.pages import ROUTERS

Open = Callable[[str], Browser]
As = Callable[[str], Program]

OWN = ("/sign-in", "/sign-out", "/forgot", "/welcome", "/profile", "/d/{token}")
"""What an auditor may send like everybody: their own session, password and preferences, and what a link in a mail is for."""
UNSIGNED = f"{BASE}/receipts"
"""Its signature is its credential."""


def changing(routes: Iterator[object]) -> list[tuple[str, str]]:
    """Method and path of all that is sent to pages and changes something."""
    return [
        (method, route.path)
        for route in routes
        if isinstance(route, APIRoute)
        for method in sorted((route.methods or set()) - {"GET", "HEAD", "OPTIONS"})
        if not route.path.startswith(OWN)
    ]


def filled(path: str, number: str) -> str:
    values = {"number": number, "license_id": "PROD-00000-00000-00000", "tenant_id": "T-20817", "version": "1"}
    return re.sub(r"\{(\w+)\}", lambda m: values.get(m.group(1), "01890000-0000-7000-8000-000000000000"), path)


def test_an_auditor_changes_nothing_whatever_page_or_address_is_sent(browser: Open, program: As, company: Company) -> None:
    number = company.apply()
    auditor = browser("auditor")
    auditor.open("/profile")
    token = dict(auditor.form("/sign-out"))["csrf"]
    pages = changing(route for router in ROUTERS for route in router.routes)
    assert len(pages) > 15
    answers = {
        (method, path): auditor.client.request(
            method, filled(path, number), data={"csrf": token}, headers={"Origin": ORIGIN}, follow_redirects=False
        ).status_code
        for method, path in pages
    }
    assert {key: status for key, status in answers.items() if status not in (403, 404)} == {}
    caller = program("auditor")
    calls = [
        (method.upper(), f"{BASE}{path.removeprefix(BASE)}")
        for path, methods in caller.get("/openapi.json").json()["paths"].items()
        for method in methods
        if method != "get" and not f"{BASE}{path.removeprefix(BASE)}".startswith(UNSIGNED)
    ]
    assert len(calls) > 8
    before = company.application(number).version
    answers = {
        (method, path): caller.client.request(
            method, filled(path, number), json={}, headers={"Authorization": f"Bearer {caller.token}", "If-Match": '"1"'}
        ).status_code
        for method, path in calls
    }
    assert {key: status for key, status in answers.items() if status not in (403, 404)} == {}
    assert company.application(number).version == before


def test_who_may_read_the_history_and_who_may_not(browser: Open) -> None:
    for who, status in {"auditor": 200, "operator": 200, "approver": 200, "liaison": 403, "administrator": 403}.items():
        person = browser(who)
        assert person.open("/audit").status_code == status, who
        assert person.open("/audit.csv").status_code == status, who
        assert person.open("/audit.jsonl").status_code == status, who
        assert ('href="/audit"' in person.open("/profile").text) == (status == 200), who


def test_everything_is_told_with_who_when_from_where_and_under_which_policy(browser: Open, company: Company) -> None:
    number = company.apply()
    company.approve(number)
    company.run(Job.SIGN)
    auditor = browser("auditor")
    auditor.open("/audit")
    for words in ("Signed in", "Approved by Daniel Osei", "License version 1 signed", number, "testclient", "Recipient added"):
        assert words in auditor.words, words
    lines = [json.loads(line) for line in auditor.open(f"/audit.jsonl?application={number}").text.splitlines()]
    assert lines[0]["type"] == "license.issued"
    approved = next(each for each in lines if each["type"] == "application.approved")
    assert (approved["application"], approved["revision"], len(approved["policy"])) == (number, 1, 64)


def test_the_list_is_narrowed_by_person_application_event_and_day(browser: Open, company: Company) -> None:
    first, second = company.apply(), company.apply(environment="UAT")
    company.approve(first)
    auditor = browser("auditor")

    def found(query: str) -> list[tuple[str, str]]:
        rows = [json.loads(line) for line in auditor.open(f"/audit.jsonl?{query}").text.splitlines()]
        return [(each["type"], each["application"]) for each in rows]

    assert {number for _, number in found(f"application={second.lower()}")} == {second}
    assert found("person=approver@serviceme.example") == [
        *(("application.approved", first), ("application.approval_recorded", first))
    ]
    assert {kind for kind, _ in found("person=lin mei&type=application.submitted")} == {"application.submitted"}
    tomorrow = (wall_now() + timedelta(days=2)).date().isoformat()
    yesterday = (wall_now() - timedelta(days=2)).date().isoformat()
    assert found(f"since={tomorrow}") == []
    assert found(f"until={yesterday}") == []
    assert len(found(f"since={yesterday}&until={tomorrow}")) == len(found(""))
    assert found("application=APP-1999-0001") == []
    assert len(found("type=no.such&since=yesterday")) == len(found("")), "what cannot be used narrows nothing"


def test_pages_follow_each_other_and_exports_are_whole_and_harmless(browser: Open, program: As, company: Company) -> None:
    with transaction(company.engine) as session:
        facts = [SystemFact("person.disabled", str(number), "=cmd()") for number in range(AT_ONCE + 5)]
        outbox.record_all(session, facts, system("=HYPERLINK(1)"), wall_now())
    auditor = browser("auditor")
    auditor.open("/audit?person=hyperlink")
    following = re.search(r'href="(/audit\?[^"]*cursor=[^"]+)" rel="next"', auditor.page.text)
    assert following
    assert auditor.open(following.group(1).replace("&amp;", "&")).status_code == 200
    assert auditor.open("/audit?cursor=nonsense").status_code == 422
    answer = auditor.open("/audit.csv?person=hyperlink")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == 1 + AT_ONCE + 5
    assert len({tuple(row) for row in rows}) == len(rows)
    assert rows[1][2] == "'=HYPERLINK(1)"
    listed = program("auditor").get("/audit?person=hyperlink&limit=2").json()
    assert [each["number"] for each in listed["items"]] == [int(rows[1][12]), int(rows[2][12])]
    assert listed["next"]
    assert program("liaison").get("/audit").status_code == 403


def test_the_page_says_what_the_witness_saw_and_whether_a_chain_holds(browser: Open, company: Company) -> None:
    number = company.apply()
    auditor = browser("auditor")
    auditor.open("/audit")
    assert "Nobody has witnessed the history yet" in auditor.words
    with transaction(company.engine) as session:
        housekeeping.beat(session, PROCESS, f"{DOUBT}Event 2 of {number} was altered.", wall_now())
    auditor.open("/audit")
    assert "The history does not hold" in auditor.words
    assert f"Event 2 of {number} was altered." in auditor.words
    auditor.open(f"/audit?application={number}")
    assert f"The history of {number} is whole" in auditor.words
    drop = {"sqlite": "DROP TRIGGER event_no_update", "postgresql": "DROP TRIGGER event_no_change ON event"}
    with transaction(company.engine) as session:
        session.execute(text(drop[company.engine.dialect.name]))
        session.execute(text("UPDATE event SET actor_name = 'Nobody' WHERE stream <> 'system' AND sequence = 2"))
    auditor.open(f"/audit?application={number}")
    assert f"The history of {number} is broken at event 2" in auditor.words


def test_an_auditor_sees_the_pages_that_there_are(browser: Open, company: Company) -> None:
    number = company.apply()
    person = browser("auditor")
    for page in (
        "/",
        "/applications",
        f"/applications/{number}",
        "/licenses",
        "/expiry",
        "/deliveries",
        "/customers",
        "/audit",
    ):
        assert person.open(page).status_code == 200, page
