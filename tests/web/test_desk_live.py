"""The stream behind a live page: it says that something changed, and only that."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from tests.workers.company import Company
from workflow.domain.events import Job
from workflow.web.desk.live import Watcher


async def _next_stamp(stream: AsyncIterator[str]) -> str:
    async for event in stream:
        if event.startswith("data: "):
            return event.removeprefix("data: ").strip()
    raise AssertionError("the stream ended")


def test_a_stream_tells_the_stamp_at_once_and_each_change_of_the_application(company: Company) -> None:
    number = company.apply()
    watched = company.application(number).id

    async def watch() -> list[str]:
        watcher = Watcher(company.engine)
        stream = watcher.changes(watched)
        stamps = [await _next_stamp(stream)]
        for step in (
            lambda: company.approve(number),
            lambda: company.run(Job.SIGN),
            lambda: company.run(Job.DELIVER),
        ):
            await asyncio.to_thread(step)
            stamps.append(await asyncio.wait_for(_next_stamp(stream), 5))
        await stream.aclose()
        return stamps

    stamps = asyncio.run(watch())
    assert len(set(stamps)) == 4


def test_many_streams_cost_one_watcher_that_stops_with_the_last(company: Company) -> None:
    numbers = [company.apply(), company.apply()]
    ids: list[UUID] = [company.application(each).id for each in numbers]

    async def watch() -> None:
        watcher = Watcher(company.engine)
        streams = [watcher.changes(each) for each in (*ids, *ids)]
        stamps = [await _next_stamp(each) for each in streams]
        assert stamps[0] == stamps[2]
        assert watcher.is_watching
        for each in streams:
            await each.aclose()
        await asyncio.sleep(1.2)
        assert not watcher.is_watching

    asyncio.run(watch())
