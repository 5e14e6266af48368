"""What the witness does once a day: look at the whole history, sign what it saw, and keep that in two places."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from workflow.database import snapshot, transaction
from workflow.db.queries import checkpoints as queries
from workflow.errors import Conflict, Misconfigured
from workflow.license_file import KeyUse, Signer, TrustRoot
from workflow.services import checkpoints, history
from workflow.services.checkpoints import Stored
from workflow.services.history import Verdict

PROCESS = "witness"
"""The name under which it says that it lives."""
DOUBT = "Doubt: "
"""How its word begins when something is wrong."""


class UnlikeWitnessed(Conflict):
    """The history is not what an earlier checkpoint has seen: nothing is signed on top of that."""

    code = "audit.unlike_witnessed"
    title = "No checkpoint was signed"


class AuditorKeyUnusable(Misconfigured):
    """The key that signs checkpoints is not set, or the trust root does not list it under `auditors`."""

    code = "audit.key_unusable"


def require_auditor(trust: TrustRoot, signer: Signer) -> None:
    """Raises AuditorKeyUnusable unless the trust root lists the key under `auditors`, to sign."""
    if signer.keyid not in trust.auditors.keyids or trust.keys[signer.keyid].use is not KeyUse.SIGN:
        raise AuditorKeyUnusable(
            f"The key {signer.keyid[:16]} may not sign checkpoints under trust root version {trust.version}. "
            "Name a key of the role auditors in LICDESK_AUDITOR_KEY."
        )


def look(engine: Engine, trust: TrustRoot, directory: Path) -> Verdict:
    """The verdict on everything, with the checkpoints in the database and in the directory. Raises CheckpointFilesUnusable."""
    files = checkpoints.read_files(directory)
    with snapshot(engine) as session:
        return history.verify(session, trust, files)


def sign_checkpoint(engine: Engine, verdict: Verdict, signer: Signer, directory: Path, now: datetime, *, anew: str = "") -> int:
    """Signs what was seen and keeps it; returns the checkpoint's number. Owns its transaction: the file is written last.

    Raises UnlikeWitnessed, unless `anew` says why what was seen before no longer counts (a backup was restored), and
    CheckpointFilesUnusable. A chain that is broken in itself is no hindrance: its head is what it was.
    """
    if verdict.unlike_witnessed and not anew:
        raise UnlikeWitnessed(verdict.unlike_witnessed.sentence)
    number, stored = history.next_checkpoint(verdict, signer, now, anew)
    with transaction(engine) as session:
        queries.add(session, number, now, stored.statement, stored.heads)
    checkpoints.write_files(directory, number, stored)
    return number


def complete_files(engine: Engine, directory: Path) -> None:
    """Writes the files that are missing: the process may have ended between the database and the file."""
    with snapshot(engine) as session:
        rows = {row.number: Stored(row.statement, row.heads) for row in queries.all_checkpoints(session)}
    for number in rows.keys() - checkpoints.read_files(directory).keys():
        checkpoints.write_files(directory, number, rows[number])


def how_many(count: int, what: str) -> str:
    """Such as "1 chain" and "1,200 chains"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def word(verdict: Verdict) -> str:
    """What the witness says of a verdict, for the page."""
    if verdict.holds:
        return f"{how_many(verdict.events, 'event')} in {how_many(verdict.chains, 'chain')}, nothing missing, nothing altered."
    more = f" ({len(verdict.findings) - 1} more)" if len(verdict.findings) > 1 else ""
    return f"{DOUBT}{verdict.findings[0].sentence}{more}"
