"""One fleet for all crash tests on a kind of database: each test looks at its own applications only."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import missing
from tests.crashes.fleet import LEASE, Fleet
from tests.crashes.nursery import Nursery
from tests.crashes.steps import Steps
from tests.servers import NotHere, RestartablePostgres, ValkeyServer, running_postgres
from tests.workers.company import company_on
from tests.workers.conftest import issuer_keys, mail_keys
from workflow.database import create_engine
from workflow.mail.demo_keys import DemoFiles

__all__ = ["issuer_keys", "mail_keys"]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def fleet(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_template: Path,
    mail_keys: DemoFiles,
    issuer_keys: Path,
) -> Iterator[Fleet]:
    """Everything runs; whatever a test kills it starts again."""
    home = tmp_path_factory.mktemp("fleet")
    logs = home / "logs"
    logs.mkdir()
    with ExitStack() as stack:
        postgres: RestartablePostgres | None = None
        if request.param == "postgres":
            place = Path(stack.enter_context(TemporaryDirectory(prefix="licdesk-crashes-")))
            try:
                postgres = stack.enter_context(running_postgres(place, to_crash=True))
            except NotHere as reason:
                missing(str(reason))
            assert postgres
            url = postgres.add_database("desk")
        else:
            shutil.copyfile(sqlite_template, home / "desk.sqlite3")
            url = f"sqlite:///{home}/desk.sqlite3"
        (home / "valkey").mkdir()
        valkey = ValkeyServer(home / "valkey")
        valkey.start()
        stack.callback(valkey.stop)
        engine = create_engine(url)
        stack.callback(engine.dispose)
        company = company_on(engine, smtp_port=1, mail_keys=mail_keys, issuer_keys=issuer_keys, archive=home / "mail")
        stack.callback(company.room.engine.dispose)
        stack.callback(company.web.dispose)
        common = {"LICDESK_BROKER_URL": valkey.url, "LICDESK_LEASE_SECONDS": LEASE, "LICDESK_SCAN_SECONDS": "1"}
        nursery = Nursery(common, logs)
        made = Fleet(company, nursery, Steps(home / "steps"), valkey, postgres, mail_keys, issuer_keys, home / "mail")
        stack.callback(made.close)
        made.start(*(name for name in made.names if name not in ("broker", "database")))
        yield made
