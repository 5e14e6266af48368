"""How a Celery worker says that it lives, and what it holds that ends some day.

It is said from the worker's own loop, between two deliveries of messages: a worker that has lost its broker takes nothing, and
falls silent. No thread of its own, because a pool process may be forked at any time.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from celery import bootsteps
from cryptography import x509

from workflow.database import AWAY, create_engine, transaction
from workflow.db.queries import housekeeping
from workflow.errors import DeskError
from workflow.license_file import TrustChain, TrustError
from workflow.mail.openpgp import end_of_key
from workflow.settings import Database, SigningSettings, WorkerSettings, load
from workflow.times import wall_now

log = logging.getLogger("workers.heartbeats")

SECONDS = 10.0
Endings = Mapping[str, datetime]
"""What a process holds, by its name for people, and when it ends."""


class Heartbeats(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Part of a worker's start: a row in the database each ten seconds, which goes when the worker is told to stop.

    It starts again after a lost connection to the broker, as every step that depends on the connection does.
    """

    requires = ("celery.worker.consumer.connection:Connection",)
    endings: Callable[[], Endings]

    def start(self, parent: Any) -> None:
        """Says it now and from now on."""
        self._say(parent.hostname)
        self._entry = parent.timer.call_repeatedly(SECONDS, self._say, (parent.hostname,))

    def stop(self, parent: Any) -> None:
        """Says nothing more; a worker that merely lost its broker is heard of again when it is back."""
        self._entry.cancel()

    def shutdown(self, parent: Any) -> None:
        """The worker ends as it was told to: nobody has to look for it."""
        self._in_database(lambda session: housekeeping.leave(session, parent.hostname))

    def _say(self, process: str) -> None:
        try:
            endings = type(self).endings()
        except (OSError, ValueError, TrustError, DeskError) as error:
            log.warning("what this worker holds cannot be read: %s", error)
            endings = {}
        self._in_database(lambda session: housekeeping.beat(session, process, "takes jobs", wall_now(), endings))

    @staticmethod
    def _in_database(write: Callable[[Any], None]) -> None:
        # A connection for each time: one kept open would be inherited by every pool process that is forked later.
        try:
            engine = create_engine(load(Database).database_url, pool_size=1, ping=False)
            try:
                with transaction(engine) as session:
                    write(session)
            finally:
                engine.dispose()
        except AWAY as error:
            log.warning("the database does not answer: %s", error)


class GeneralHeartbeats(Heartbeats):
    """Of a general worker, which holds the mail signer's certificate and its OpenPGP key."""

    @staticmethod
    def endings() -> Endings:
        """When the mail signer's certificate and its OpenPGP key end."""
        settings = load(WorkerSettings)
        ends = {}
        if (path := settings.mail_signer_certificate) is not None:
            ends["Mail signer's certificate"] = x509.load_pem_x509_certificates(path.read_bytes())[0].not_valid_after_utc
        if settings.mail_openpgp_key is not None and (end := end_of_key(settings.mail_openpgp_key)) is not None:
            ends["Mail signer's OpenPGP key"] = end
        return ends


class SigningHeartbeats(Heartbeats):
    """Of a signing worker. Only public files are read here: this process opens no key."""

    @staticmethod
    def endings() -> Endings:
        """When the trust root ends."""
        directory = load(SigningSettings).trust_dir
        root = TrustChain.read(directory, (directory / "pin.txt").read_text(encoding="ascii")).current
        return {f"Trust root, version {root.version}": root.expires_at}
