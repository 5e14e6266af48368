"""The witness: once a day it looks at the whole history and signs a checkpoint. Run as `python -m workers.witness`.

It needs no broker, holds the auditors' key and no other, and with PostgreSQL it has a role of its own, which writes checkpoints
and nothing else. What it signed is also kept as files outside of the database.
"""

import logging
import signal
import threading
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from workflow.database import AWAY, create_engine, reading, transaction
from workflow.db.queries import checkpoints, housekeeping
from workflow.errors import DeskError
from workflow.license_file import Signer, TrustChain, TrustError, TrustRoot
from workflow.logs import begin
from workflow.services import notices, witnessing
from workflow.settings import LogFormat, WitnessSettings, load
from workflow.signing_keys import open_signer
from workflow.times import wall_now

log = logging.getLogger("workers.witness")

HEARTBEAT_SECONDS = 60
MOST_SAID = 500


class Witness:
    """Looks and signs until it is stopped. Two of them do no harm: of two checkpoints with one number the first counts."""

    def __init__(self, settings: WitnessSettings) -> None:
        self.settings = settings
        self.engine: Engine = create_engine(settings.database_url, pool_size=1)
        self.stopping = threading.Event()
        self.signer = _signer(settings)
        self._word = ""
        witnessing.require_auditor(self.trust(), self.signer)

    def run(self) -> None:
        """Looks, signs when it is time, and waits, in turn. A database that is away is waited for."""
        while not self.stopping.is_set():
            try:
                self.round(wall_now())
            except (*AWAY, DeskError, TrustError) as error:
                log.error("no checkpoint now: %s", error)
            self.stopping.wait(HEARTBEAT_SECONDS)

    def round(self, now: datetime) -> None:
        """One turn: a look and a checkpoint when one is due, else only a sign of life."""
        if not self._word or self._is_due(now):
            self._look_and_sign(now)
        with transaction(self.engine) as session:
            housekeeping.beat(session, witnessing.PROCESS, self._word[:MOST_SAID], now)

    def stop(self, *_: object) -> None:
        """Ends after the turn that runs."""
        self.stopping.set()

    def close(self) -> None:
        """Says goodbye, if the database hears it, and lets it go. What it saw of a broken history stays to be read."""
        if not self._word.startswith(witnessing.DOUBT):
            with suppress(*AWAY), transaction(self.engine) as session:
                housekeeping.leave(session, witnessing.PROCESS)
        self.engine.dispose()

    def trust(self) -> TrustRoot:
        """The trust root as it is now. Raises AuditorKeyUnusable, TrustError."""
        directory = self.settings.trust_dir
        try:
            return TrustChain.read(directory, (directory / "pin.txt").read_text(encoding="ascii")).current
        except OSError as error:
            raise witnessing.AuditorKeyUnusable(f"The trust root in {directory} cannot be read: {error}.") from error

    def _look_and_sign(self, now: datetime) -> None:
        directory = self.settings.checkpoint_dir
        witnessing.complete_files(self.engine, directory)
        trust = self.trust()
        witnessing.require_auditor(trust, self.signer)
        verdict = witnessing.look(self.engine, trust, directory)
        self._word = witnessing.word(verdict)
        for each in verdict.findings:
            log.error("%s", each.sentence)
        if verdict.findings:
            with transaction(self.engine) as session:
                notices.keep_findings(session, verdict.findings, now)
        if self._is_due(now) and not verdict.unlike_witnessed:
            try:
                number = witnessing.sign_checkpoint(self.engine, verdict, self.signer, directory, now)
            except IntegrityError:
                log.info("another witness signed this one")
            else:
                log.info("signed checkpoint %d: %s", number, self._word)

    def _is_due(self, now: datetime) -> bool:
        with reading(self.engine) as session:
            last = checkpoints.last_at(session)
        return last is None or now - last[1] >= timedelta(seconds=self.settings.checkpoint_seconds)


def _signer(settings: WitnessSettings) -> Signer:
    if settings.auditor_key is None or settings.auditor_key_secret is None:
        raise witnessing.AuditorKeyUnusable("Name the auditors' key in LICDESK_AUDITOR_KEY, and the secret that opens it.")
    return open_signer(settings.auditor_key, settings.auditor_key_secret.get_secret_value().encode())


def main() -> None:
    """Runs one witness with the settings of the environment until SIGTERM or SIGINT."""
    settings = load(WitnessSettings)
    begin(as_json=settings.log_format is LogFormat.JSON)
    witness = Witness(settings)
    signal.signal(signal.SIGTERM, witness.stop)
    signal.signal(signal.SIGINT, witness.stop)
    witness.run()
    witness.close()


if __name__ == "__main__":
    main()
