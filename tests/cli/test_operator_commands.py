"""`licdesk users`, `jobs` and `db` on a database, for whoever runs the desk."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, update
from sqlmodel import col, select
from typer.testing import Result

from tests.cli.conftest import licdesk
from workflow.database import transaction
from workflow.db import outbox
from workflow.db.queries import people
from workflow.db.tables import EventRow, JobRow
from workflow.domain.events import Job
from workflow.errors import Unauthenticated
from workflow.services import one_time_links, sessions, tokens
from workflow.times import utc_now, wall_now

Here = Callable[..., Result]


@pytest.fixture
def here(engine: Engine) -> Here:
    """A command on this test's database, as a production desk's operator types it."""
    url = engine.url.render_as_string(hide_password=False)
    return lambda *arguments: licdesk(*arguments, environ={"LICDESK_DATABASE_URL": url})


def signs_in(engine: Engine, email: str, password: str) -> bool:
    try:
        sessions.sign_in(engine, email, password, now=utc_now(), wall=wall_now())
    except sessions.WrongCredentials:
        return False
    return True


def test_the_first_operator_is_added_and_signs_in(here: Here, engine: Engine) -> None:
    added = here("users", "add", "Omar.Reyes@serviceme.example", "--name", "Omar Reyes", "--role", "operator")
    assert added.exit_code == 0, added.output
    assert not signs_in(engine, "omar.reyes@serviceme.example", "")
    token = re.search(r"^http://127.0.0.1:8300/welcome/([\w-]{43}) ", added.stdout, re.M)
    assert token
    one_time_links.choose_password(engine, token[1], "a long enough password", now=utc_now(), wall=wall_now())
    assert signs_in(engine, "omar.reyes@serviceme.example", "a long enough password")
    again = re.search(r"/welcome/([\w-]{43})", here("users", "invite", "omar.reyes@serviceme.example").stdout)
    assert again
    one_time_links.choose_password(engine, again[1], "yet another password", now=utc_now(), wall=wall_now())
    assert "A mail is on its way" in here("users", "invite", "omar.reyes@serviceme.example", "--send").stdout
    [row] = json.loads(here("users", "list", "--json").stdout)
    assert row == {"email": "omar.reyes@serviceme.example", "name": "Omar Reyes", "roles": ["operator"], "disabled_at": None}
    with transaction(engine) as session:
        granted = session.exec(select(EventRow).where(col(EventRow.actor_name).endswith("(command line)"))).first()
    assert granted is not None, "the audit record says who did it, and how"


def test_a_forgotten_password_is_replaced_and_the_old_sessions_end(here: Here, engine: Engine, tmp_path: Path) -> None:
    here("users", "add", "a@b.example", "--name", "A", "--role", "liaison")
    old = here("users", "password", "a@b.example").stdout.split("Password: ")[1].split()[0]
    cookie = sessions.sign_in(engine, "a@b.example", old, now=utc_now(), wall=wall_now()).token
    new = here("users", "password", "a@b.example").stdout.split("Password: ")[1].split()[0]
    sessions.sign_in(engine, "a@b.example", new, now=utc_now(), wall=wall_now())
    with transaction(engine) as session, pytest.raises(Unauthenticated):
        sessions.actor_for_session(session, cookie, now=utc_now(), wall=wall_now())
    with pytest.raises(Unauthenticated):
        sessions.sign_in(engine, "a@b.example", old, now=utc_now(), wall=wall_now())
    file = tmp_path / "password"
    file.write_text("short\n")
    refused = here("users", "password", "a@b.example", "--password-file", str(file))
    assert (refused.exit_code, "accounts.password_too_short" in refused.stderr) == (1, True)
    assert here("users", "password", "nobody@b.example").exit_code == 1


def test_a_password_can_come_from_a_file_and_must_be_long_enough(here: Here, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("short\n")
    refused = here("users", "add", "a@b.example", "--name", "A", "--password-file", str(file))
    assert (refused.exit_code, refused.stderr.startswith("accounts.password_too_short")) == (1, True)
    file.write_text("a long enough password\n")
    assert here("users", "add", "a@b.example", "--name", "A", "--password-file", str(file)).exit_code == 0
    assert signs_in(engine, "a@b.example", "a long enough password")
    assert (
        "cannot be read" in here("users", "add", "c@b.example", "--name", "C", "--password-file", str(tmp_path / "no")).stderr
    )
    again = here("users", "add", "a@b.example", "--name", "A")
    assert (again.exit_code, again.stderr.startswith("accounts.address_taken")) == (1, True)
    assert "not_an_address" not in here("users", "add", "nobody", "--name", "N").stderr


def test_roles_are_given_and_taken_away_and_stay_on_record(here: Here, engine: Engine) -> None:
    here("users", "add", "a@b.example", "--name", "A", "--role", "liaison")
    before = utc_now()
    changed = here("users", "role", "a@b.example", "--add", "approver", "--add", "approver", "--remove", "liaison")
    assert changed.stdout == "a@b.example: approver.\n"
    with transaction(engine) as session:
        person = people.find_person_by_email(session, "a@b.example")
        assert person is not None
        assert people.roles_of(session, person.id, before) == {"liaison"}
    assert here("users", "role", "a@b.example", "--remove", "approver").stdout == "a@b.example: no role.\n"
    assert "Nobody here has the address x@y.example" in here("users", "role", "x@y.example", "--add", "auditor").stderr


def test_a_disabled_person_is_out_with_every_token(here: Here, engine: Engine) -> None:
    here("users", "add", "a@b.example", "--name", "A", "--role", "liaison")
    token = here("users", "token", "a@b.example", "--name", "script", "--days", "7").stdout.strip()
    with transaction(engine) as session:
        actor, _ = tokens.actor_for_token(session, token, now=utc_now(), wall=wall_now())
        assert actor.name == "A"
    assert here("users", "disable", "a@b.example").exit_code == 0
    assert "disabled" in here("users", "list").stdout
    with transaction(engine) as session, pytest.raises(tokens.TokenRefused):
        tokens.actor_for_token(session, token, now=utc_now(), wall=wall_now())
    refused = here("users", "token", "a@b.example", "--name", "script", "--days", "0")
    assert "days: Choose from 1 to" in refused.stderr


def test_dead_jobs_are_listed_retried_and_cancelled(here: Here, engine: Engine) -> None:
    assert here("jobs", "list").stdout.strip() == "There is none."
    with transaction(engine) as session:
        ids = [outbox.owe(session, Job.LETTER, name) for name in ("a", "b")]
        session.execute(update(JobRow).where(col(JobRow.id).in_(ids)).values(state="dead", last_error="550 [no] box"))
    shown = here("jobs", "list", "--state", "dead").stdout
    assert (shown.count("550 [no] box"), shown.count("Send a letter"), shown.count("Gave up")) == (2, 2, 2)
    assert here("jobs", "retry", str(ids[0])).exit_code == 0
    assert here("jobs", "cancel", str(ids[1])).exit_code == 2, "a reason is asked for"
    assert here("jobs", "cancel", str(ids[1]), "--reason", " ").stderr.startswith("jobs.reason_missing: ")
    assert here("jobs", "cancel", str(ids[1]), "--reason", "The box is gone.").exit_code == 0
    assert {row["id"]: row["state"] for row in json.loads(here("jobs", "list", "--json").stdout)} == {
        str(ids[0]): "pending",
        str(ids[1]): "cancelled",
    }
    assert here("jobs", "retry", str(ids[1])).stderr.startswith("jobs.not_dead: ")
    assert here("jobs", "retry", str(UUID(int=1))).stderr.startswith("not_found: ")


def test_the_schema_is_checked_and_brought_up_to_date(here: Here, tmp_path: Path) -> None:
    assert here("db", "check").exit_code == 0
    empty = {"LICDESK_DATABASE_URL": f"sqlite:///{tmp_path}/new.sqlite3"}
    behind = licdesk("db", "check", environ=empty)
    assert (behind.exit_code, "Run: licdesk db upgrade" in behind.stderr) == (1, True)
    assert licdesk("db", "upgrade", environ=empty).exit_code == 0
    assert licdesk("db", "check", environ=empty).exit_code == 0


@pytest.mark.parametrize("command", [("db", "check"), ("db", "upgrade"), ("users", "list"), ("jobs", "list")], ids=" ".join)
def test_a_database_that_does_not_answer_is_a_sentence(command: tuple[str, ...], tmp_path: Path) -> None:
    refused = licdesk(*command, environ={"LICDESK_DATABASE_URL": f"sqlite:///{tmp_path}/nowhere/desk.sqlite3"})
    assert refused.exit_code == 1
    assert refused.stderr.startswith("database.away: The database")
    assert "Check LICDESK_DATABASE_URL" in refused.stderr
