"""A desk with real keys, a real mail signer and a real mail server, whose tasks are called directly."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.builders import Office
from tests.servers import SmtpCatcher
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
