"""What the relay, the page of operations and the metrics ask of the job table costs what is open, not what exists."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlmodel import Session

from workflow.database import reading
from workflow.db import jobs
from workflow.db.queries import overview, queues, troubles
from workflow.times import wall_now

QUESTIONS: dict[str, Callable[[Session], object]] = {
    "due": lambda session: jobs.take_due(session, wall_now(), timedelta(minutes=5)),
    "queues": queues.all_queues,
    "attention": overview.count_attention,
    "mail": lambda session: troubles.troubled_mail(session, wall_now() - timedelta(days=7)),
}


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """SQLite says how it would look something up, however little is in the table."""
    shutil.copyfile(sqlite_template, tmp_path / "desk.sqlite3")
    return f"sqlite:///{tmp_path}/desk.sqlite3"


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_question_reads_a_whole_table(engine: Engine, name: str) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, given: Any, *_: object) -> None:
        asked.append((statement, given))

    event.listen(engine, "before_cursor_execute", note)
    with reading(engine) as session:
        QUESTIONS[name](session)
        event.remove(engine, "before_cursor_execute", note)
        statements = [each for each in asked if each[0].startswith(("SELECT", "UPDATE"))]
        plans = [
            row[3]
            for statement, given in statements
            for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
        ]
    looks = [line for line in plans if line.split()[1:2] in (["job"], ["delivery"])]
    assert looks
    assert [line for line in looks if "INDEX" not in line and "PRIMARY KEY" not in line] == []
