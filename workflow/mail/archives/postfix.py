"""The log of a Postfix server, which tells of every message three times:

    … postfix/smtpd[901]: C94C327C77E: client=desk.example.com[192.0.2.7]
    … postfix/cleanup[811]: C94C327C77E: message-id=<…@example.com>
    … postfix/qmgr[702]: C94C327C77E: from=<licensing@example.com>, size=16313, nrcpt=1 (queue active)

The second line alone proves nothing: cleanup(8) writes it before the last byte has come. The third one follows once the message
is safe on the server's disk, which is when it answers 250. A client that hangs up first is told of in the name of smtpd(8).
"""

import gzip
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from workflow.mail.archives.errors import ArchiveAway

# The mark and the log are written by different processes, perhaps on different machines.
CLOCK_SLACK = timedelta(minutes=5)
_HUNG_UP = (b"lost connection after ", b"timeout after ", b"too many errors after ")
_REFUSED = (b"reject: ", b"milter-reject: ", b"milter-discard: ")


def find(log: Path, message_id: str, since: datetime) -> bool:
    """Whether the server took a message with this Message-ID, by its log and what was rotated out of it after `since`.

    Raises ArchiveAway when the log does not tell yet, or when nothing was written to it since: then it is not the log of a
    server that was spoken to, or it has stopped. Raises OSError when it cannot be read.
    """
    files = _written_since(log, (since - CLOCK_SLACK).timestamp())
    if not files:
        raise ArchiveAway(f"Nothing was written to {log} since the message was handed over. Is it the mail server's log?")
    undecided = _undecided(_told(files), message_id.encode("ascii"))
    if undecided is None:
        return True
    if undecided:
        raise ArchiveAway(f"The mail server began to take {message_id}; {log} does not tell yet whether it did.")
    return False


def _undecided(told: Iterable[tuple[bytes, bytes, bytes]], message_id: bytes) -> set[bytes] | None:
    """The queue ids under which the message began to come in and neither arrived nor was given up; None once one arrived."""
    began: set[bytes] = set()
    talking: dict[bytes, bytes] = {}
    for daemon, process, said in told:
        queue_id, _, what = said.partition(b": ")
        if daemon == b"smtpd" and what.startswith(b"client="):
            talking[process] = queue_id
        elif daemon == b"smtpd" and said.startswith(_HUNG_UP):
            began.discard(talking.get(process, b""))
        elif daemon == b"cleanup" and what == b"message-id=" + message_id:
            began.add(queue_id)
        elif daemon == b"cleanup" and what.startswith(_REFUSED):
            began.discard(queue_id)
        elif daemon == b"qmgr" and queue_id in began and what.endswith(b"(queue active)"):
            return None
    return began


def _told(files: Iterable[Path]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Daemon, process and words of each line: `… postfix/submission/smtpd[901]: words`."""
    for path in files:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                head, _, said = line.rstrip(b"\r\n").partition(b"]: ")
                daemon, _, process = head.rpartition(b"[")
                yield daemon.rpartition(b"/")[2], process, said


def _written_since(log: Path, since: float) -> list[Path]:
    """The log and what logrotate(8) made of it (`mail.log.1`, `mail.log-20261124`, `.gz`), oldest first."""
    rotated = (f"{log.name}.", f"{log.name}-")
    kept = [each for each in log.parent.iterdir() if each.name == log.name or each.name.startswith(rotated)]
    written = sorted((each.stat().st_mtime, each) for each in kept)
    return [each for changed, each in written if changed >= since]
