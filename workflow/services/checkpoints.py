"""Checkpoints: signed statements about the heads of all chains, chained to each other, kept in the database and as files.

A database that was rewritten, or set back, can be sound in itself; it cannot be what an earlier checkpoint has seen. The key
that signs is held by the witness and has the role `auditors` in the trust root; nothing that writes history has it.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from workflow.db.chains import Head
from workflow.errors import Conflict, Misconfigured
from workflow.license_file import LicenseRefused, Signer, TrustRoot, canonical, sign_document
from workflow.license_file.envelope import decode
from workflow.license_file.fields import Members, instant_text
from workflow.license_file.strict_json import decode as decode_strictly

CHECKPOINT_TYPE = "application/vnd.serviceme.checkpoint.v1+json"
SCHEMA = 1
LONGEST_REASON = 500


class CheckpointUnusable(Conflict):
    """A checkpoint that is damaged, is not signed by the auditors of the trust root, or does not follow the one before it."""

    code = "audit.checkpoint_unusable"
    title = "A checkpoint cannot be used"


class CheckpointFilesUnusable(Misconfigured):
    """The directory of the checkpoints cannot be read or written."""

    code = "audit.checkpoint_files_unusable"


@dataclass(frozen=True)
class Statement:
    """What is signed. `previous` is the SHA-256 of the statement before it, `heads_sha256` that of the list of grown chains.

    `anew` is empty, or says why what earlier checkpoints have seen no longer counts (after a backup was restored); then the
    list has all chains.
    """

    number: int
    at: datetime
    previous: str
    chains: int
    events: int
    heads_sha256: str
    anew: str = ""


class Stored(NamedTuple):
    """A checkpoint as it is kept: the signed document, and the list of the chains that had grown."""

    statement: bytes
    heads: str


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose signature and list were checked."""

    statement: Statement
    payload_sha256: str
    heads: Mapping[str, Head]


def signed(statement: Statement, signer: Signer) -> bytes:
    """The signed document. It stays below the 4,096 bytes that a key in a token signs."""
    payload = canonical(
        {
            "type": "checkpoint",
            "schema": SCHEMA,
            "number": statement.number,
            "at": instant_text(statement.at),
            "previous": statement.previous,
            "chains": statement.chains,
            "events": statement.events,
            "heads_sha256": statement.heads_sha256,
            "anew": statement.anew,
        }
    )
    return sign_document(CHECKPOINT_TYPE, payload, [signer])


def heads_text(heads: Mapping[str, Head]) -> str:
    """The list of chains as it is digested and kept: one line each, sorted, STREAM COUNT HASH."""
    return "".join(f"{stream} {head.length} {head.hash}\n" for stream, head in sorted(heads.items()))


def digest_of(text: str) -> str:
    """SHA-256 of a text, in hexadecimal digits."""
    return sha256(text.encode()).hexdigest()


def opened(stored: Stored, trust: TrustRoot) -> Checkpoint:
    """The checkpoint, if the auditors of the trust root signed it and its list is the one that they signed.

    Raises CheckpointUnusable.
    """
    try:
        envelope = decode(stored.statement)
        if envelope.payload_type != CHECKPOINT_TYPE:
            raise CheckpointUnusable("It is another kind of document.")
        statement = _statement_from(envelope.payload)
        if not trust.auditors.are_met_by(trust.good_signatures(envelope), statement.at):
            raise CheckpointUnusable("It is not signed by the auditors of the trust root.")
    except LicenseRefused as refused:
        raise CheckpointUnusable(str(refused)) from None
    if digest_of(stored.heads) != statement.heads_sha256:
        raise CheckpointUnusable("The list of chains beside it is not the one that was signed.")
    return Checkpoint(statement, sha256(envelope.payload).hexdigest(), _heads_from(stored.heads))


def follow(before: Checkpoint | None, checkpoint: Checkpoint) -> None:
    """Raises CheckpointUnusable unless the checkpoint follows directly from the one before it (None: it is the first)."""
    number, previous = (before.statement.number + 1, before.payload_sha256) if before else (1, "")
    if (checkpoint.statement.number, checkpoint.statement.previous) != (number, previous):
        raise CheckpointUnusable("It does not follow from the one before it: one of the two is not genuine.")


def witnessed(checkpoints: Sequence[Checkpoint]) -> dict[str, dict[int, tuple[str, int]]]:
    """What the checkpoints say together: for each chain, which hash an event had, and which checkpoint saw it."""
    seen: dict[str, dict[int, tuple[str, int]]] = defaultdict(dict)
    for checkpoint in checkpoints:
        if checkpoint.statement.anew:
            seen.clear()
        for stream, head in checkpoint.heads.items():
            seen[stream].setdefault(head.length, (head.hash, checkpoint.statement.number))
    return seen


def grown(heads: Mapping[str, Head], checkpoints: Sequence[Checkpoint]) -> dict[str, Head]:
    """The chains that are not as the last checkpoint left them."""
    last: dict[str, Head] = {}
    for checkpoint in checkpoints:
        last.update(checkpoint.heads)
    return {stream: head for stream, head in heads.items() if last.get(stream) != head}


# Files ----------------------------------------------------------------------------------------------------------------


def write_files(directory: Path, number: int, stored: Stored) -> None:
    """Keeps a checkpoint outside of the database, unless it is there. No file is ever written over.

    Raises CheckpointFilesUnusable.
    """
    statement, heads = _paths(directory, number)
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        # The statement comes last: where it is, the list is whole.
        for path, content in ((heads, stored.heads.encode()), (statement, stored.statement)):
            if not path.exists():
                _write_once(path, content)
    except OSError as error:
        raise CheckpointFilesUnusable(f"The checkpoint cannot be kept in {directory}: {error.strerror}.") from error


def read_files(directory: Path) -> dict[int, Stored]:
    """The checkpoints of a directory by their numbers; none when it does not exist. Raises CheckpointFilesUnusable."""
    found: dict[int, Stored] = {}
    try:
        for path in sorted(directory.glob("checkpoint-*.json")):
            number = path.stem.removeprefix("checkpoint-")
            if number.isdecimal():
                heads = path.with_suffix(".heads")
                text = heads.read_text(encoding="ascii", errors="replace") if heads.exists() else ""
                found[int(number)] = Stored(path.read_bytes(), text)
    except OSError as error:
        raise CheckpointFilesUnusable(f"The checkpoints in {directory} cannot be read: {error.strerror}.") from error
    return found


def _paths(directory: Path, number: int) -> tuple[Path, Path]:
    path = directory / f"checkpoint-{number:06}.json"
    return path, path.with_suffix(".heads")


def _write_once(path: Path, content: bytes) -> None:
    """A new file that appears whole or not at all and is on the disk before anybody is told."""
    waiting = path.with_name(f".{path.name}.{os.getpid()}")
    with waiting.open("wb") as file:
        os.fchmod(file.fileno(), 0o444)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.link(waiting, path)  # refuses to replace what is there, as a rename would not
    waiting.unlink()


def _statement_from(payload: bytes) -> Statement:
    members = Members(decode_strictly(payload))
    members.fixed("type", "checkpoint")
    members.fixed("schema", SCHEMA)
    statement = Statement(
        number=members.integer("number", least=1),
        at=members.instant("at"),
        previous=members.text("previous", least=0, longest=64),
        chains=members.integer("chains", least=0),
        events=members.integer("events", least=0),
        heads_sha256=members.digest("heads_sha256"),
        anew=members.text("anew", least=0, longest=LONGEST_REASON),
    )
    members.end()
    return statement


def _heads_from(text: str) -> dict[str, Head]:
    return dict(_head_from(line) for line in text.splitlines())


def _head_from(line: str) -> tuple[str, Head]:
    parts: Iterable[str] = line.split(" ")
    stream, count, digest = parts
    return stream, Head(int(count), digest)
