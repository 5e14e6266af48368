"""What each process may do to a PostgreSQL database, tried as its role: the whole path works, and nothing beyond it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from tests.builders import Office
from tests.license_file.example import signer, trust
from tests.servers import PostgresServer
from workflow.database import create_engine, transaction
from workflow.db.powers import (
    GRANTS,
    PasswordFileUnusable,
    Power,
    PowersNeedPostgres,
    establish,
    passwords_in,
    role_name,
)
from workflow.db.tables import DeskTable
from workflow.services import witnessing
from workflow.times import wall_now

pytestmark = pytest.mark.postgres

As = Callable[[Power], Engine]


@pytest.fixture
def url(postgres_server: PostgresServer) -> Iterator[str]:
    with postgres_server.database() as made:
        yield made


@pytest.fixture
def as_role(url: str) -> Iterator[As]:
    """An engine that is signed in as a role."""
    engines: list[Engine] = []

    def opened(power: Power) -> Engine:
        made = create_engine(make_url(url).set(username=role_name(power)).render_as_string(hide_password=False))
        engines.append(made)
        return made

    yield opened
    for each in engines:
        each.dispose()


@pytest.fixture
def office(url: str) -> Iterator[Office]:
    engine = create_engine(url)
    yield Office.opened(engine)
    engine.dispose()


def refused(engine: Engine, statement: str) -> bool:
    """Whether the database says that this role may not."""
    try:
        with transaction(engine) as session:
            session.execute(text(statement))
    except ProgrammingError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            return True
        raise
    return False


SERVING = (Power.WEB, Power.RELAY, Power.WORKER, Power.SIGNER, Power.WITNESS)
NEVER: dict[str, tuple[Power, ...]] = {
    # What happened stays as it was told.
    "UPDATE event SET actor_name = 'Nobody'": SERVING,
    "DELETE FROM event": SERVING,
    "TRUNCATE event CASCADE": SERVING,
    "ALTER TABLE event DISABLE TRIGGER ALL": SERVING,
    "DROP TRIGGER event_no_change ON event": SERVING,
    "SET session_replication_role = replica": SERVING,
    "DELETE FROM event_stream": SERVING,
    "UPDATE checkpoint SET heads = ''": SERVING,
    "DELETE FROM checkpoint": SERVING,
    "INSERT INTO checkpoint SELECT * FROM checkpoint": (Power.WEB, Power.RELAY, Power.WORKER, Power.SIGNER),
    # A license comes from the signer, and from nobody else, and is what it was signed to be.
    "INSERT INTO license SELECT * FROM license": (Power.WEB, Power.RELAY, Power.WORKER, Power.WITNESS),
    "UPDATE license SET envelope = payload": SERVING,
    "UPDATE license SET last_day = last_day + 365": SERVING,
    "DELETE FROM license": SERVING,
    # What was submitted and voted is what the signer counts.
    "UPDATE revision SET content = '{}'": SERVING,
    "DELETE FROM revision": SERVING,
    "UPDATE vote SET choice = 'approve'": SERVING,
    "DELETE FROM vote": SERVING,
    "INSERT INTO vote SELECT * FROM vote": (Power.RELAY, Power.WORKER, Power.SIGNER, Power.WITNESS),
    "INSERT INTO revision SELECT * FROM revision": (Power.RELAY, Power.WORKER, Power.SIGNER, Power.WITNESS),
    "UPDATE policy SET document = '{}'": SERVING,
    "DELETE FROM requirement": SERVING,
    "DELETE FROM application": SERVING,
    # Who people are is not the workers' business.
    "UPDATE person SET password_hash = ''": (Power.RELAY, Power.WORKER, Power.SIGNER, Power.WITNESS),
    "INSERT INTO role_grant SELECT * FROM role_grant": (Power.RELAY, Power.WORKER, Power.SIGNER, Power.WITNESS),
    "SELECT token_hash FROM api_token": (Power.RELAY, Power.WORKER, Power.SIGNER, Power.WITNESS),
    "SELECT token_hash FROM session": (Power.RELAY, Power.SIGNER, Power.WITNESS),
    "SELECT code FROM portal_code": (Power.RELAY, Power.SIGNER, Power.WITNESS),
    "SELECT mime FROM delivery": (Power.RELAY, Power.SIGNER, Power.WITNESS),
    # And none of them changes the rules.
    "CREATE TABLE mine (id integer)": SERVING,
    "CREATE ROLE mine": SERVING,
}


@pytest.mark.parametrize("statement", NEVER)
def test_what_a_process_must_not_do_the_database_refuses(office: Office, as_role: As, statement: str) -> None:
    office.issued()
    assert [power for power in NEVER[statement] if not refused(as_role(power), statement)] == []


def test_a_refusal_is_seen_as_one_and_what_is_allowed_is_not(office: Office, as_role: As) -> None:
    """Or the test above would show nothing."""
    office.issued()
    assert not refused(as_role(Power.WEB), "UPDATE license SET nudged_days = 0")
    assert not refused(as_role(Power.WORKER), "UPDATE job SET attempts = attempts")
    assert not refused(as_role(Power.RELAY), "UPDATE job SET published = published + 1")
    assert not refused(as_role(Power.WITNESS), "SELECT * FROM event")


def test_an_application_approved_by_hand_under_the_role_of_the_pages_is_not_signed(office: Office, as_role: As) -> None:
    """The pages' role may write statuses; that alone makes no license."""
    number = office.submitted()
    assert not refused(as_role(Power.WEB), f"UPDATE application SET status = 'approved' WHERE number = '{number}'")
    with pytest.raises(Exception, match="is marked approved, but its votes come to"):
        office.sign(number)


def test_the_witness_needs_no_more_than_its_role_has(office: Office, as_role: As, tmp_path: Path) -> None:
    office.issued()
    engine = as_role(Power.WITNESS)
    verdict = witnessing.look(engine, trust(), tmp_path)
    assert witnessing.sign_checkpoint(engine, verdict, signer("auditor"), tmp_path, wall_now()) == 1
    witnessing.complete_files(engine, tmp_path)
    assert witnessing.look(engine, trust(), tmp_path).holds


def test_each_table_says_who_may_do_what() -> None:
    assert {table.name for table in DeskTable.metadata.sorted_tables} - set(GRANTS) == set(), (
        "add a line to workflow/db/powers.py"
    )


def test_what_somebody_granted_by_hand_is_taken_back(url: str, as_role: As) -> None:
    owner = create_engine(url)
    with transaction(owner) as session:
        session.execute(text("GRANT DELETE ON job TO licdesk_web"))
    assert not refused(as_role(Power.WEB), "DELETE FROM job")
    establish(owner)
    assert refused(as_role(Power.WEB), "DELETE FROM job")
    owner.dispose()


def test_passwords_come_from_a_file_of_libpqs_kind_and_are_stored_as_verifiers(url: str, tmp_path: Path) -> None:
    path = tmp_path / "pgpass"
    lines = [f"database:5432:licdesk:apart_{power.value}:secret-{power.value}" for power in Power]
    path.write_text("\n".join(["database:5432:licdesk:licdesk:owner", *lines]) + "\n")
    passwords = passwords_in(path, "apart")
    owner = create_engine(url)
    establish(owner, prefix="apart", passwords=passwords)
    with transaction(owner) as session:
        stored = session.execute(text("SELECT rolpassword FROM pg_authid WHERE rolname = 'apart_signer'")).scalar_one()
        session.execute(text("; ".join(f"DROP OWNED BY apart_{each.value}; DROP ROLE apart_{each.value}" for each in Power)))
    assert stored.startswith("SCRAM-SHA-256$")
    path.write_text("\n".join(lines[1:]))
    with pytest.raises(PasswordFileUnusable, match="no line for apart_web"):
        passwords_in(path, "apart")
    owner.dispose()


def test_sqlite_has_no_roles(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/desk.sqlite3")
    with pytest.raises(PowersNeedPostgres, match="PostgreSQL"):
        establish(engine)
    engine.dispose()
