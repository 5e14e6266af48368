"""A desk with real keys, a real mail signer and a real mail server, whose tasks are called directly."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.builders import Office
from tests.servers import SmtpCatcher, ValkeyServer
from tests.workers.company import SENDER, WITH_CERTIFICATE, Company, company_on
from tests.workers.post_room import PostRoom
from workflow.mail.demo_keys import DemoFiles, write_demo_keys


@pytest.fixture(scope="session")
def mail_keys(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    """A mail authority, the desk's signer, and a certificate for one recipient."""
    home = tmp_path_factory.mktemp("mail-keys")
    return write_demo_keys(
        home / "desk", home / "inbox", recipients=[WITH_CERTIFICATE], signer_address=SENDER, now=datetime.now(UTC)
    )


@pytest.fixture(scope="session")
def issuer_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `keys/`, `trust/` and `secret`, made by the command that makes real ones."""
    home = tmp_path_factory.mktemp("issuer-keys")
    subprocess.run(
        [
            sys.executable,
            *("-m", "workflow.cli.main", "keys", "init", "--demo"),
            *("--directory", str(home / "keys")),
            *("--secret-file", str(home / "secret")),
            *("--trust", str(home / "trust")),
        ],
        check=True,
        timeout=60,
    )
    return home


@pytest.fixture
def company(engine: Engine, smtp: SmtpCatcher, mail_keys: DemoFiles, issuer_keys: Path, tmp_path: Path) -> Iterator[Company]:
    """A customer with two recipients, on the test's database, with the test's mail server."""
    made = company_on(engine, smtp_port=smtp.port, mail_keys=mail_keys, issuer_keys=issuer_keys, archive=tmp_path / "archive")
    yield made
    made.here.transport.close()
    made.here.engine.dispose()
    made.web.dispose()
    made.room.engine.dispose()


@pytest.fixture
def post_room(engine: Engine, smtp: SmtpCatcher) -> Iterator[PostRoom]:
    """An office with all its people, whose letters go to the test's mail server."""
    made = PostRoom.of(Office.opened(engine), smtp)
    yield made
    made.close()


Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start(
    company: Company, smtp: SmtpCatcher, valkey: ValkeyServer, issuer_keys: Path, mail_keys: DemoFiles, tmp_path: Path
) -> Iterator[Start]:
    """Starts a process by its name: relay, general or signing, each with its own settings only."""
    url = company.engine.url.render_as_string(hide_password=False)
    common = {
        **os.environ,
        "LICDESK_MODE": "demo",
        "LICDESK_DATABASE_URL": url,
        "LICDESK_BROKER_URL": valkey.url,
        "LICDESK_LEASE_SECONDS": "5",
        "LICDESK_LOG_FORMAT": "json",
    }
    mail = {
        "LICDESK_SMTP_PORT": str(smtp.port),
        "LICDESK_SMTP_TLS": "none",
        "LICDESK_MAIL_SENDER": SENDER,
        "LICDESK_MAIL_CA": str(mail_keys.authority),
        "LICDESK_MAIL_SIGNER_CERTIFICATE": str(mail_keys.signer_certificate),
        "LICDESK_MAIL_SIGNER_KEY": str(mail_keys.signer_key),
    }
    keys = {
        "LICDESK_TRUST_DIR": str(issuer_keys / "trust"),
        "LICDESK_ISSUER_KEYS": company.room.settings.issuer_keys,
        "LICDESK_ISSUER_KEY_SECRET_FILE": str(issuer_keys / "secret"),
    }
    celery = [sys.executable, "-m", "celery"]
    tail = ["--loglevel", "warning", "--without-gossip", "--without-mingle", "--concurrency", "1"]
    commands = {
        "relay": ([sys.executable, "-m", "workers.relay"], {}),
        "general": ([*celery, "-A", "workers.app:general", "worker", "-n", "general@%h", *tail], mail),
        "signing": ([*celery, "-A", "workers.app:signing", "worker", "-n", "signing@%h", *tail], keys),
    }
    running: list[subprocess.Popen[bytes]] = []

    def begin(name: str) -> subprocess.Popen[bytes]:
        command, own = commands[name]
        log = (tmp_path / f"{name}.log").open("ab")
        process = subprocess.Popen(command, env={**common, **own}, stdout=log, stderr=log, start_new_session=True)
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
