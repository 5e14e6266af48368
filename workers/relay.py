"""The relay: hands the ids of due jobs to the broker. Run as `python -m workers.relay`.

It marks and commits first and publishes then: a job published twice is harmless, one that was marked and not published comes
back by itself. While the broker is away nothing is marked, and pages go on working.
"""

import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import psycopg
from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from workers.app import publisher, queue_of
from workflow.database import AWAY, create_engine, transaction
from workflow.db.jobs import DueJob, take_due
from workflow.db.outbox import CHANNEL
from workflow.db.queries import housekeeping
from workflow.domain.events import Job
from workflow.domain.processes import ProcessKind
from workflow.logs import begin
from workflow.settings import LogFormat, RelaySettings, load
from workflow.times import wall_now

log = logging.getLogger("workers.relay")

BATCH = 500
TOGETHER = {Job.SIGN.value: 25, Job.DELIVER.value: 5, Job.LETTER.value: 10}
"""How many jobs of a kind a message may carry. Signatures share a transaction; messages are sent one after the other, and no
license should wait long for the one before it."""
BREATH = 0.2
"""Seconds between two rounds once a round found work on more than one application. A single one's steps never wait; under load
each round finds more, what is found travels together, and the relay leaves the processor to the workers."""
PAUSE_AFTER_FAILURE = 1.0
HEARTBEAT_SECONDS = 10


class Relay:
    """Publishes due jobs until it is stopped. Several may run on PostgreSQL; on SQLite one is enough."""

    def __init__(self, settings: RelaySettings, app: Celery) -> None:
        self.settings = settings
        self.engine: Engine = create_engine(settings.database_url, pool_size=2)
        self.app = app
        self.stopping = threading.Event()
        self._doorbell = _Doorbell(settings.database_url) if settings.database_url.startswith("postgresql") else None
        self.name = f"{ProcessKind.RELAY}@{socket.gethostname()}"
        self._last_beat = wall_now() - timedelta(days=1)
        self._breathe_until = 0.0

    def run(self) -> None:
        """Publishes and waits, in turn. A broker or database that is away is waited for."""
        connection = self.app.connection_for_write()
        producer = None
        while not self.stopping.is_set():
            try:
                if producer is None:
                    connection.ensure_connection(max_retries=1, timeout=3)
                    producer = connection.Producer()
                published = self.publish_due(producer)
                self._beat()
                if published < BATCH:
                    self._wait()
                    self.stopping.wait(max(0.0, self._breathe_until - time.monotonic()))
            except (OperationalError, SQLAlchemyError, OSError, psycopg.Error, *connection.connection_errors) as error:
                log.warning("cannot publish now: %s", error)
                connection.close()
                connection, producer = self.app.connection_for_write(), None
                self.stopping.wait(PAUSE_AFTER_FAILURE)

    def publish_due(self, producer: Any) -> int:
        """One round: marks due jobs, commits, publishes. Returns how many."""
        with transaction(self.engine) as session:
            due = take_due(session, wall_now(), timedelta(seconds=self.settings.lease_seconds), BATCH)
        if len({job.ref for job in due}) > 1:
            self._breathe_until = time.monotonic() + BREATH
        for kind, ids in messages(due):
            self.app.send_task(kind, args=ids, queue=queue_of(kind), producer=producer, ignore_result=True, retry=False)
        return len(due)

    def stop(self, *_: object) -> None:
        """Ends after the round that runs."""
        self.stopping.set()

    def close(self) -> None:
        """Says goodbye, if the database hears it, and lets it go."""
        with suppress(*AWAY), transaction(self.engine) as session:
            housekeeping.leave(session, self.name)
        self.engine.dispose()

    def _wait(self) -> None:
        if self._doorbell is None:
            self.stopping.wait(self.settings.relay_poll_seconds)
        else:
            self._doorbell.wait(self.stopping)

    def _beat(self) -> None:
        if wall_now() - self._last_beat >= timedelta(seconds=HEARTBEAT_SECONDS):
            self._last_beat = wall_now()
            with transaction(self.engine) as session:
                housekeeping.beat(session, self.name, "publishes jobs", wall_now())


def messages(due: Sequence[DueJob]) -> Iterator[tuple[str, list[str]]]:
    """What is published for these jobs: kind and ids, up to as many in a message as `TOGETHER` says.

    A job that was claimed before travels alone: if it is what kills its worker, it takes no other down with it again.
    """
    for kind, most in TOGETHER.items():
        together = [str(job.id) for job in due if job.kind == kind and not job.tried]
        for start in range(0, len(together), most):
            yield kind, together[start : start + most]
    for job in due:
        if job.kind not in TOGETHER or job.tried:
            yield job.kind, [str(job.id)]


class _Doorbell:
    """PostgreSQL's LISTEN: rings when a transaction that owes jobs commits; a second of silence is looked after anyway."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._connection: psycopg.Connection[Any] | None = None

    def wait(self, stopping: threading.Event, seconds: float = 1.0) -> None:
        """Returns at the next ring, after `seconds`, or at once when the relay stops."""
        if stopping.is_set():
            return
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url, autocommit=True)
            self._connection.execute(f"LISTEN {CHANNEL}")
            return  # what was committed before the LISTEN rang for nobody
        for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            pass


def main() -> None:
    """Runs one relay with the settings of the environment until SIGTERM or SIGINT."""
    settings = load(RelaySettings)
    begin(as_json=settings.log_format is LogFormat.JSON)
    relay = Relay(settings, publisher)
    signal.signal(signal.SIGTERM, relay.stop)
    signal.signal(signal.SIGINT, relay.stop)
    relay.run()
    relay.close()


if __name__ == "__main__":
    main()
