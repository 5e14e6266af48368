"""`licdesk audit` on a database: its answers, its exit status, its files."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, select, text
from typer.testing import Result

from tests.builders import Office
from tests.cli.conftest import licdesk
from tests.workers.conftest import issuer_keys
from workers.witness import Witness
from workflow.cli.installation import Process, environ_for
from workflow.database import transaction
from workflow.db.outbox import CHAINED
from workflow.db.queries import applications, housekeeping
from workflow.db.tables import EventRow, table_of
from workflow.services import witnessing
from workflow.settings import WitnessSettings, load
from workflow.times import wall_now

__all__ = ["issuer_keys"]

Audit = Callable[..., Result]


@pytest.fixture
def office(engine: Engine) -> Office:
    return Office.opened(engine)


@pytest.fixture
def environ(office: Office, issuer_keys: Path, tmp_path: Path) -> dict[str, str]:
    settings = {
        "database_url": office.engine.url.render_as_string(hide_password=False),
        "trust_dir": str(issuer_keys / "trust"),
        "checkpoint_dir": str(tmp_path / "checkpoints"),
        "auditor_key": (issuer_keys / "keys" / "auditor.pem").as_uri(),
        "auditor_key_secret_file": str(issuer_keys / "secret"),
    }
    return environ_for(Process.WITNESS, settings, {})


@pytest.fixture
def audit(environ: dict[str, str]) -> Audit:
    """A command on this test's database."""
    ours = {name: value for name, value in environ.items() if name.startswith("LICDESK_")}
    return lambda *arguments: licdesk("audit", *arguments, environ=ours)


def allow_tampering(office: Office) -> None:
    """As for somebody who owns the tables."""
    triggers = {
        "sqlite": ("DROP TRIGGER event_no_update", "DROP TRIGGER event_no_delete"),
        "postgresql": ("DROP TRIGGER event_no_change ON event",),
    }
    with transaction(office.engine) as session:
        for each in triggers[office.engine.dialect.name]:
            session.execute(text(each))


def alter(office: Office) -> None:
    allow_tampering(office)
    with transaction(office.engine) as session:
        session.execute(text("UPDATE event SET actor_name = 'Nobody' WHERE sequence = 2 AND stream <> 'system'"))


def test_a_history_that_holds_ends_with_status_0_and_one_that_does_not_with_1(office: Office, audit: Audit) -> None:
    number = office.submitted()
    held = audit("verify")
    assert (held.exit_code, held.stdout.splitlines()[-1]) == (0, "The history holds.")
    assert "no checkpoint yet" in held.stdout
    alter(office)
    broken = audit("verify")
    assert broken.exit_code == 1
    assert broken.stdout.splitlines()[0] == f"Event 2 of {number} was altered."
    said = json.loads(audit("verify", "--json").stdout)
    assert said["holds"] is False
    assert [(each["what"], each["where"], each["sequence"]) for each in said["findings"]] == [("altered", number, 2)]


def forged(column: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with something else in one column. One that is put into another chain takes a number that is free there."""
    before = row[column]
    match before:
        case None:
            other: Any = {"revision": 7}.get(column, "0")
        case int():
            other = before + 100
        case datetime():
            other = before - timedelta(days=1)
        case _:
            other = "system" if column == "stream" else f"{before[:-1]}x"
    return {**row, column: other} | ({"sequence": 9_999} if column == "stream" else {})


def test_whatever_event_and_column_is_altered_and_whatever_event_is_deleted_the_command_names_it(
    office: Office, audit: Audit
) -> None:
    number = office.approved()
    table = table_of(EventRow)
    allow_tampering(office)
    with office.work() as session:
        session.execute(text("UPDATE job SET event = NULL"))
        stream = str(applications.get_application(session, number).id)
        rows = [dict(row) for row in session.execute(select(table).where(table.c.stream == stream)).mappings()]
    assert len(rows) == 4
    for row, column in product(rows, (*CHAINED, "hash", "the whole row")):
        with office.work() as session:
            session.execute(delete(table).where(table.c.id == row["id"]))
            if column != "the whole row":
                session.execute(insert(table), forged(column, row))
        broken = audit("verify")
        with office.work() as session:
            session.execute(delete(table).where(table.c.id == row["id"]))
            session.execute(insert(table), row)
        assert broken.exit_code == 1, (column, broken.output)
        assert f"Event {row['sequence']} of {number} " in broken.stdout, (column, broken.stdout)
    assert audit("verify").exit_code == 0, "everything was put back"


def test_what_cannot_be_looked_at_ends_with_status_2(audit: Audit, tmp_path: Path) -> None:
    assert audit("verify", "--trust", str(tmp_path)).exit_code == 2
    nowhere = licdesk("audit", "verify", environ={"LICDESK_DATABASE_URL": f"sqlite:///{tmp_path}/no/where.sqlite3"})
    assert nowhere.exit_code == 2
    assert nowhere.stdout == ""


def test_the_witness_signs_once_a_day_and_says_what_it_saw(office: Office, environ: dict[str, str], audit: Audit) -> None:
    office.submitted()
    witness = Witness(load(WitnessSettings, environ))
    now = wall_now()
    for hours in (0, 1, 25):
        witness.round(now + timedelta(hours=hours))
    said = json.loads(audit("verify", "--json").stdout)
    assert (said["holds"], said["checkpoints"]) == (True, 2)
    alter(office)
    again = Witness(load(WitnessSettings, environ))
    again.round(now)
    with transaction(office.engine) as session:
        (beat,) = housekeeping.heartbeats(session)
    assert (beat.process, beat.detail.startswith(witnessing.DOUBT)) == ("witness", True)
    assert "was altered" in beat.detail
    for each in (witness, again):
        each.engine.dispose()


def test_a_checkpoint_is_signed_by_hand_with_the_auditors_key_only(office: Office, audit: Audit, issuer_keys: Path) -> None:
    office.submitted()
    secret = ("--secret-file", str(issuer_keys / "secret"))
    refused = audit("checkpoint", "--key", (issuer_keys / "keys" / "issuer-prod.pem").as_uri(), *secret)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("audit.key_unusable")
    signed = audit("checkpoint", "--key", (issuer_keys / "keys" / "auditor.pem").as_uri(), *secret)
    assert signed.exit_code == 0, signed.output
    assert signed.stdout.startswith("Signed checkpoint 1. ")


def test_the_history_is_exported_line_by_line_and_narrowed_to_what_is_asked_for(office: Office, audit: Audit) -> None:
    number = office.approved()
    office.submitted(environment="UAT")
    everything = [json.loads(line) for line in audit("export").stdout.splitlines()]
    assert everything[0]["type"] == "application.submitted"
    mine = [json.loads(line) for line in audit("export", "--application", number).stdout.splitlines()]
    assert [each["number"] for each in mine] == [4, 3, 2, 1]
    approved = mine[0]
    assert (approved["type"], approved["application"], approved["revision"]) == ("application.approved", number, 1)
    assert len(approved["policy"]) == 64
    assert approved["payload"]["policy"] == approved["policy"]
    people = {json.loads(line)["actor_name"] for line in audit("export", "--person", "osei").stdout.splitlines()}
    assert people == {"Daniel Osei"}
    assert audit("export", "--type", "license.issued").stdout == ""
    assert audit("export", "--until", "2020-01-01").stdout == ""


def test_the_auditors_keys_can_be_kept_apart_from_those_that_sign_licenses(tmp_path: Path) -> None:
    where = {name: tmp_path / name for name in ("keys", "trust", "auditors")}
    arguments = ["keys", "init", "--demo", "--secret-file", str(tmp_path / "secret"), "--auditors", str(where["auditors"])]
    command = [*arguments, "--directory", str(where["keys"]), "--trust", str(where["trust"])]
    made = licdesk(*command)
    assert made.exit_code == 0, made.output
    assert sorted(path.name for path in where["auditors"].iterdir()) == ["auditor-spare.pem", "auditor.pem", "secret"]
    assert not (where["keys"] / "auditor.pem").exists()
    assert (where["auditors"] / "secret").read_bytes() != (tmp_path / "secret").read_bytes()
    assert licdesk(*command).exit_code == 0, "a set that is complete is checked and left alone"
    for path in where["auditors"].iterdir():
        path.unlink()
    assert "the auditors' keys" in licdesk(*command).stderr
