"""Fetching a license file through the API: noted when the bytes are handed out, and nothing else changes."""

from collections.abc import Callable

from tests.web.api import Program
from tests.web.desk import ORIGIN, Browser
from tests.web.reporting import issue
from tests.workers.company import Company
from workflow.web.shared.csrf import token_for

As = Callable[[str], Program]
Open = Callable[[str], Browser]


def test_fetching_a_file_is_noted_when_its_bytes_are_handed_out_and_changes_nothing_else(program: As, company: Company) -> None:
    number = issue(company)
    liaison = program("liaison")
    before = liaison.get(f"/applications/{number}")
    [row] = liaison.get("/licenses").json()["items"]
    file = row["file"].removeprefix("/api/v1")

    def noted() -> list[tuple[str, str]]:
        told = liaison.get(f"/applications/{number}/events").json()["items"]
        return [(each["type"], each["channel"]) for each in told if each["type"] == "license.downloaded"]

    assert noted() == []
    tag = liaison.get(file).headers["etag"]
    assert noted() == [("license.downloaded", "api")]
    unchanged = liaison.get(file, If_None_Match=f'"another", {tag}')
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
    assert liaison.client.head(f"/api/v1{file}", headers=liaison._headers({})).status_code == 405
    assert len(noted()) == 1
    assert liaison.get(file, If_None_Match='"another"').status_code == 200
    assert len(noted()) == 2
    after = liaison.get(f"/applications/{number}")
    assert (after.headers["etag"], after.json()) == (before.headers["etag"], before.json())


def test_a_browser_that_loads_a_file_by_itself_gets_none(company: Company, program: As, browser: Open) -> None:
    number = issue(company)
    [row] = program("liaison").get("/licenses").json()["items"]
    page = browser("liaison")
    assert page.client.get(row["file"], headers={"Sec-Purpose": "prefetch"}).status_code == 403
    token = {"Origin": ORIGIN, "X-CSRF-Token": token_for(page.client.cookies["desk_session"])}
    assert page.client.get(row["file"], headers=token).content.startswith(b"{")
    told = program("liaison").get(f"/applications/{number}/events").json()["items"]
    assert [each["type"] for each in told].count("license.downloaded") == 1
