"""Lists: search, filters in the address, pages by key, CSV; on both databases, since the statements are written once."""

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.web.api import Program
from tests.web.desk import Browser
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.tables import Application, IssuedLicense
from workflow.domain.events import Job
from workflow.services import applications, customers
from workflow.times import wall_now
from workflow.web.shared.paging import PAGE_SIZE, CursorUnusable, cursor_for, time_and_id

Open = Callable[[str], Browser]


def rows_of(browser: Browser, address: str) -> list[dict[str, str]]:
    answer = browser.open(address)
    assert answer.headers["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_search_and_filters_narrow_the_list_and_the_csv(browser: Open, company: Company) -> None:
    prod, uat = company.apply(), company.apply(environment="UAT")
    company.approve(prod)
    approver = browser("approver")
    approver.open("/applications?environment=UAT")
    assert uat in approver.words
    assert prod not in approver.words
    approver.open("/applications?state=approved&q=harbour")
    assert prod in approver.words
    assert uat not in approver.words
    assert [row["Application"] for row in rows_of(approver, "/applications.csv?environment=UAT")] == [uat]
    approver.open("/applications?q=no_such%25")
    assert "No application matches" in approver.words
    assert approver.open("/applications?state=nonsense&environment=nonsense").status_code == 200


def test_pages_follow_each_other_without_losing_or_repeating_a_row(browser: Open, company: Company) -> None:
    numbers = [company.apply() for _ in range(PAGE_SIZE + 2)]
    approver = browser("approver")
    seen: list[str] = []
    address: str | None = "/applications"
    while address:
        page = approver.open(address).text
        seen += [each for each in numbers if f'href="/applications/{each}"' in page]
        following = page.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0] if 'rel="next"' in page else None
        address = following.replace("&amp;", "&") if following else None
    assert sorted(seen) == numbers
    assert len(rows_of(approver, "/applications.csv")) == PAGE_SIZE + 2


@pytest.mark.parametrize("cursor", ["x", "e30", cursor_for(("no time", "no id")), cursor_for(("2026-01-01", "x", "y"))])
def test_a_cursor_we_did_not_make_is_refused_in_words(browser: Open, cursor: str) -> None:
    approver = browser("approver")
    for path in ("/applications", "/licenses", "/deliveries", "/customers"):
        assert approver.open(f"{path}?cursor={cursor}").status_code == 422, path
        assert "Open the list from its first page." in approver.words


def test_a_cursor_carries_a_zone() -> None:
    with pytest.raises(CursorUnusable):
        time_and_id(cursor_for(("2026-01-01T00:00:00", "01890000-0000-7000-8000-000000000000")))


def test_liaisons_see_their_own_applications_only(browser: Open, company: Company) -> None:
    number = company.apply()
    with transaction(company.engine) as session:
        row = session.exec(select(Application)).one()
        assert company.approver.person_id is not None
        row.owner = company.approver.person_id
    liaison = browser("liaison")
    assert number not in liaison.open("/applications").text
    answer = liaison.open(f"/applications/{number}")
    assert answer.status_code == 404
    assert f"There is no application {number}." in liaison.words


def test_the_page_and_the_api_show_a_liaison_the_same_versions(
    browser: Open, program: Callable[[str], Program], company: Company
) -> None:
    first = company.apply()
    company.approve(first)
    company.run(Job.SIGN)
    second = company.apply(request="change")
    company.approve(second)
    company.run(Job.SIGN)
    with transaction(company.engine) as session:
        issued = session.exec(select(IssuedLicense).where(IssuedLicense.version == 2)).one()
        license_id, application = issued.license_id, session.get(Application, issued.application)
        assert application is not None
        assert company.approver.person_id is not None
        application.owner = company.approver.person_id
    for who, seen in (("liaison", [1]), ("approver", [2, 1])):
        versions = program(who).get(f"/licenses/{license_id}").json()["versions"]
        assert [each["version"] for each in versions] == seen
        page = browser(who).open(f"/licenses/{license_id}")
        assert [int(each) for each in re.findall(r'<h2 id="v(\d+)">', page.text)] == seen


def test_licenses_expiry_and_deliveries_list_what_was_done(browser: Open, company: Company) -> None:
    number = company.apply(
        kind="trial",
        validity={
            "first_day": wall_now().date().isoformat(),
            "last_day": (wall_now().date() + timedelta(days=1)).isoformat(),
            "time_zone": "Asia/Shanghai",
        },
    )
    company.approve(number)
    company.run(Job.SIGN)
    company.run(Job.DELIVER)
    liaison = browser("liaison")
    liaison.open("/licenses?state=issued&environment=PROD&q=harbour")
    assert "Harbourline Logistics" in liaison.words
    assert len(rows_of(liaison, "/licenses.csv")) == 1
    liaison.open("/expiry")
    assert "Start renewal" in liaison.words
    assert "1 without a renewal" in liaison.words
    assert liaison.open("/expiry?renewal=open").status_code == 200
    assert "No license matches" in liaison.words
    assert len(rows_of(liaison, "/expiry.csv?days=7")) == 1
    liaison.open("/deliveries?kind=license_delivery&state=accepted")
    assert "Encrypted mail" in liaison.words
    assert rows_of(liaison, "/deliveries.csv")[0]["Application"] == number
    liaison.open("/")
    assert "and no renewal." in liaison.words


def test_customers_are_found_by_a_part_of_their_name(browser: Open, company: Company) -> None:
    with transaction(company.engine) as session:
        for name in range(PAGE_SIZE + 1):
            customers.add_tenant(
                session, company.liaison, tenant_id=f"X-{name:03}", company="Same Name", time_zone="UTC", now=wall_now()
            )
    auditor = browser("auditor")
    first = auditor.open("/customers?q=same").text
    following = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    second = auditor.open(following).text
    shown = [f"X-{name:03}" in first for name in range(PAGE_SIZE + 1)]
    assert sum(shown) == PAGE_SIZE
    assert f"X-{shown.index(False):03}" in second
    assert auditor.open("/customers/new").status_code == 403


def test_a_draft_shows_the_environment_it_names_so_far(browser: Open, company: Company) -> None:
    with transaction(company.engine) as session:
        raw = {"tenant_id": "T-20817", "environment": "DEV"}
        applications.save_draft(session, company.liaison, raw, wall_now())
    liaison = browser("liaison")
    liaison.open("/applications")
    assert '<span class="env DEV">DEV</span>' in liaison.page.text
    assert "Logistics Co., Ltd. DEV APP-" in liaison.words
    assert "Ltd. DEV DEV" not in liaison.words
