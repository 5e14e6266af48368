"""Whether the history can be believed: every chain walked from end to end, and held against what checkpoints have seen."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import assert_never

from sqlmodel import Session

from workflow.db.chains import Break, Flaw, Head, break_in
from workflow.db.queries import checkpoints as checkpoint_queries
from workflow.db.queries import events
from workflow.domain.events import SYSTEM_STREAM, LicenseIssued
from workflow.license_file import Signer, TrustRoot
from workflow.services import checkpoints
from workflow.services.checkpoints import Checkpoint, CheckpointUnusable, Statement, Stored

SYSTEM_WORDS = "the desk's own history"


@dataclass(frozen=True)
class Finding:
    """Something that cannot be: `what` in a stable word, `where` an application's number, `sentence` for a person."""

    what: str
    where: str
    stream: str
    sequence: int | None
    checkpoint: int | None
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What came of looking at everything. `notes` are not against the history, and whoever relies on it should know them."""

    chains: int
    events: int
    checkpoints: Sequence[Checkpoint]
    last_number: int
    """of all checkpoints that anything tells of, usable or not"""
    findings: Sequence[Finding]
    notes: Sequence[str]
    heads: Mapping[str, Head] = field(repr=False)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def unlike_witnessed(self) -> Finding | None:
        """The first finding that a checkpoint speaks against: what was seen once is not there any more."""
        return next((each for each in self.findings if each.checkpoint is not None), None)

    @property
    def witnessed_at(self) -> datetime | None:
        """When the newest checkpoint was signed."""
        return self.checkpoints[-1].statement.at if self.checkpoints else None


def verify(session: Session, trust: TrustRoot, files: Mapping[int, Stored]) -> Verdict:
    """Walks all chains in the database, under what the checkpoints in it and in `files` have seen.

    Give it a `snapshot`: a chain that grows while it is looked at would seem to break.
    """
    rows = {row.number: Stored(row.statement, row.heads) for row in checkpoint_queries.all_checkpoints(session)}
    last_number = max([*rows, *files], default=0)
    usable, found, notes = _checkpoints(rows, files, last_number, trust)
    seen = checkpoints.witnessed(usable)
    heads, numbers = events.heads(session), events.applications_by_stream(session)
    stored = events.issued_files(session)
    count = 0
    walked: set[str] = set()

    def counted(chain: Iterator[events.Told]) -> Iterator[events.Told]:
        nonlocal count
        for row in chain:
            count += 1
            if row.type == LicenseIssued.type:
                stored.get(row.stream, set()).discard(_file_named_in(row.payload))
            yield row

    for stream, chain in groupby(events.walk(session), attrgetter("stream")):
        walked.add(stream)
        told = counted(chain)
        broken = break_in(told, heads.get(stream, Head(0, "")), seen.get(stream, {}))
        for _ in told:  # the rest of a broken chain is not looked at, and still counted
            pass
        if broken:
            found.append(_finding(stream, numbers, broken))
    for stream in sorted((heads.keys() | seen.keys()) - walked):
        broken = break_in((), heads.get(stream, Head(0, "")), seen.get(stream, {}))
        if broken:
            found.append(_finding(stream, numbers, broken))
    found += _without_history(numbers, walked) + _untold(numbers, stored, {each.stream for each in found})
    return Verdict(len(walked), count, usable, last_number, found, notes, heads)


def next_checkpoint(verdict: Verdict, signer: Signer, now: datetime, anew: str = "") -> tuple[int, Stored]:
    """The checkpoint that follows, with its number. `anew` gives up what earlier ones have seen, and says why."""
    before = verdict.checkpoints[-1] if verdict.checkpoints else None
    heads = dict(verdict.heads) if anew else checkpoints.grown(verdict.heads, verdict.checkpoints)
    text = checkpoints.heads_text(heads)
    statement = Statement(
        number=verdict.last_number + 1,
        at=now.replace(microsecond=0),
        previous=before.payload_sha256 if before else "",
        chains=len(verdict.heads),
        events=sum(head.length for head in verdict.heads.values()),
        heads_sha256=checkpoints.digest_of(text),
        anew=anew,
    )
    return statement.number, Stored(checkpoints.signed(statement, signer), text)


def _checkpoints(
    rows: Mapping[int, Stored], files: Mapping[int, Stored], last: int, trust: TrustRoot
) -> tuple[list[Checkpoint], list[Finding], list[str]]:
    """The checkpoints that count, oldest first: those since history was last begun anew."""
    usable: list[Checkpoint] = []
    found: list[Finding] = []
    notes: list[str] = []
    for number in range(1, last + 1):
        in_database, in_file = rows.get(number), files.get(number)
        kept = in_file or in_database
        if kept is None:
            found.append(_against("checkpoint_missing", number, "It is neither in the database nor among the files."))
            continue
        if in_database is None:
            said = "A file tells of it and the database does not have it: the database was set back or rewritten."
            found.append(_against("checkpoint_missing", number, said))
        elif in_file is not None and in_file != in_database:
            found.append(_against("checkpoint_differs", number, "The database has another one than the file."))
        try:
            checkpoint = checkpoints.opened(kept, trust)
            if checkpoint.statement.number != number:
                raise CheckpointUnusable(f"It says that it is checkpoint {checkpoint.statement.number}.")
            if not checkpoint.statement.anew:
                checkpoints.follow(usable[-1] if usable else None, checkpoint)
        except CheckpointUnusable as unusable:
            found.append(_against("checkpoint_unusable", number, str(unusable)))
            continue
        if checkpoint.statement.anew:
            usable, found = [], []
            notes.append(
                f"Checkpoint {number} of {checkpoint.statement.at:%Y-%m-%d} began anew, and what was seen before it no longer "
                f"counts: {checkpoint.statement.anew}"
            )
        usable.append(checkpoint)
    if rows and not files:
        notes.append("No checkpoint files were compared: what the database says of its own checkpoints is all there is.")
    return usable, found, notes


def _against(what: str, number: int, sentence: str) -> Finding:
    return Finding(what, f"checkpoint {number}", "", None, number, f"Checkpoint {number} cannot be relied on. {sentence}")


def _finding(stream: str, numbers: Mapping[str, str], broken: Break) -> Finding:
    where = SYSTEM_WORDS if stream == SYSTEM_STREAM else numbers.get(stream, f"application {stream}")
    return Finding(broken.flaw.value, where, stream, broken.sequence, broken.checkpoint, _sentence(where, broken))


def _sentence(where: str, broken: Break) -> str:
    at, checkpoint = broken.sequence, broken.checkpoint
    match broken.flaw:
        case Flaw.ALTERED:
            return f"Event {at} of {where} was altered."
        case Flaw.UNLINKED:
            return f"Event {at} of {where} does not follow from the one before it, or is not the one that the chain ended with."
        case Flaw.MISSING:
            return f"Event {at} of {where} is missing."
        case Flaw.SURPLUS:
            return f"Event {at} of {where} was added to the end of the chain by hand."
        case Flaw.TAIL_MISSING:
            return f"The history of {where} ends before event {at}, which checkpoint {checkpoint} has seen."
        case Flaw.REWRITTEN:
            return f"The history of {where} was rewritten at event {at} or later: checkpoint {checkpoint} has seen another."
        case _:
            assert_never(broken.flaw)


def _file_named_in(payload: str) -> str:
    """The digest of the license that an event tells of; an altered event may tell anything."""
    try:
        return str(json.loads(payload)["payload_sha256"])
    except (ValueError, LookupError, TypeError):
        return ""


def _without_history(numbers: Mapping[str, str], walked: set[str]) -> list[Finding]:
    return [
        Finding("untold_application", number, stream, 1, None, f"{number} is stored, and the history does not tell of it.")
        for stream, number in sorted(numbers.items(), key=lambda each: each[1])
        if stream not in walked
    ]


def _untold(numbers: Mapping[str, str], left: Mapping[str, set[str]], broken: set[str]) -> list[Finding]:
    """Licenses without an event that tells of them. A chain that is broken was found already."""
    return [
        Finding(
            "untold_license",
            numbers.get(stream, stream),
            stream,
            None,
            None,
            f"A license of {numbers.get(stream, stream)} is stored, and the history does not tell of its signature.",
        )
        for stream, digests in sorted(left.items())
        if digests and stream not in broken
    ]
