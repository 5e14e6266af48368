"""Relay and workers as they run in life: processes of their own, with a real broker between them."""

import json
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.servers import SmtpCatcher, ValkeyServer
from tests.workers.company import Company
from tests.workers.conftest import Start
from workflow.database import reading
from workflow.db.queries import housekeeping
from workflow.db.tables import Heartbeat
from workflow.domain.events import Job


def wait_for_status(company: Company, number: str, status: str, seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while company.application(number).status != status:
        assert time.monotonic() < end, [(job.kind, job.state, job.last_error) for job in company.jobs()]
        time.sleep(0.1)


def test_work_owed_while_the_broker_is_away_is_done_when_it_is_back(
    company: Company, start: Start, valkey: ValkeyServer
) -> None:
    for name in ("relay", "general", "signing"):
        start(name)
    valkey.stop()
    number = company.apply()
    company.approve(number)
    time.sleep(1)
    assert company.application(number).status == "approved"
    valkey.start()
    wait_for_status(company, number, "delivered", seconds=60)


def heard_of(company: Company) -> dict[str, Heartbeat]:
    """The heartbeats by the kind of process."""
    with reading(company.engine) as session:
        return {each.process.partition("@")[0]: each for each in housekeeping.heartbeats(session)}


def wait_until_heard_of(company: Company, kinds: set[str], seconds: float = 60) -> dict[str, Heartbeat]:
    end = time.monotonic() + seconds
    while (found := heard_of(company)).keys() != kinds:
        assert time.monotonic() < end, found.keys()
        time.sleep(0.1)
    return found


def test_every_process_says_that_it_lives_and_what_it_holds_that_ends_until_it_is_told_to_stop(
    company: Company, start: Start, valkey: ValkeyServer
) -> None:
    running = {name: start(name) for name in ("relay", "general", "signing")}
    found = wait_until_heard_of(company, set(running))
    assert list(json.loads(found["general"].endings)) == ["Mail signer's certificate"]
    (what,) = json.loads(found["signing"].endings)
    assert what.startswith("Trust root, version")
    valkey.stop()
    valkey.start()
    back = found["general"].at
    end = time.monotonic() + 60
    while heard_of(company)["general"].at <= back + timedelta(seconds=3):
        assert time.monotonic() < end, "a worker is heard of again once the broker is back"
        time.sleep(0.2)
    for name in ("relay", "general"):
        running[name].send_signal(signal.SIGTERM)
    os.killpg(running["signing"].pid, signal.SIGKILL)
    wait_until_heard_of(company, {"signing"})


def test_an_approval_ends_in_a_delivered_license_and_the_logs_lead_from_the_job_to_the_mail_servers_answer(
    company: Company, smtp: SmtpCatcher, start: Start, tmp_path: Path
) -> None:
    number = company.apply()
    for name in ("relay", "general", "signing"):
        start(name)
    company.approve(number)
    wait_for_status(company, number, "delivered")
    assert len([each for each in smtp.messages if each.get_content_type() == "application/pkcs7-mime"]) == 1
    (deliver,) = company.jobs(Job.DELIVER)
    end = time.monotonic() + 20
    while not (found := [each for each in lines_of(tmp_path / "general.log") if each.get("job") == str(deliver.id)]):
        assert time.monotonic() < end, (tmp_path / "general.log").read_text()
        time.sleep(0.1)
    accepted = found[-1]
    assert (accepted["event"], accepted["subject"]) == (str(deliver.event), str(deliver.ref))
    assert "accepted: 250" in accepted["message"]


def lines_of(log: Path) -> list[dict[str, Any]]:
    """Every line of a log that was written by a logger; Celery's banner is none."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


@pytest.mark.crash
def test_a_signing_worker_killed_again_and_again_signs_once(company: Company, start: Start) -> None:
    start("relay")
    numbers = [company.apply(environment=name) for name in ("DEV", "UAT", "PROD")]
    for number in numbers:
        company.approve(number)
    for _ in range(3):
        process = start("signing")
        time.sleep(1.5)
        os.killpg(process.pid, signal.SIGKILL)
    start("signing")
    for number in numbers:
        wait_for_status(company, number, "issued", seconds=60)
    assert [job.state for job in company.jobs(Job.SIGN)] == ["done"] * 3
