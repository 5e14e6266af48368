"""Transactions, looking without keeping, and times that are always UTC."""

import stat
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlmodel import select

from tests import people
from tests.builders import NOW, WEI, Office
from workflow.database import create_engine, reading, transaction
from workflow.db.ids import new_id
from workflow.db.tables import (
    Delivery,
    EventRow,
    IssuedLicense,
    Reminder,
    RoleGrant,
    Tenant,
    VoteRow,
)
from workflow.domain.events import Job


def a_tenant(**changes: Any) -> Tenant:
    made: dict[str, Any] = {"tenant_id": "T-1", "company": "Acme", "time_zone": "UTC", "created_at": NOW, **changes}
    return Tenant(**made)


def tenants(engine: Engine) -> list[Tenant]:
    with reading(engine) as session:
        return list(session.exec(select(Tenant)))


def test_what_fails_half_way_leaves_nothing(engine: Engine) -> None:
    with suppress(ZeroDivisionError), transaction(engine) as session:
        session.add(a_tenant())
        session.flush()
        raise ZeroDivisionError
    assert tenants(engine) == []


def test_nothing_written_while_looking_is_kept(engine: Engine) -> None:
    with suppress(DBAPIError), reading(engine) as session:
        session.add(a_tenant())
        session.flush()
    assert tenants(engine) == []


def test_what_was_only_changed_in_memory_while_looking_is_not_kept_either(engine: Engine) -> None:
    with reading(engine) as session:
        session.add(a_tenant())
    assert tenants(engine) == []


@pytest.mark.parametrize("database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_looking_does_not_make_the_server_forget_what_it_prepared(engine: Engine) -> None:
    for _ in range(10):  # psycopg prepares a statement that it has sent five times
        tenants(engine)
    with reading(engine) as session:
        assert session.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one() > 0


def test_who_looked_can_write_afterwards_over_the_same_connection(engine: Engine) -> None:
    """A connection that was read-only must not go back into the pool like that."""
    for number in range(3):
        assert len(tenants(engine)) == number
        with transaction(engine) as session:
            session.add(a_tenant(tenant_id=f"T-{number}"))


def test_looking_does_not_wait_for_a_writer(engine: Engine) -> None:
    with transaction(engine) as session:
        session.add(a_tenant())
        session.flush()
        assert tenants(engine) == []  # on SQLite this would wait 30 s if readers began like writers


@pytest.mark.parametrize("offset", [0, 8, -7])
def test_a_time_comes_back_as_the_same_instant_in_utc(engine: Engine, offset: int) -> None:
    stated = datetime(2026, 11, 2, 9, 0, 0, 123456, tzinfo=timezone(timedelta(hours=offset)))
    with transaction(engine) as session:
        session.add(a_tenant(created_at=stated))
    (row,) = tenants(engine)
    assert row.created_at == stated
    assert row.created_at.utcoffset() == timedelta()


def test_a_new_sqlite_file_and_its_side_files_are_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    made = create_engine(f"sqlite:///{path}")
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE secrets (word TEXT)"))
    files = sorted(tmp_path.iterdir())
    assert len(files) > 1
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    made.dispose()


def test_a_time_without_a_zone_is_refused(engine: Engine) -> None:
    with pytest.raises(StatementError, match="without a zone"), transaction(engine) as session:
        session.add(a_tenant(created_at=datetime(2026, 11, 2, 9, 0)))  # noqa: DTZ001  (that is the point)


def test_ids_made_later_sort_later() -> None:
    made = [new_id() for _ in range(200)]
    assert [each.version for each in made] == [7] * 200
    milliseconds = [each.int >> 80 for each in made]
    assert milliseconds == sorted(milliseconds)
    assert len(set(made)) == 200


# "Only once" is a constraint of the schema, whatever the code above it does.


def insert_again(office: Office, row: object, **changes: object) -> None:
    """Stores a copy of the row under a new id."""
    kind = type(row)
    values = {name: getattr(row, name) for name in kind.model_fields}  # type: ignore[attr-defined]
    if "id" in values:
        values["id"] = new_id()
    with office.work() as session:
        session.add(kind(**{**values, **changes}))


def test_a_person_has_one_vote_on_a_revision(office: Office) -> None:
    office.approved()
    with office.work() as session:
        row = session.exec(select(VoteRow)).one()
    with pytest.raises(IntegrityError):
        insert_again(office, row, choice="reject")


def test_an_application_leads_to_one_license_and_a_version_is_given_once(office: Office) -> None:
    issued = office.license_of(office.issued())
    other = office.submitted(environment="DEV")
    with pytest.raises(IntegrityError):
        insert_again(office, issued, version=2, payload_sha256="1" * 64)
    with pytest.raises(IntegrityError):
        insert_again(office, issued, application=office.application(other).id, payload_sha256="1" * 64)


def test_two_licenses_of_one_license_id_are_never_in_force_together(office: Office) -> None:
    active = office.license_of(office.activated())
    other = office.application(office.submitted(environment="DEV")).id
    insert_again(office, active, application=other, version=2, payload_sha256="1" * 64, standing="issued")
    with pytest.raises(IntegrityError), office.work() as session:
        session.execute(text("UPDATE license SET standing = 'activated' WHERE version = 2"))


def test_a_file_goes_to_a_recipient_once_per_round_and_message_id(office: Office) -> None:
    number = office.delivered()
    with office.work() as session:
        row = session.exec(select(Delivery)).one()
    (other_job, *_) = office.jobs(number, Job.LETTER)
    with pytest.raises(IntegrityError):
        insert_again(office, row, job=other_job.id, message_id="<other@serviceme.example>")
    with pytest.raises(IntegrityError):
        insert_again(office, row, job=other_job.id, round=2)
    insert_again(office, row, job=other_job.id, round=2, message_id="<other@serviceme.example>")


def test_a_reminder_exists_once_per_license_end_step_and_recipient(office: Office) -> None:
    issued = office.license_of(office.issued())
    row = Reminder(license=issued.id, expiry=issued.last_day, days_ahead=7, recipient=WEI, created_at=NOW)
    insert_again(office, row)
    with pytest.raises(IntegrityError):
        insert_again(office, row)
    insert_again(office, row, days_ahead=1)


def test_a_number_in_a_chain_is_given_once(office: Office) -> None:
    number = office.submitted()
    row = office.history(number)[0]
    with pytest.raises(IntegrityError):
        insert_again(office, row)
    with office.work() as session:
        assert session.get(EventRow, row.id) is not None


def test_a_word_that_means_nothing_cannot_be_stored(office: Office) -> None:
    office.delivered()
    for column in ("license.standing", "job.state", "environment.name", "delivery.state", "role_grant.role"):
        table, _, name = column.partition(".")
        with pytest.raises(IntegrityError), office.work() as session:
            session.execute(text(f"UPDATE {table} SET {name} = 'lost'"))


def test_nothing_can_refer_to_what_is_not_there(office: Office) -> None:
    with pytest.raises(IntegrityError), office.work() as session:
        session.add(RoleGrant(person=new_id(), role="liaison", granted_at=NOW))
    with pytest.raises(IntegrityError), office.work() as session:
        session.execute(text(f"DELETE FROM person WHERE email = '{people.STAFF[0].email}'"))
    issued = office.license_of(office.issued())
    with pytest.raises(IntegrityError):
        insert_again(office, issued, application=new_id(), version=2, payload_sha256="1" * 64)
    assert isinstance(issued, IssuedLicense)
