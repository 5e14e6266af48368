"""What is no message of ours: refused, recorded, and the worker goes on. Nobody trusts the broker, and rows may be edited."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from kombu import Connection
from sqlalchemy import update
from sqlmodel import col

from tests.servers import SmtpCatcher, ValkeyServer, wait_until
from tests.workers.company import Company
from tests.workers.conftest import Start
from workers.app import SCAN, general
from workflow.database import reading, transaction
from workflow.db import jobs
from workflow.db.queries import housekeeping
from workflow.db.tables import JobRow
from workflow.domain.events import Job
from workflow.times import wall_now

NAMES = ("license.deliver", "letter.send", "portal.send_code", "letter.expiry_reminder", "letter.digest", "letter.notice")
ARGUMENTS: tuple[list[Any], ...] = (
    [],
    ["not an id"],
    [None],
    [7],
    [1.5],
    [True],
    [[str(uuid4())]],
    [{"id": str(uuid4())}],
    [str(uuid4()), str(uuid4())],
    ["x" * 1_000_000],
    [str(uuid4())] * 2_000,
)


def publish_nonsense(url: str) -> int:
    """Every task with every kind of argument, tasks nobody knows, and bodies that are no task at all; returns how many."""
    app = Celery(broker=url)
    sent = 0
    for name in (*NAMES, "no.such.task", "celery.backend_cleanup"):
        for arguments in ARGUMENTS:
            app.send_task(name, args=arguments, queue="general", ignore_result=True)
            sent += 1
        app.send_task(name, kwargs={"job_id": "x", "other": 1}, queue="general", ignore_result=True)
        sent += 1
    bodies: tuple[tuple[Any, str], ...] = (
        (b"not JSON {", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'{"a": 1}', "application/json"),
        (b'[{"a": 1}, 2, 3]', "application/json"),
        (b"[[], {}, {}]", "application/x-python-serialize"),
        (b"[[], {}, {}]", "text/html"),
    )
    headers = {"task": "license.deliver", "id": str(uuid4()), "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    with Connection(url) as connection, connection.SimpleQueue("general") as queue:
        for body, kind in bodies:
            for given in (headers, {}, {"task": 5, "id": None}):
                queue.producer.publish(
                    body, routing_key="general", content_type=kind, content_encoding="utf-8", headers=given, serializer=None
                )
                sent += 1
        odd_headers: tuple[dict[str, Any], ...] = (
            {"timelimit": 5},
            {"timelimit": ["x", None]},
            {"eta": "now"},
            {"expires": []},
            {"retries": "x"},
            {"task": ["license.deliver"]},
        )
        for odd in odd_headers:
            queue.producer.publish([[str(uuid4())], {}, {}], routing_key="general", headers={**headers, **odd})
            sent += 1
        raw = (b"", b"garbage", b"\xff\xfe", b"[]", b"{}", b"null", b"5", b'{"body": 5, "properties": []}', b"x" * 1_000_000)
        for each in raw:
            connection.default_channel.client.lpush("general", each)
    return sent + len(raw)


def test_no_message_ends_a_worker_or_keeps_it_from_the_next_job(
    company: Company, valkey: ValkeyServer, start: Start, smtp: SmtpCatcher, tmp_path: Path
) -> None:
    """Each is taken once: what comes back again and again would keep the worker busy for ever."""
    number = company.apply()
    company.approve(number)
    company.run(Job.SIGN)
    worker = start("general")
    assert publish_nonsense(valkey.url) > 100
    start("relay")
    wait_until(lambda: company.application(number).status == "delivered", 120, "the next license is delivered")
    with Connection(valkey.url) as connection:
        client = connection.default_channel.client
        wait_until(lambda: not client.llen("general") and not client.hlen("unacked"), 60, "nothing is left of it")
    assert worker.poll() is None
    log = (tmp_path / "general.log").read_text()
    assert "a message held 'not an id' instead of a job id" in log
    assert "more than any of ours" in log
    assert len(log) < 5_000_000, "a message of a megabyte is not written into the log"
    assert {row.state for row in company.jobs(Job.DELIVER)} == {"done"}


@pytest.fixture
def edit(company: Company) -> Callable[..., None]:
    """Changes the one delivery's row, as somebody with a database client might."""

    def edited(**values: Any) -> None:
        with transaction(company.engine) as session:
            session.execute(update(JobRow).where(col(JobRow.kind) == Job.DELIVER.value).values(**values))

    return edited


def test_a_kind_of_work_that_nobody_knows_is_never_published_and_dead_in_the_end(
    company: Company, edit: Callable[..., None]
) -> None:
    company.approve(company.apply())
    company.run(Job.SIGN)
    edit(kind="license.frame")
    rounds = []
    for _ in range(jobs.UNKNOWN_ROUNDS):
        with transaction(company.engine) as session:
            session.execute(update(JobRow).values(next_at=wall_now()))
        with transaction(company.engine) as session:
            rounds.append([each.kind for each in jobs.take_due(session, wall_now(), company.here.claimant.lease)])
        (row,) = [each for each in company.jobs() if each.kind == "license.frame"]
        if row.published < jobs.UNKNOWN_ROUNDS:
            assert row.state == "pending"
    assert "license.frame" not in [kind for kinds in rounds for kind in kinds]
    assert row.state == "dead"
    assert row.last_error
    assert "this kind of work" in row.last_error


@pytest.mark.parametrize(
    "values", [{"ref": None}, {"ref": uuid4()}, {"recipient": uuid4()}, {"recipient": None}, {"detail": "x" * 10_000}]
)
def test_a_row_that_somebody_edited_ends_or_waits_and_says_why(
    company: Company, edit: Callable[..., None], smtp: SmtpCatcher, values: dict[str, Any]
) -> None:
    company.approve(company.apply())
    company.run(Job.SIGN)
    edit(**values)
    company.run(Job.DELIVER)
    (row,) = company.jobs(Job.DELIVER)
    if "detail" in values:
        assert (row.state, len(smtp.messages)) == ("done", 1)
    else:
        assert (row.state, smtp.messages) == ("done", [])
        assert row.last_error == "This application has no license, or its recipient is gone."


def test_the_scheduler_is_obeyed(company: Company, start: Start, valkey: ValkeyServer) -> None:
    """What it sends has time limits in its headers, which a relay's messages have not."""
    start("general")
    general.loader.import_default_modules()
    with Connection(valkey.url) as connection:
        general.tasks[SCAN].apply_async(expires=300, connection=connection)
    wait_until(lambda: "beat" in heard_of(company), 60, "the scan has run")


def heard_of(company: Company) -> set[str]:
    """Of what there was a sign of life."""
    with reading(company.engine) as session:
        return {each.process for each in housekeeping.heartbeats(session)}
