"""The license in force as a stream of events: one watcher per process looks for all open streams at once."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from hashlib import sha256
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool

from workflow.console import current
from workflow.console.identity import Console
from workflow.database import reading
from workflow.times import utc_now

INTERVAL = 0.25
HEARTBEAT = 15.0
LONGEST = 600.0
"""Seconds after which a stream ends; the program comes again, and its token is looked at again."""

log = logging.getLogger("licdesk.console")


class Told(NamedTuple):
    """What programs are told, and a tag that differs whenever it does."""

    tag: str
    facts: dict[str, Any]


def told_now(console: Console) -> Told:
    """The summary of this instant."""
    with reading(console.engine) as session:
        facts = current.summary(current.look(session, console, utc_now()))
    return Told(tag_of(facts), facts)


def tag_of(facts: dict[str, Any]) -> str:
    """An entity tag (RFC 9110, 8.8.3) for an answer in JSON, with its quotation marks."""
    return f'"{sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]}"'


class Watcher:
    """Knows what programs are told while somebody listens; costs one look at the database per interval then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._listeners = 0
        self._told: Told | None = None
        self._tick = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_watching(self) -> bool:
        """Whether the database is being asked."""
        return self._task is not None and not self._task.done()

    async def changes(self, known: str | None) -> AsyncGenerator[str, None]:
        """Server-sent events: the summary at once unless its tag is `known`, then each new one; comments in between."""
        loop = asyncio.get_running_loop()
        ends_at, quiet_since, sent = loop.time() + LONGEST, loop.time(), known
        self._enter()
        try:
            yield "retry: 1000\n\n"
            while loop.time() < ends_at:
                told, tick = self._told, self._tick
                if told is not None and told.tag != sent:
                    sent, quiet_since = told.tag, loop.time()
                    yield f"event: license\nid: {told.tag}\ndata: {json.dumps(told.facts)}\n\n"
                elif loop.time() - quiet_since > HEARTBEAT:
                    quiet_since = loop.time()
                    yield ": still here\n\n"
                with suppress(TimeoutError):
                    await asyncio.wait_for(tick.wait(), timeout=HEARTBEAT)
        finally:
            self._listeners -= 1

    def _enter(self) -> None:
        self._listeners += 1
        if not self.is_watching:
            self._told = None  # what an earlier watcher saw may be over
            self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while self._listeners:
            try:
                self._told = await run_in_threadpool(told_now, self._console)
            except Exception:  # the edge of a background task: the streams stay open and go on with the next look
                log.exception("The license in force could not be looked at for the event streams.")
            tick, self._tick = self._tick, asyncio.Event()
            tick.set()
            await asyncio.sleep(INTERVAL)
