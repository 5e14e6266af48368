"""The history: chained, append-only, and telling at which row somebody altered it."""

from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from tests import people
from tests.builders import NOW, Office
from tests.servers import PostgresServer
from workflow.database import create_engine, transaction
from workflow.db import outbox
from workflow.db.queries import events
from workflow.db.tables import EventRow, EventStream
from workflow.domain.events import SYSTEM_STREAM, SystemFact

DROP = {
    "sqlite": ("DROP TRIGGER event_no_update", "DROP TRIGGER event_no_delete"),
    "postgresql": ("DROP TRIGGER event_no_change ON event", "DROP TRIGGER event_no_truncate ON event"),
}


def facts(engine: Engine, count: int) -> None:
    """So many events in the system's chain, each in a transaction of its own."""
    for number in range(count):
        with transaction(engine) as session:
            outbox.record(session, SystemFact("tried", str(number)), people.OPERATOR, NOW)


def drop_triggers(engine: Engine) -> None:
    with transaction(engine) as session:
        for statement in DROP[engine.dialect.name]:
            session.execute(text(statement))


def broken_at(engine: Engine) -> int | None:
    with transaction(engine) as session:
        return events.first_broken(session, SYSTEM_STREAM)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET actor_name = 'Nobody'",
        "UPDATE event SET payload = payload",
        "DELETE FROM event",
        "DELETE FROM event WHERE sequence = 2",
    ],
)
def test_events_can_neither_be_changed_nor_deleted(engine: Engine, statement: str) -> None:
    facts(engine, 2)
    with pytest.raises(DBAPIError, match="events never change"), transaction(engine) as session:
        session.execute(text(statement))
    with transaction(engine) as session:
        assert len(events.of_stream(session, SYSTEM_STREAM)) == 2


@pytest.mark.postgres
def test_the_whole_history_cannot_be_truncated(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as url:
        engine = create_engine(url)
        facts(engine, 1)
        with pytest.raises(DBAPIError, match="events never change"), transaction(engine) as session:
            session.execute(text("TRUNCATE event CASCADE"))
        engine.dispose()


def test_an_untouched_chain_holds(engine: Engine) -> None:
    facts(engine, 4)
    assert broken_at(engine) is None
    with transaction(engine) as session:
        rows = events.of_stream(session, SYSTEM_STREAM)
        assert [row.sequence for row in rows] == [1, 2, 3, 4]
        assert [row.previous for row in rows] == ["", *[row.hash for row in rows[:-1]]]
        head = session.get(EventStream, SYSTEM_STREAM)
        assert head is not None
        assert (head.count, head.head) == (4, rows[-1].hash)


ALTERATIONS = {
    "type": "application.approved",
    "schema_version": 2,
    "actor": "person:somebody",
    "actor_name": "Somebody",
    "channel": "cli",
    "request_id": "other",
    "network": "198.51.100.7",
    "revision": 9,
    "at": "2026-11-03 09:00:00",
    "payload": "{}",
    "previous": "f" * 64,
    "hash": "f" * 64,
    "stream": "elsewhere",
    "sequence": 9,
}


@pytest.mark.parametrize("column", ALTERATIONS)
def test_whatever_is_altered_in_an_event_the_chain_breaks_there(engine: Engine, column: str) -> None:
    facts(engine, 4)
    drop_triggers(engine)
    with transaction(engine) as session:
        session.add(EventStream(stream="elsewhere"))
        session.flush()
        session.execute(text(f"UPDATE event SET {column} = :new WHERE sequence = 2"), {"new": ALTERATIONS[column]})
    assert broken_at(engine) == 2


def test_every_column_of_an_event_but_its_row_id_is_sealed() -> None:
    assert set(EventRow.model_fields) - set(ALTERATIONS) == {"id"}


@pytest.mark.parametrize(
    ("condition", "missing"),
    [("sequence = 1", 1), ("sequence = 3", 3), ("sequence = 4", 4), ("sequence > 1", 2), ("sequence > 0", 1)],
)
def test_a_deleted_event_is_missed_also_at_the_end(engine: Engine, condition: str, missing: int) -> None:
    """Nothing follows the last event, so only the chain's head knows about it."""
    facts(engine, 4)
    drop_triggers(engine)
    with transaction(engine) as session:
        session.execute(text(f"DELETE FROM event WHERE {condition}"))
    assert broken_at(engine) == missing


def test_a_chain_that_nothing_was_written_to_holds(engine: Engine) -> None:
    assert broken_at(engine) is None


def test_chains_of_two_applications_do_not_mix(office: Office) -> None:
    first, second = office.submitted(), office.submitted(environment="DEV")
    office.vote(first)
    assert [row.sequence for row in office.history(first)] == [1, 2, 3, 4]
    assert [row.sequence for row in office.history(second)] == [1, 2]


def test_an_event_of_an_application_says_which_revision_it_is_about(office: Office) -> None:
    number = office.submitted()
    office.vote(number)
    assert {row.type: row.revision for row in office.history(number)} == {
        "application.drafted": None,
        "application.submitted": 1,
        "application.approval_recorded": 1,
        "application.approved": 1,
    }


def test_an_event_that_was_rolled_back_leaves_no_gap(engine: Engine) -> None:
    facts(engine, 1)
    with suppress(ZeroDivisionError), transaction(engine) as session:
        outbox.record(session, SystemFact("tried", "in vain"), people.OPERATOR, NOW)
        raise ZeroDivisionError
    facts(engine, 1)
    assert broken_at(engine) is None
    with transaction(engine) as session:
        assert len(events.of_stream(session, SYSTEM_STREAM)) == 2


def test_an_event_says_who_through_which_door_and_under_which_request(engine: Engine) -> None:
    actor = replace(people.OPERATOR, request_id="req-17", channel="api", network="192.0.2.44")
    with transaction(engine) as session:
        outbox.record(session, SystemFact("person.disabled", "someone", "left"), actor, NOW)
    with transaction(engine) as session:
        row = session.exec(select(EventRow).order_by(col(EventRow.id))).one()
    assert (row.actor_name, row.channel, row.request_id, row.at) == ("Omar Reyes", "api", "req-17", NOW)
    assert (row.network, row.revision) == ("192.0.2.44", None)
    assert row.actor == f"person:{people.OPERATOR.person_id}"
    assert row.payload == '{"detail":"left","subject":"someone","what":"person.disabled"}'
