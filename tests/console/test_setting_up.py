"""`console init`: made once, the same when repeated, refused when different, never with a demo root in production."""

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.console import vendor
from workflow.console import accounts
from workflow.console.identity import (
    AlreadyInitialized,
    Console,
    DemoRootRefused,
    KeyExposed,
    NotInitialized,
    RootRefused,
    Setup,
    initialize,
    open_console,
)
from workflow.console.store import ConsoleTable, upgrade
from workflow.database import transaction
from workflow.errors import Invalid
from workflow.license_file import Purpose
from workflow.settings import ConsoleSettings, Mode
from workflow.times import utc_now


def opened(directory: Path, mode: Mode = Mode.DEMO) -> Console:
    return open_console(ConsoleSettings(mode=mode, console_dir=directory))


def production(**changes: Any) -> Setup:
    payload = vendor.root_payload(purpose=Purpose.PRODUCTION)
    return replace(vendor.setup(pin=vendor.pin(payload), trust_root=vendor.root(payload)), **changes)


def test_the_same_command_again_changes_nothing(tmp_path: Path) -> None:
    first = initialize(tmp_path, vendor.setup(), Mode.DEMO, utc_now())
    again = initialize(tmp_path, vendor.setup(), Mode.DEMO, utc_now())
    assert again.identity == first.identity
    assert again.signer.keyid == first.signer.keyid


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"tenant_id": "T-1"}, "tenant"),
        ({"environment": "UAT"}, "environment"),
        ({"label": "second"}, "label"),
        ({"company": "Another"}, "company"),
        ({"time_zone": "UTC"}, "time zone"),
        ({"desk_url": "https://desk.example"}, "desk URL"),
    ],
)
def test_another_setup_in_the_same_directory_is_refused_and_named(tmp_path: Path, change: dict[str, str], named: str) -> None:
    initialize(tmp_path, vendor.setup(), Mode.DEMO, utc_now())
    with pytest.raises(AlreadyInitialized, match=named):
        initialize(tmp_path, vendor.setup(**change), Mode.DEMO, utc_now())


def test_another_pinned_root_is_refused(tmp_path: Path) -> None:
    initialize(tmp_path, vendor.setup(), Mode.DEMO, utc_now())
    payload = vendor.root_payload(without=["issuer-dev-spare"])
    other = vendor.setup(pin=vendor.pin(payload), trust_root=vendor.root(payload))
    with pytest.raises(AlreadyInitialized, match="pin"):
        initialize(tmp_path, other, Mode.DEMO, utc_now())


def test_a_root_that_is_not_the_pinned_one_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(RootRefused, match="fingerprint"):
        initialize(tmp_path / "console", vendor.setup(pin="00" * 32), Mode.DEMO, utc_now())
    assert not (tmp_path / "console").exists()


def test_production_refuses_a_demo_root_at_setup_and_at_start(tmp_path: Path) -> None:
    with pytest.raises(DemoRootRefused):
        initialize(tmp_path / "a", vendor.setup(), Mode.PRODUCTION, utc_now())
    initialize(tmp_path / "b", vendor.setup(), Mode.DEMO, utc_now())
    with pytest.raises(DemoRootRefused):
        opened(tmp_path / "b", Mode.PRODUCTION)


def test_production_takes_a_production_root(tmp_path: Path) -> None:
    initialize(tmp_path, production(), Mode.PRODUCTION, utc_now())
    assert opened(tmp_path, Mode.PRODUCTION).identity.tenant_id == vendor.TENANT


@pytest.mark.parametrize(
    "change", [{"environment": "TEST"}, {"tenant_id": " "}, {"time_zone": "Mars/Olympus"}, {"desk_url": "ftp://x"}]
)
def test_a_setup_that_cannot_be_is_refused_in_words(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        initialize(tmp_path / "console", vendor.setup(**change), Mode.DEMO, utc_now())
    assert not (tmp_path / "console").exists()


def test_only_the_owner_reads_key_token_and_database_and_nobody_writes_the_identity(tmp_path: Path) -> None:
    initialize(tmp_path, vendor.setup(), Mode.DEMO, utc_now())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes["installation-key.pem"] == modes["api-token"] == modes["console.sqlite3"] == 0o600
    assert modes["identity.json"] == 0o444


def test_a_key_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    initialize(tmp_path, vendor.setup(), Mode.DEMO, utc_now())
    (tmp_path / "installation-key.pem").chmod(0o644)
    with pytest.raises(KeyExposed, match="chmod 600"):
        opened(tmp_path)


def test_the_identity_file_decides_and_a_foreign_one_stops_the_start(tmp_path: Path) -> None:
    initialize(tmp_path, vendor.setup(), Mode.DEMO, utc_now())
    path = tmp_path / "identity.json"
    facts = json.loads(path.read_bytes())
    path.unlink()
    path.write_text(json.dumps(facts | {"tenant_id": "T-1"}))
    with pytest.raises(AlreadyInitialized, match="one installation"):
        opened(tmp_path)


def test_a_changed_pin_refuses_the_stored_roots(tmp_path: Path) -> None:
    initialize(tmp_path, vendor.setup(), Mode.DEMO, utc_now())
    path = tmp_path / "identity.json"
    facts = json.loads(path.read_bytes())
    path.unlink()
    path.write_text(json.dumps(facts | {"pin": "11" * 32}))
    with pytest.raises(RootRefused):
        opened(tmp_path)


def test_serving_before_setting_up_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(NotInitialized, match="licdesk console init"):
        opened(tmp_path)


def test_an_interrupted_setup_goes_on_with_the_same_id_and_key(tmp_path: Path) -> None:
    first = initialize(tmp_path, vendor.setup(), Mode.DEMO, utc_now())
    first.engine.dispose()
    for path in tmp_path.glob("console.sqlite3*"):
        path.unlink()
    again = initialize(tmp_path, vendor.setup(), Mode.DEMO, utc_now())
    assert (again.identity, again.signer.keyid) == (first.identity, first.signer.keyid)


def test_the_migrations_make_exactly_the_tables_of_the_code(console: Console) -> None:
    upgrade(console.engine)  # a second time is harmless
    with console.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), ConsoleTable.metadata) == []


def test_another_first_administrator_is_refused(console: Console) -> None:
    with transaction(console.engine) as session:
        assert accounts.ensure_first_administrator(session, vendor.ADMIN, vendor.PASSWORD, utc_now())
    with transaction(console.engine) as session:
        assert not accounts.ensure_first_administrator(session, vendor.ADMIN, "ignored because it exists", utc_now())
        with pytest.raises(AlreadyInitialized, match=vendor.ADMIN):
            accounts.ensure_first_administrator(session, "new@harbourline.example", vendor.PASSWORD, utc_now())
