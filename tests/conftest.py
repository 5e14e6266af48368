"""What every test can ask for: real servers, and an empty, migrated database on SQLite and on PostgreSQL."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests import passwords, statements
from tests.left_by_smtp import pytest_configure, pytest_sessionfinish, pytest_terminal_summary
from tests.servers import IN_CI, LentDatabase, NotHere, PostgresServer, SmtpCatcher, ValkeyServer, shared_postgres, smtp_catcher
from tests.spreading import pytest_collection_modifyitems, pytest_xdist_make_scheduler
from workflow.database import create_engine
from workflow.db.migrations import upgrade

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_xdist_make_scheduler",
]

statements.share()
passwords.cost(passwords.QUICK)


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the longest test may be."""
    words = "how often the broker is restarted under load (tests/crashes; 30 of them take a minute)"
    parser.addoption("--broker-restarts", type=int, default=10, help=words)


def missing(what: str) -> None:
    """A part of the machine is not there: a failure where everything has to be (CI), a clear skip elsewhere."""
    if IN_CI:
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def find_chromium() -> str:
    """The path of the browser; fails or skips the test when there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    missing("Chromium is not installed (on Debian and Ubuntu: apt-get install chromium)")
    raise AssertionError


@pytest.fixture(autouse=True)
def no_settings_from_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person at the keyboard has set for their own desk must not reach a test."""
    for name in list(os.environ):
        if name.startswith("LICDESK_"):
            monkeypatch.delenv(name)


@pytest.fixture
def passwords_at_full_cost() -> Iterator[None]:
    """For guesses at the same moment: others get in while one password is being hashed."""
    passwords.cost(passwords.FULL)
    yield
    passwords.cost(passwords.QUICK)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A Valkey server of this test process's own; `.url` is its address."""
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def smtp() -> Iterator[SmtpCatcher]:
    """A mail server that keeps what it gets."""
    with smtp_catcher() as catcher:
        yield catcher


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A directory that all processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def postgres_server(run_directory: Path, worker_id: str) -> PostgresServer:
    """The run's PostgreSQL server; `.database()` gives a new, migrated, empty database."""
    run = os.getpid() if worker_id == "master" else os.getppid()
    try:
        return shared_postgres(run_directory, run)
    except NotHere as reason:
        missing(str(reason))
        raise


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer) -> Iterator[LentDatabase]:
    """A database of this test process's own."""
    database = LentDatabase(postgres_server)
    yield database
    database.drop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    engine = create_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()  # the last connection writes the journal back into the one file
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty, migrated database of this test's own: once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "desk.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    database: LentDatabase = request.getfixturevalue("postgres_database")
    with database.lent() as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`."""
    made = create_engine(database_url)
    yield made
    made.dispose()
