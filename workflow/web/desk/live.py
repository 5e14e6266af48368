"""Live pages: one watcher per process asks the database for all open pages at once and wakes those that changed."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from workflow.database import reading
from workflow.db.queries import live

INTERVAL = 0.5
HEARTBEAT = 15.0
LONGEST = 600.0
"""Seconds after which a stream ends; the browser comes again, and its session is looked at again."""

log = logging.getLogger("licdesk.web")


class Watcher:
    """Knows the newest stamp of every application that somebody looks at; costs one query per interval while open."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watched: dict[UUID, int] = {}
        self._stamps: dict[UUID, str] = {}
        self._tick = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_watching(self) -> bool:
        """Whether the database is being asked."""
        return self._task is not None and not self._task.done()

    async def changes(self, application: UUID) -> AsyncGenerator[str, None]:
        """Server-sent events: the stamp at once, then each new one; a comment as heartbeat in between."""
        loop = asyncio.get_running_loop()
        ends_at, quiet_since, sent = loop.time() + LONGEST, loop.time(), None
        self._enter(application)
        try:
            yield "retry: 2000\n\n"
            while loop.time() < ends_at:
                stamp = self._stamps.get(application)
                if stamp is not None and stamp != sent:
                    sent, quiet_since = stamp, loop.time()
                    yield f"data: {stamp}\n\n"
                elif loop.time() - quiet_since > HEARTBEAT:
                    quiet_since = loop.time()
                    yield ": still here\n\n"
                tick = self._tick
                with suppress(TimeoutError):
                    await asyncio.wait_for(tick.wait(), timeout=HEARTBEAT)
        finally:
            self._leave(application)

    def _enter(self, application: UUID) -> None:
        self._watched[application] = self._watched.get(application, 0) + 1
        if not self.is_watching:
            self._task = asyncio.create_task(self._watch())

    def _leave(self, application: UUID) -> None:
        self._watched[application] -= 1
        if not self._watched[application]:
            del self._watched[application]
            self._stamps.pop(application, None)

    async def _watch(self) -> None:
        while self._watched:
            wanted = list(self._watched)
            try:
                found = await run_in_threadpool(self._read, wanted)
            except SQLAlchemyError:  # the database is away: the streams stay open and go on when it is back
                log.warning("live pages cannot ask the database", exc_info=True)
                found = {}
            self._stamps.update({each: stamp for each, stamp in found.items() if each in self._watched})
            tick, self._tick = self._tick, asyncio.Event()
            tick.set()
            await asyncio.sleep(INTERVAL)

    def _read(self, wanted: list[UUID]) -> dict[UUID, str]:
        with reading(self._engine) as session:
            return live.stamps(session, wanted)
