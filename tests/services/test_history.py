"""Whoever holds the whole database can rewrite it so that it is sound in itself. Checkpoints remember."""

from contextlib import suppress
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from tests.builders import NOW, Office
from tests.license_file.example import signer, trust
from workflow.database import transaction
from workflow.db.outbox import CHAINED, chain_hash
from workflow.db.tables import EventRow, EventStream
from workflow.services import checkpoints, history, witnessing
from workflow.services.history import Finding, Verdict
from workflow.services.witnessing import UnlikeWitnessed

TRIGGERS = {
    "sqlite": ("DROP TRIGGER {table}_no_update", "DROP TRIGGER {table}_no_delete"),
    "postgresql": ("DROP TRIGGER {table}_no_change ON {table}", "DROP TRIGGER {table}_no_truncate ON {table}"),
}


class Auditor:
    """Who looks at an office's history, with a directory that no database reaches."""

    def __init__(self, office: Office, directory: Path) -> None:
        self.office = office
        self.directory = directory
        self.days = 0

    def look(self) -> Verdict:
        return witnessing.look(self.office.engine, trust(), self.directory)

    def finding(self) -> Finding:
        """The only one."""
        (found,) = self.look().findings
        return found

    def sign(self, anew: str = "", key: str = "auditor") -> int:
        self.days += 1
        at = NOW + timedelta(days=self.days)
        return witnessing.sign_checkpoint(self.office.engine, self.look(), signer(key), self.directory, at, anew=anew)

    def tamper(self, *statements: str, **values: object) -> None:
        """What somebody does who owns the database."""
        with transaction(self.office.engine) as session:
            for each in statements:
                session.execute(text(each), values)

    def stream(self, number: str) -> str:
        return str(self.office.application(number).id)


_TEXT = "'0'"
_OTHER = {
    "sequence": "sequence + 100",
    "schema_version": "9",
    "revision": "coalesce(revision, 0) + 1",
    "stream": "'system', sequence = 9999",
    "at": "'2001-01-01 00:00:00.000000'",
}
"""What is written over a column instead of a text. An event that is put into another chain is missing in its own."""


class _Undo(Exception):
    """Takes back what was tried."""


@pytest.fixture
def auditor(office: Office, tmp_path: Path) -> Auditor:
    """With the triggers gone, as for somebody who owns the tables."""
    made = Auditor(office, tmp_path / "checkpoints")
    dialect = office.engine.dialect.name
    made.tamper(*(each.format(table=table) for table in ("event", "checkpoint") for each in TRIGGERS[dialect]))
    return made


def cut(auditor: Auditor, number: str, after: int) -> None:
    """Takes the end of a chain away, and sets its head back so that nothing shows."""
    stream = auditor.stream(number)
    auditor.tamper(
        "UPDATE job SET event = NULL WHERE event IN (SELECT id FROM event WHERE stream = :stream AND sequence > :after)",
        "DELETE FROM event WHERE stream = :stream AND sequence > :after",
        "UPDATE event_stream SET count = :after, head = "
        "(SELECT hash FROM event WHERE stream = :stream AND sequence = :after) WHERE stream = :stream",
        stream=stream,
        after=after,
    )


def rewrite(auditor: Auditor, number: str, payload: str, sequence: int) -> None:
    """Changes an event and computes every hash after it anew."""
    stream = auditor.stream(number)
    with transaction(auditor.office.engine) as session:
        previous = ""
        for row in session.exec(select(EventRow).where(EventRow.stream == stream).order_by(col(EventRow.sequence))).all():
            if row.sequence == sequence:
                row.payload = payload
            row.previous = previous
            previous = row.hash = chain_hash({name: getattr(row, name) for name in CHAINED})
        head = session.get(EventStream, stream)
        assert head is not None
        head.head = previous


def test_a_history_that_nobody_touched_holds_and_each_checkpoint_lists_what_grew(office: Office, auditor: Auditor) -> None:
    first = office.issued()
    assert auditor.sign() == 1
    second = office.submitted(environment="UAT")
    assert auditor.sign() == 2
    verdict = auditor.look()
    assert verdict.findings == []
    assert [each.statement.chains for each in verdict.checkpoints] == [2, 3]
    assert set(verdict.checkpoints[1].heads) == {auditor.stream(second)}, "the others are as they were"
    assert verdict.events == sum(head.length for head in verdict.heads.values())
    assert auditor.stream(first) in verdict.checkpoints[0].heads
    assert sorted(path.name for path in auditor.directory.iterdir()) == [
        *("checkpoint-000001.heads", "checkpoint-000001.json", "checkpoint-000002.heads", "checkpoint-000002.json")
    ]
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in auditor.directory.iterdir())


@pytest.mark.parametrize(
    ("statement", "what", "sequence"),
    [
        ("UPDATE event SET actor_name = 'Nobody' WHERE stream = :stream AND sequence = 2", "altered", 2),
        ("UPDATE event SET payload = 'not even JSON' WHERE stream = :stream AND sequence = 5", "altered", 5),
        ("UPDATE event SET hash = previous WHERE stream = :stream AND sequence = 4", "altered", 4),
        ("DELETE FROM event WHERE stream = :stream AND sequence = 1", "missing", 1),
        ("DELETE FROM event WHERE stream = :stream AND sequence = 3", "missing", 3),
        ("DELETE FROM event WHERE stream = :stream AND sequence = 5", "missing", 5),
        ("DELETE FROM event WHERE stream = :stream", "missing", 1),
        ("UPDATE event_stream SET count = 4 WHERE stream = :stream", "surplus", 5),
        ("UPDATE event_stream SET head = '' WHERE stream = :stream", "unlinked", 5),
    ],
)
def test_the_first_event_that_is_wrong_is_named(
    office: Office, auditor: Auditor, statement: str, what: str, sequence: int
) -> None:
    number = office.issued()
    office.submitted(environment="UAT")
    auditor.tamper("UPDATE job SET event = NULL", statement, stream=auditor.stream(number))
    found = auditor.look().findings[0]
    assert (found.what, found.where, found.sequence) == (what, number, sequence)
    assert f"Event {sequence} of {number}" in found.sentence


def test_whatever_row_and_column_is_altered_and_whatever_row_is_deleted_it_is_that_row_that_is_named(
    office: Office, auditor: Auditor
) -> None:
    number = office.issued()
    auditor.tamper("UPDATE job SET event = NULL")
    stream, length = auditor.stream(number), len(office.history(number))
    tampering = [f"UPDATE event SET {column} = {_OTHER.get(column, _TEXT)} WHERE id = :id" for column in (*CHAINED, "hash")]
    with office.work() as session:
        events = {row.sequence: row.id for row in session.exec(select(EventRow).where(EventRow.stream == stream))}
    for sequence, statement in product(range(1, length + 1), [*tampering, "DELETE FROM event WHERE id = :id"]):
        event = events[sequence].hex if office.engine.dialect.name == "sqlite" else events[sequence]
        with suppress(_Undo), office.work() as session:
            session.execute(text(statement), {"id": event})
            session.expire_all()
            findings = history.verify(session, trust(), {}).findings
            assert (number, sequence) in {(found.where, found.sequence) for found in findings}, statement
            raise _Undo
    assert auditor.look().holds, "nothing of it was kept"


def test_an_end_that_was_cut_off_with_its_head_is_missed_by_a_checkpoint(office: Office, auditor: Auditor) -> None:
    number = office.approved()
    auditor.sign()
    cut(auditor, number, after=2)
    found = auditor.finding()
    assert (found.what, found.where, found.sequence, found.checkpoint) == ("tail_missing", number, 3, 1)
    assert "ends before event 3, which checkpoint 1 has seen" in found.sentence


def test_a_chain_that_was_written_anew_is_not_the_one_that_was_seen(office: Office, auditor: Auditor) -> None:
    number = office.submitted()
    auditor.sign()
    office.vote(number)
    auditor.sign()
    rewrite(auditor, number, '{"revision":1}', sequence=4)
    found = auditor.finding()
    assert (found.what, found.sequence, found.checkpoint) == ("rewritten", 3, 2), "up to 2, checkpoint 1 vouches for it"


def test_an_application_that_disappeared_with_all_its_rows_is_known_to_a_checkpoint(office: Office, auditor: Auditor) -> None:
    number = office.submitted()
    stream, identity = auditor.stream(number), office.application(number).id
    auditor.sign()
    key = identity.hex if office.engine.dialect.name == "sqlite" else str(identity)
    auditor.tamper(
        *(f"DELETE FROM {table} WHERE application = :key" for table in ("vote", "escalation", "requirement", "revision")),
        "DELETE FROM job WHERE ref = :key",
        "DELETE FROM event WHERE stream = :stream",
        "DELETE FROM event_stream WHERE stream = :stream",
        "DELETE FROM application WHERE id = :key",
        stream=stream,
        key=key,
    )
    found = auditor.finding()
    assert (found.what, found.stream, found.sequence, found.checkpoint) == ("tail_missing", stream, 1, 1)


def test_a_database_that_was_set_back_does_not_know_the_files_and_nothing_is_signed_on_top(
    office: Office, auditor: Auditor
) -> None:
    number = office.submitted()
    auditor.sign()
    office.vote(number)
    auditor.sign()
    auditor.tamper("DELETE FROM checkpoint WHERE number = 2")
    cut(auditor, number, after=2)
    assert [each.what for each in auditor.look().findings] == ["checkpoint_missing", "tail_missing"]
    with pytest.raises(UnlikeWitnessed, match="set back"):
        auditor.sign()
    assert auditor.sign(anew="The backup of Tuesday was restored after the disk failed.") == 3
    verdict = auditor.look()
    assert verdict.findings == []
    assert "The backup of Tuesday" in verdict.notes[0]
    office.submitted(environment="UAT")
    assert auditor.sign() == 4
    assert auditor.look().holds


def test_what_the_database_says_of_its_checkpoints_is_held_against_the_files(office: Office, auditor: Auditor) -> None:
    office.submitted()
    auditor.sign()
    auditor.tamper("UPDATE checkpoint SET heads = ''")
    assert auditor.finding().what == "checkpoint_differs"
    for path in auditor.directory.iterdir():
        path.unlink()
    assert auditor.finding().what == "checkpoint_unusable", "the list is not the one that was signed"
    assert auditor.look().notes[0].startswith("No checkpoint files were compared")


def test_only_the_auditors_key_makes_a_checkpoint(office: Office, auditor: Auditor) -> None:
    office.submitted()
    auditor.sign(key="issuer-prod")
    found = auditor.finding()
    assert found.what == "checkpoint_unusable"
    assert "not signed by the auditors" in found.sentence
    with pytest.raises(witnessing.AuditorKeyUnusable):
        witnessing.require_auditor(trust(), signer("issuer-prod"))
    witnessing.require_auditor(trust(), signer("auditor"))


def test_a_license_or_an_application_that_the_history_does_not_tell_of_is_named(office: Office, auditor: Auditor) -> None:
    number = office.issued()
    other = office.approved(environment="UAT")
    auditor.tamper("UPDATE license SET payload_sha256 = :digest", digest="e" * 64)
    found = auditor.finding()
    assert (found.what, found.where) == ("untold_license", number)
    auditor.tamper("UPDATE job SET event = NULL")
    auditor.tamper("DELETE FROM event WHERE stream = :stream", stream=auditor.stream(other))
    auditor.tamper("DELETE FROM event_stream WHERE stream = :stream", stream=auditor.stream(other))
    assert {(each.what, each.where) for each in auditor.look().findings} == {
        ("untold_license", number),
        ("untold_application", other),
    }


def test_a_file_that_was_not_written_before_the_process_ended_is_written_later(office: Office, auditor: Auditor) -> None:
    office.submitted()
    auditor.sign()
    written = checkpoints.read_files(auditor.directory)
    (auditor.directory / "checkpoint-000001.json").unlink()
    witnessing.complete_files(office.engine, auditor.directory)
    assert checkpoints.read_files(auditor.directory) == written


def test_a_checkpoint_stays_small_enough_for_a_key_in_a_token(office: Office, auditor: Auditor) -> None:
    for _ in range(3):
        office.submitted()
    number, stored = history.next_checkpoint(auditor.look(), signer("auditor"), NOW, "é" * checkpoints.LONGEST_REASON)
    assert number == 1
    assert len(stored.statement) < 4_096
