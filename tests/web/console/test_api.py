"""What programs of the platform ask the console: the summary, the events, and the feed of a gate. With the token only."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.console import vendor
from tests.console.acting import activated, look
from tests.web.console_page import ORIGIN, application
from workflow.console import current
from workflow.console.identity import Console
from workflow.console.rounds import Rounds
from workflow.console.store import InstalledLicense
from workflow.database import transaction
from workflow.license_file import OnExpiry
from workflow.times import utc_now
from workflow.web.console.live import Watcher

LICENSE = "/console/api/license"
DAY = timedelta(days=1)


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """A console without accounts: programs have none."""
    return vendor.install_console(tmp_path / "console")


@pytest.fixture
def app(console: Console) -> FastAPI:
    """Its web application."""
    return application(console)


@pytest.fixture
def program(app: FastAPI, console: Console) -> TestClient:
    """A program with the token."""
    token = (console.directory / "api-token").read_text().strip()
    return TestClient(app, base_url=ORIGIN, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("address", [LICENSE, f"{LICENSE}/events", f"{LICENSE}/feed"])
def test_nobody_is_told_anything_without_the_token(app: FastAPI, address: str) -> None:
    stranger = TestClient(app, base_url=ORIGIN)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
        answer = stranger.get(address, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["code"] == "console.token"


def test_what_is_allowed_is_worked_out_for_programs(program: TestClient, console: Console) -> None:
    nothing = {"modules": [], "reading": [], "model_types": [], "new": False}
    assert program.get(LICENSE).json()["allowed"] == nothing
    activated(console, vendor.lic(on_expiry=OnExpiry.READ_ONLY))
    allowed = program.get(LICENSE).json()["allowed"]
    modules = ["agent-studio", "knowledge-base", "data-insight", "workflow"]
    assert allowed | {"model_types": []} == nothing | {"modules": modules, "reading": modules, "new": True}
    assert "speech" in allowed["model_types"]
    ended = current.summary(look(console, utc_now() + 400 * DAY))["allowed"]
    assert ended == nothing | {"reading": modules}


def test_an_unchanged_answer_is_not_sent_again(program: TestClient, console: Console) -> None:
    activated(console, vendor.lic())
    for address in (LICENSE, f"{LICENSE}/feed"):
        tag = program.get(address).headers["etag"]
        again = program.get(address, headers={"If-None-Match": f'"other", {tag}'})
        assert (again.status_code, again.content) == (304, b"")
    activated(console, vendor.fewer(2))
    assert program.get(f"{LICENSE}/feed", headers={"If-None-Match": tag}).status_code == 200


def test_the_feed_holds_the_exact_files_and_the_time_alone_is_no_news(program: TestClient, console: Console) -> None:
    first, second = vendor.lic(1, revocations=vendor.lrl(1, 9)), vendor.fewer(2, starts=DAY)
    for raw in (first, second):
        activated(console, raw)
    answer = program.get(f"{LICENSE}/feed")
    facts = answer.json()
    assert [each.encode() for each in facts["licenses"]] == [first, second]
    assert [each.encode() for each in facts["roots"]] == [vendor.root()]
    assert "application/vnd.serviceme.revocations" in facts["revocations"]
    assert (facts["generation"], facts["seen"]) == (2, None)
    Rounds(console, None).look_after()
    later = program.get(f"{LICENSE}/feed")
    assert later.json()["seen"] is not None
    assert later.headers["etag"] == answer.headers["etag"]


async def next_event(stream: AsyncIterator[str]) -> tuple[str, dict[str, Any]]:
    async for text in stream:
        if text.startswith("event: license\n"):
            lines = dict(line.split(": ", 1) for line in text.strip().splitlines())
            return lines["id"], json.loads(lines["data"])
    raise AssertionError("the stream ended")


def test_events_tell_the_license_at_once_and_every_change_and_nothing_that_is_known(console: Console) -> None:
    async def listen() -> list[tuple[str, int]]:
        watcher = Watcher(console)
        stream = watcher.changes(None)
        tag, facts = await next_event(stream)
        heard = [(facts["state"], facts["generation"])]
        for raw in (vendor.lic(1), vendor.fewer(2)):
            await asyncio.to_thread(activated, console, raw)
            tag, facts = await asyncio.wait_for(next_event(stream), 30)
            heard.append((facts["state"], facts["generation"]))
            assert "activation" not in json.dumps(facts)
        back = watcher.changes(tag)
        assert await anext(back) == "retry: 1000\n\n"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(next_event(back), 1)
        await stream.aclose()
        return heard

    assert asyncio.run(listen()) == [("none", 0), ("active", 1), ("active", 2)]


def test_many_streams_cost_one_watcher_that_stops_with_the_last(console: Console) -> None:
    async def listen() -> None:
        watcher = Watcher(console)
        streams = [watcher.changes(None) for _ in range(3)]
        for each in streams:
            await next_event(each)
        assert watcher.is_watching
        for each in streams:
            await each.aclose()
        for _ in range(3000):
            if not watcher.is_watching:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the watcher goes on for nobody")

    asyncio.run(listen())


def test_events_tell_of_a_license_that_is_no_longer_genuine(console: Console) -> None:
    async def listen() -> str:
        stream = Watcher(console).changes(None)
        await next_event(stream)
        await asyncio.to_thread(activated, console, vendor.lic(1))
        await asyncio.wait_for(next_event(stream), 30)
        with transaction(console.engine) as session:
            row = session.get_one(InstalledLicense, 1)
            row.raw = b"broken"
            session.add(row)
        _, facts = await asyncio.wait_for(next_event(stream), 30)
        await stream.aclose()
        return str(facts["state"])

    assert asyncio.run(listen()) == "invalid"
