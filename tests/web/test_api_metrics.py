"""Numbers for monitoring: in a form a scraper reads, and only for whoever may see the operations."""

import re
from collections.abc import Callable
from datetime import timedelta

from fastapi import FastAPI
from sqlalchemy import update
from sqlmodel import col

from tests.web.api import Program
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.queries import housekeeping
from workflow.db.tables import JobRow
from workflow.domain.events import Job
from workflow.times import wall_now

As = Callable[[str], Program]
SAMPLE = re.compile(r'^(?P<name>[a-z_]+)(\{(?P<labels>([a-z]+="([^"\\\n]|\\["\\n])*",?)*)\})? (?P<value>[-+0-9.e]+)$')


def test_numbers_are_told_as_a_scraper_reads_them(program: As, company: Company) -> None:
    company.apply()
    wall = wall_now()
    with transaction(company.engine) as session:
        session.execute(update(JobRow).where(col(JobRow.kind) == Job.LETTER).values(created_at=wall - timedelta(hours=1)))
        housekeeping.beat(session, "signing@one", "", wall, {'A "quoted"\\ name': wall + timedelta(days=9)})
    answer = program("auditor").get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert answer.text.endswith("\n")
    samples = [SAMPLE.match(line) for line in lines if not line.startswith("#")]
    assert all(samples)
    told = {f"{each['name']}{{{each['labels'] or ''}}}": float(each["value"]) for each in samples if each}
    assert told['licdesk_jobs{kind="letter.send",state="waiting"}'] >= 1
    assert 3600 <= told['licdesk_oldest_job_seconds{kind="letter.send"}'] < 3700
    assert told['licdesk_process_alive{kind="signing"}'] == 1
    assert told['licdesk_process_alive{kind="relay"}'] == 0
    assert told['licdesk_ends_timestamp_seconds{what="A \\"quoted\\"\\\\ name"}'] == (wall + timedelta(days=9)).timestamp()
    assert told["licdesk_mail_in_doubt{}"] == 0
    named = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {key.partition("{")[0] for key in told} <= named


def test_nobody_else_is_told(app: FastAPI, program: As) -> None:
    assert Program.without_token(app).get("/metrics").status_code == 401
    for who in ("liaison", "approver", "stranger"):
        assert program(who).get("/metrics").status_code == 403
