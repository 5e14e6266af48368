"""Logs as JSON: one object a line whatever is logged, with the ids of what was worked on."""

import json
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflow.cli.broker import free_port
from workflow.database import create_engine
from workflow.db.migrations import upgrade
from workflow.logs import FACTS, JsonLines, concerning


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What a logger of this test's own wrote."""
    written: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(self.format(record))

    handler = Kept()
    handler.setFormatter(JsonLines())
    log = logging.getLogger("tests.logs")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield written
    log.removeHandler(handler)


def test_a_line_is_one_object_whatever_it_quotes(said: list[str]) -> None:
    log = logging.getLogger("tests.logs")
    log.info("no such box: %s", 'a"\n{"level": "forged"}\u2028')
    try:
        raise ValueError("line one\nline two")
    except ValueError:
        log.exception("it failed")
    first, second = map(json.loads, said)
    assert all("\n" not in line for line in said)
    assert first["message"] == 'no such box: a"\n{"level": "forged"}\u2028'
    assert (first["level"], first["logger"], "error" in first) == ("info", "tests.logs", False)
    assert second["error"].endswith("ValueError: line one\nline two")


def test_ids_belong_to_what_is_done_inside_and_to_nothing_after(said: list[str]) -> None:
    log = logging.getLogger("tests.logs")
    with concerning(request="7Q2M-4TBK"), concerning(job="1"):
        log.info("in", extra={FACTS: {"seconds": 0.2}})
    log.info("out")
    inside, outside = map(json.loads, said)
    assert (inside["request"], inside["job"], inside["seconds"]) == ("7Q2M-4TBK", "1", 0.2)
    assert not {"request", "job"} & set(outside)


def test_the_desk_logs_each_request_with_its_reference_and_no_secret_of_its_address(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/desk.sqlite3"
    engine = create_engine(url)
    upgrade(engine)
    engine.dispose()
    port = free_port()
    environ = {"LICDESK_DATABASE_URL": url, "LICDESK_LOG_FORMAT": "json", "LICDESK_MODE": "demo"}
    command = [sys.executable, "-m", "uvicorn", "workflow.web.desk.app:create_app", "--factory", "--port", str(port)]
    log = tmp_path / "log"
    with log.open("wb") as output:
        served = subprocess.Popen(command, env=os.environ | environ, stdout=output, stderr=output)
    try:
        reference = _ask(f"http://127.0.0.1:{port}/health", served)
        secret = _ask(f"http://127.0.0.1:{port}/d/a-secret-of-43-characters-or-so-it-should-be", served)
    finally:
        served.terminate()
        served.wait(20)
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    asked = {each["request"]: each for each in lines if each["message"] == "request"}
    assert (asked[reference]["route"], asked[reference]["status"]) == ("/health", 200)
    assert asked[secret]["route"] == "/d/{token}"
    assert "a-secret" not in log.read_text()


def _ask(url: str, served: subprocess.Popen[bytes]) -> str:
    """The reference of the answer, once the server answers."""
    end = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.headers["X-Request-ID"])
        except urllib.error.HTTPError as answer:
            return str(answer.headers["X-Request-ID"])
        except OSError:
            assert time.monotonic() < end
            assert served.poll() is None
            time.sleep(0.1)
