"""The bounce reader: takes in mail that came back, from a port or a mailbox. Run as `python -m workers.bounces`.

It needs no broker and no key but the one that marks return paths.
"""

import logging
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from workflow.database import AWAY, create_engine, transaction
from workflow.db.queries import housekeeping
from workflow.domain.bounces import Outcome, Tags
from workflow.errors import DeskError, Misconfigured
from workflow.logs import begin
from workflow.mail import bounces as reading
from workflow.mail.archives import imap
from workflow.mail.bounce_boxes import look_into_imap, look_into_maildir
from workflow.mail.bounce_port import BouncePort, Door
from workflow.mail.return_paths import tags_for
from workflow.services import bounces as services
from workflow.settings import BounceSettings, LogFormat, load
from workflow.times import utc_now, wall_now

log = logging.getLogger("workers.bounces")

PROCESS = "bounces"
HEARTBEAT_SECONDS = 15.0


class BounceSourceUnusable(Misconfigured):
    """Nothing says where bounces come from, or whose they are."""

    code = "mail.bounce_source"


class BounceReader:
    """Reads until it is stopped. Two of them do no harm: each report is taken in once."""

    def __init__(self, settings: BounceSettings) -> None:
        tags = tags_for(settings.bounce_address, settings.bounce_key)
        if tags is None:
            raise BounceSourceUnusable(
                "Set LICDESK_BOUNCE_ADDRESS, for the general worker as well: no mail comes back otherwise."
            )
        self.settings = settings
        self.tags: Tags = tags
        self.port = _port(settings.bounce_source, Door(tags.is_ours, self.take_in))
        self.engine = create_engine(settings.database_url, pool_size=4)
        self.stopping = threading.Event()
        self.counted: Counter[Outcome] = Counter()

    def run(self) -> None:
        """Listens, or looks into the mailbox, and says that it lives. A database or a mailbox that is away is waited for."""
        if self.port is not None:
            self.port.start()
            log.info("takes in bounces at %s", self.settings.bounce_source)
        try:
            while not self.stopping.is_set():
                self.round()
                self.stopping.wait(HEARTBEAT_SECONDS)
        finally:
            if self.port is not None:
                self.port.stop()

    def round(self) -> None:
        """One turn: a look into the mailbox, if there is one, and a sign of life."""
        try:
            self.look()
            with transaction(self.engine) as session:
                housekeeping.beat(session, PROCESS, self.word(), wall_now())
        except (*AWAY, DeskError) as error:
            log.error("no bounces now: %s", error)

    def look(self) -> None:
        """Takes in what waits in the mailbox. Raises ArchiveAway, ArchiveUnusable."""
        scheme, _, rest = self.settings.bounce_source.partition(":")
        if scheme == "maildir":
            look_into_maildir(Path(rest), self.take_in)
        elif scheme in ("imap", "imaps"):
            look_into_imap(self.settings.bounce_source, self.settings.bounce_password, self.take_in)

    def take_in(self, raw: bytes, addressed_to: Sequence[str] = ()) -> Outcome:
        """One message, from its bytes to what it changes. Without an envelope its header fields say to whom it came."""
        try:
            outcome = self._take_in(raw, addressed_to or reading.addressed_in(raw))
        except AWAY as error:
            log.error("a bounce has to wait: %s", error)
            outcome = Outcome.LATER
        except Exception:  # the edge of the process: one message must not keep all others out
            log.exception("a bounce could not be taken in")
            outcome = Outcome.DROPPED
        self.counted[outcome] += 1
        return outcome

    def word(self) -> str:
        """What it took in since it started."""
        told = [f"{self.counted[each]} {each}" for each in Outcome if self.counted[each]]
        return f"took in: {', '.join(told)}" if told else "nothing came back yet"

    def stop(self, *_: object) -> None:
        """Ends after the turn that runs."""
        self.stopping.set()

    def close(self) -> None:
        """Says goodbye, if the database hears it, and lets it go."""
        with suppress(*AWAY), transaction(self.engine) as session:
            housekeeping.leave(session, PROCESS)
        self.engine.dispose()

    def _take_in(self, raw: bytes, addressed_to: Sequence[str]) -> Outcome:
        job = next((found for each in addressed_to if (found := self.tags.job_at(each))), None)
        with transaction(self.engine) as session:
            refused = services.admit(session, job, wall_now())
        if refused is not None:
            return refused
        report = reading.read(raw, addressed_to)
        with transaction(self.engine) as session:
            outcome = services.take_in(session, services.READER, self.tags, report, utc_now())
        log.info("a report of %s: %s", report.verdict, outcome)
        return outcome


def _port(source: str, door: Door) -> BouncePort | None:
    """What listens; None for a mailbox. Raises BounceSourceUnusable, ArchiveUnusable."""
    scheme, _, rest = source.partition(":")
    if scheme in ("lmtp", "smtp"):
        host, _, port = rest.rpartition(":")
        if host and port.isdigit() and 0 < int(port) < 65_536:
            return BouncePort(door, host.strip("[]"), int(port), lmtp=scheme == "lmtp")
    elif scheme in ("imap", "imaps"):
        imap.address_of(source, "LICDESK_BOUNCE_SOURCE")
        return None
    elif scheme == "maildir" and (Path(rest) / "new").is_dir():
        return None
    raise BounceSourceUnusable(
        f"LICDESK_BOUNCE_SOURCE is {source!r}. Write lmtp:HOST:PORT or smtp:HOST:PORT to listen, maildir: and the path of a "
        "Maildir, or imaps://USER@HOST/MAILBOX."
    )


def main() -> None:
    """Runs one reader with the settings of the environment until SIGTERM or SIGINT."""
    settings = load(BounceSettings)
    begin(as_json=settings.log_format is LogFormat.JSON)
    try:
        reader = BounceReader(settings)
    except DeskError as error:
        raise SystemExit(f"{error.code}: {error}") from error
    signal.signal(signal.SIGTERM, reader.stop)
    signal.signal(signal.SIGINT, reader.stop)
    reader.run()
    reader.close()


if __name__ == "__main__":
    main()
