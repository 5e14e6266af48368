"""A full disk and a database that only lets us read: pages say so, nothing is half written, and reading goes on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Response
from sqlalchemy import Engine, event, func, update
from sqlmodel import select

from tests.web.api import Program, problem, terms
from tests.web.desk import Browser
from tests.workers.company import Company
from workflow.database import reading, transaction
from workflow.db.tables import Application, EventRow, JobRow, SignedIn
from workflow.times import wall_now

FULL = "PRAGMA max_page_count = 1"
"""SQLite takes the size it has for its largest: what needs one more page is told that the disk is full."""
SQLITE_WAYS = ("PRAGMA query_only = ON", FULL)
POSTGRES_WAYS = ("SET TRANSACTION READ ONLY",)


class Closed:
    """The desk's connections, on which nothing can be written until `open`."""

    def __init__(self, engine: Engine, statement: str) -> None:
        self._engine, self._statement = engine, statement
        self._moment = "connect" if engine.dialect.name == "sqlite" else "begin"
        event.listen(engine, self._moment, self._close)
        engine.dispose()

    def _close(self, connection: Any, _record: object = None) -> None:
        if self._moment == "begin":
            connection.exec_driver_sql(self._statement)
        else:
            connection.execute(self._statement).close()

    def open(self) -> None:
        """There is room again."""
        event.remove(self._engine, self._moment, self._close)
        self._engine.dispose()


@pytest.fixture(params=[0, 1])
def way(request: pytest.FixtureRequest, company: Company) -> str:
    """How writing is made impossible."""
    ways = POSTGRES_WAYS if company.engine.dialect.name == "postgresql" else SQLITE_WAYS
    return ways[request.param % len(ways)]


def rows(company: Company) -> list[int]:
    with reading(company.engine) as session:
        return [session.exec(select(func.count()).select_from(table)).one() for table in (Application, EventRow, JobRow)]


def until_refused(company: Company, caller: Program) -> tuple[Response, list[int], list[int]]:
    """Applies until that is refused; the answer, and how many rows there were before and after it."""
    for _ in range(100):
        before = rows(company)
        answer = caller.post("/applications", terms(note="x" * 400))
        if answer.status_code != 201:
            return answer, before, rows(company)
    raise AssertionError("everything was taken")


def test_reading_goes_on_writing_is_refused_with_a_code_and_all_is_well_afterwards(
    company: Company,
    app: FastAPI,
    browser: Callable[[str], Browser],
    program: Callable[[str], Program],
    way: str,
) -> None:
    number = company.apply()
    liaison, caller = browser("liaison"), program("liaison")
    with transaction(company.engine) as session:  # so long ago that the next page would note its use
        session.execute(update(SignedIn).values(seen_at=wall_now() - timedelta(minutes=30)))
    closed = Closed(app.state.house.engine, way)
    try:
        for path in ("/", "/applications", f"/applications/{number}"):
            assert liaison.open(path).status_code == 200, path
        assert caller.get("/applications").status_code == 200
        if way != FULL:  # a small change may still fit into the last page
            answer = liaison.send(f"/applications/{number}/withdraw", reason="Not needed.")
            assert answer.status_code == 503
            assert "database.away" in answer.text
            assert "nothing of it was kept" in liaison.words
        refused, before, after = until_refused(company, caller)
        assert (refused.status_code, problem(refused)["code"]) == (503, "database.away")
        assert refused.headers["retry-after"] == "60"
        assert after == before
    finally:
        closed.open()
    assert caller.post("/applications", terms()).status_code == 201
    assert rows(company)[0] == after[0] + 1
