"""Every statement of the desk finds its rows by an index, on PostgreSQL and on SQLite: its cost does not grow with the years.

Every function of `workflow.db.queries`, `jobs` and `outbox` is called on some years of work; a new one is found by itself, and
needs an entry in `things_of` if a parameter has a name of its own. The statements are explained as they were sent.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from tests import people
from tests.bench.likenesses import Population, company, tenant_id
from tests.bench.population import fill
from tests.servers import PostgresServer
from workflow.database import create_engine, transaction
from workflow.db import jobs, outbox, queries
from workflow.db.ids import new_id
from workflow.db.jobs import ClaimedJob, LeaseLost
from workflow.db.queries import ledger, words
from workflow.db.queries.applications import Page
from workflow.db.queries.trail import Asked
from workflow.db.tables import (
    Application,
    Delivery,
    DeskTable,
    Environment,
    EventRow,
    Installation,
    IssuedLicense,
    JobRow,
    Receipt,
    Recipient,
    Tenant,
)
from workflow.domain.application import Action
from workflow.domain.digests import DigestKind
from workflow.domain.events import DraftSaved, Job
from workflow.domain.roles import Actor, Role
from workflow.errors import DeskError

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
YEARS_OF_WORK = Population(applications=4_000, due=40, now=NOW)

SMALL = {
    *("person", "role_grant", "delegation", "policy", "session", "api_token", "second_factor", "recovery_code"),
    *("one_time_link", "throttle", "counter", "heartbeat", "idempotency_key", "checkpoint", "finding"),
    *("revocation", "revocation_list"),
}
"""Tables that do not grow with the number of licenses: they may be read from end to end."""

READS_EVERYTHING = {
    "events.heads": "the witness signs the heads of all chains",
    "events.walk": "the witness reads every event",
    "events.applications_by_stream": "the witness names the application of every chain",
    "events.issued_files": "the witness compares every license with its event",
}
WRITES_ONLY = {
    *("applications.add_vote", "checkpoints.add", "deliveries.put", "digests.add_lines", "findings.insert_missing"),
    *("words.add", "ledger.add_attempt", "ledger.keep_bounce", "licenses.put_all", "reminders.insert_missing"),
    *("outbox.add_jobs", "outbox.record_each"),
}


class Statement(NamedTuple):
    """A statement as it was sent."""

    text: str
    parameters: Any


Functions = Mapping[str, Callable[..., Any]]


def all_functions() -> Functions:
    """Every public function that takes a session, by its module's and its own name."""
    modules = [importlib.import_module(f"{queries.__name__}.{each.name}") for each in pkgutil.iter_modules(queries.__path__)]
    found = {}
    for module in [*modules, jobs, outbox]:
        for name, function in vars(module).items():
            its_own = inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
            if its_own and next(iter(inspect.signature(function).parameters), "") == "session":
                found[f"{module.__name__.rpartition('.')[2]}.{name}"] = function
    return found


def variants(given: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What a function is asked for besides what it must be given: every filter of every list, also those that find little."""
    readers = (people.AUDITOR, people.LIAISON, people.administrator_of(given["tenant"]))
    actors: list[dict[str, Any]] = [{"actor": each} for each in readers]
    at, identity = NOW - timedelta(days=700), given["application"]
    words_typed = [company(5), company(5).split()[0][2:7].upper(), "logistics", "nobody", tenant_id(17), "0017", "港湾"]
    pages = [
        *(Page(), Page(status="withdrawn"), Page(environment="UAT"), Page(status="expired", environment="DEV")),
        *(Page(after=(at, identity)), Page(status="activated", after=(at, identity))),
        *(Page(search=each) for each in [*words_typed, given["number"], given["number"].lower(), given["number"][4:]]),
    ]
    name, last = company(30), (NOW - timedelta(days=100), given["license_row"])
    standings = [{"standing": each} for each in ("revoked", "activated", "superseded")]
    licenses = [{"search": each} for each in [*words_typed, given["license_id"], given["license_id"][:9]]]
    messages: list[dict[str, Any]] = [
        *({}, {"kind": "license_delivery"}, {"kind": "invitation"}, {"channel": "openpgp"}, {"channel": "smime"}),
        *({"state": each} for each in ("in_doubt", "refused", "accepted", "prepared")),
        # Of a word as common as "logistics" so few messages are rather read at once.
        *({"customer": each} for each in words_typed if each != "logistics"),
        *({"since": NOW}, {"until": at}, {"since": at, "until": at + timedelta(hours=1)}),
    ]
    plain: list[dict[str, Any]] = [{}, *standings, {"environment": "PROD"}, {"after": last}]
    asked = [
        *(Asked(), Asked(person="lin.mei@serviceme.example"), Asked(person="osei"), Asked(person="nobody at all")),
        *(Asked(person="signing worker"), Asked(application=given["number"]), Asked(kind="license.revoked")),
        *(Asked(kind="no.such"), Asked(since=NOW), Asked(until=at), Asked(since=at, until=at + timedelta(hours=1))),
        *(Asked(person="osei", kind="application.rejected"), Asked(person="osei", until=at)),
    ]
    return {
        "applications.list_applications": [{**actor, "page": page} for actor in actors[:2] for page in pages],
        "directory.page_of_licenses": [
            *({**actor, **more} for actor in actors for more in plain),
            *({**actors[0], **more} for more in licenses),
        ],
        "directory.search_tenants": [{}, {"after": (name, identity)}, *({"search": each} for each in words_typed)],
        "ledger.page": [
            *({**actor, "asked": ledger.Asked(**each)} for actor in actors[:2] for each in messages),
            {"asked": ledger.Asked(), "before": given["delivery"].id},
        ],
        "deliveries.list_jobs": [{}, *({"state": each} for each in ("pending", "running", "done", "dead", "cancelled"))],
        "reminders.page": [{}, *actors[:2], {"license_id": given["license_id"]}, {"after": (at, identity, 30, "a@b.example")}],
        "reminders.recent": actors[:2],
        "trail.page": [{"asked": each} for each in asked] + [{"asked": asked[0], "before": given["event_row"]}],
    }


@pytest.fixture(scope="module")
def postgres_years(postgres_server: PostgresServer) -> Iterator[Engine]:
    """Some years of work on PostgreSQL."""
    with postgres_server.database() as url:
        engine = create_engine(url)
        fill(engine, YEARS_OF_WORK)
        yield engine
        engine.dispose()


@pytest.fixture(scope="module")
def sqlite_years(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The same on SQLite."""
    path = tmp_path_factory.mktemp("years") / "desk.sqlite3"
    path.write_bytes(sqlite_template.read_bytes())
    engine = create_engine(f"sqlite:///{path}")
    fill(engine, YEARS_OF_WORK)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def years(request: pytest.FixtureRequest) -> Engine:
    """Some years of work, once on SQLite and once on PostgreSQL."""
    engine: Engine = request.getfixturevalue(f"{request.param}_years")
    return engine


def things_of(session: Session) -> dict[str, Any]:
    """What functions are given, by the names of their parameters."""
    application = session.exec(
        select(Application).where(Application.status == "activated").order_by(col(Application.number)).offset(100).limit(1)
    ).one()
    issued = session.exec(select(IssuedLicense).where(IssuedLicense.application == application.id)).one()
    environment = session.get_one(Environment, issued.environment)
    tenant = session.get_one(Tenant, environment.tenant)
    recipient = session.exec(select(Recipient).where(Recipient.tenant == tenant.id)).one()
    deliver = session.exec(select(JobRow).where(JobRow.ref == application.id, JobRow.kind == Job.DELIVER.value)).one()
    delivery = session.exec(select(Delivery).where(Delivery.job == deliver.id)).one()
    receipt = session.exec(select(Receipt).where(Receipt.license == issued.id)).one()
    installation = session.get_one(Installation, receipt.installation)
    row = session.exec(select(EventRow).where(EventRow.stream == str(application.id)).limit(1)).one()
    claimed = ClaimedJob(deliver.id, deliver.kind, None, None, None, "", 1, 0, "worker 1", NOW, deliver.dedupe_key)
    person = people.id_of(people.APPROVER)
    nobody = new_id()
    return {
        "application": application.id,
        "application_row": application,
        "issued": issued.id,
        "issued_row": issued,
        "license_row": issued.id,
        "license_id": issued.license_id,
        "licenses": [issued.id],
        "payload_sha256": issued.payload_sha256,
        "number": application.number,
        "title": application.title,
        "draft": "{}",
        "request": "new",
        "wanted": [application.id],
        "ids": [application.id],
        "applications": [application.id],
        "streams": [str(application.id)],
        "stream": str(application.id),
        "person": person,
        "people": [person],
        "email": "lin.mei@serviceme.example",
        "owner": person,
        "giver": person,
        "givers": [person],
        "delegate": person,
        "delegation": nobody,
        "actor": people.AUDITOR,
        "role": Role.APPROVER,
        "groups": {"approvers"},
        "recipients": [recipient.id],
        "tenant": tenant.id,
        "tenants": [tenant.id],
        "tenant_id": tenant.tenant_id,
        "environment": environment.id,
        "environments": [environment.id],
        "name": environment.name,
        "label": "",
        "recipient": recipient.id,
        "address": recipient.address,
        "job": deliver.id,
        "job_id": deliver.id,
        "claimed_job": claimed,
        "claimed": [claimed],
        "jobs": [deliver.id],
        "job_ids": [deliver.id],
        "waiting": [deliver.id],
        "job_kind": Job.DELIVER,
        "digest_kind": DigestKind.DECISIONS,
        "dedupe_key": deliver.dedupe_key,
        "delivery": delivery,
        "deliveries": [delivery.id],
        "message_id": delivery.message_id,
        "counting": True,
        "installation": installation.id,
        "installation_id": installation.installation_id,
        "keyid": installation.keyid,
        "event_row": row.id,
        "events": [row],
        "event": DraftSaved(),
        "facts": [DraftSaved()],
        "kind": row.type,
        "action": Action.EXPIRE,
        "from_standings": ["activated"],
        "revision": 1,
        "version": issued.version,
        "seen": application.version,
        "digest": nobody,
        "link": nobody,
        "told_in": nobody,
        "round_of_letters": nobody,
        "tenant_column": col(Tenant.id),
        "environment_column": col(Application.environment),
        "limit": 500,
        "max_attempts": 8,
        "nudged_below": 3,
        "step": 1,
        "status": 200,
        "window": timedelta(minutes=1),
        "lease": timedelta(minutes=5),
        "since": NOW - timedelta(days=1),
        "start": NOW,
        "starts_at": NOW,
        "end": NOW + timedelta(days=7),
        "ends_at": NOW,
        "delivered_before": NOW - timedelta(days=3),
        "until": NOW,
        "before": NOW,
        "at": NOW,
        "now": NOW,
        "wall": NOW,
        "code": 250,
        **dict.fromkeys(("code_hash", "token_hash", "body_sha256", "sha256", "key", "answer", "process", "document"), "x"),
        **dict.fromkeys(("detail", "reply", "error", "why", "note", "resolved_by"), "x"),
    }


def argument(given: Mapping[str, Any], parameter: inspect.Parameter) -> Any:
    """What a parameter is given: by its name, and by its type where the name has several."""
    match parameter.annotation:
        case annotation if annotation is Application:
            return given["application_row"]
        case annotation if annotation is IssuedLicense:
            return given["issued_row"]
        case annotation if annotation is ClaimedJob:
            return given["claimed_job"]
        case annotation if annotation is str and parameter.name == "digest":
            return "x"
        case annotation if annotation is UUID and parameter.name == "delivery":
            return given["delivery"].id
        case annotation if annotation is str and parameter.name in ("actor", "owner"):
            return "person:nobody"
        case annotation if annotation is words.Asked:
            return words.asked(given["title"])
        case annotation if annotation is Job:
            return given["job_kind"]
        case annotation if annotation is DigestKind:
            return given["digest_kind"]
        case _ if parameter.name == "applications" and "Application" in str(parameter.annotation):
            return [given["application_row"]]
        case _:
            return given[parameter.name]


def calls(name: str, function: Callable[..., Any], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arguments of each call of a function."""
    must = [
        each
        for each in list(inspect.signature(function).parameters.values())[1:]
        if each.default is inspect.Parameter.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    found = []
    for more in variants(given).get(name, [{}]):
        found.append({each.name: argument(given, each) for each in must if each.name not in more} | more)
    if name == "licenses.change_standing":
        found[0]["standing"] = "expired"
    return found


def test_every_statement_finds_its_rows_by_an_index(years: Engine) -> None:
    sent: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        sent.append(Statement(statement, parameters[0] if many else parameters))

    with transaction(years) as session:
        given = things_of(session)
    event.listen(years, "before_cursor_execute", note)
    problems: dict[str, set[str]] = {}
    try:
        for name, function in all_functions().items():
            if name in READS_EVERYTHING or name in WRITES_ONLY:
                continue
            for arguments in calls(name, function, given):
                sent.clear()
                for problem in _problems(years, function, arguments, sent):
                    problems.setdefault(f"{name}({_in_words(arguments)})", set()).add(problem)
    finally:
        event.remove(years, "before_cursor_execute", note)
    assert not problems, "\n".join(f"{name}: {problem}" for name, found in problems.items() for problem in sorted(found))


_SHOWN = {"page", "search", "standing", "environment", "state", "kind", "asked", "actor", "after", "before"}


def _in_words(arguments: Mapping[str, Any]) -> str:
    said = {key: value.name if isinstance(value, Actor) else value for key, value in arguments.items() if key in _SHOWN}
    return ", ".join(f"{key}={value}" for key, value in said.items())


def _problems(engine: Engine, function: Callable[..., Any], arguments: dict[str, Any], sent: list[Statement]) -> list[str]:
    explain = _on_postgres if engine.dialect.name == "postgresql" else _on_sqlite
    with engine.connect() as connection, Session(connection, expire_on_commit=False) as session:
        with suppress(DeskError, LeaseLost, SQLAlchemyError):
            function(session, **arguments)
        statements = [each for each in sent if each.text.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH"))]
        connection.rollback()
        found = [problem for each in statements for problem in explain(connection, each)]
        connection.rollback()
    return found


def _on_postgres(connection: Connection, statement: Statement) -> Iterator[str]:
    # A table this small is read from end to end for good reasons; without that way only a missing index is left as a reason.
    # What an index is read for counts, too: reading most of it, row by row, is no better.
    found = connection.exec_driver_sql("SELECT relname, reltuples FROM pg_class WHERE relkind = 'r'")
    sizes: dict[str, float] = {row[0]: row[1] for row in found}
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    with connection.begin_nested() as undone:
        plan = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) {statement.text}", statement.parameters
        ).scalar_one()
        undone.rollback()
    for node in _nodes(plan[0]["Plan"]):
        table = node.get("Relation Name")
        if table is None or table in SMALL or node["Node Type"] == "ModifyTable":
            continue
        if node["Node Type"] == "Seq Scan":
            yield f"reads the table {table} from end to end"
        read = node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        if read > max(MOST_READ, sizes.get(table, 0) / 2):
            yield f"reads {read:.0f} rows of {table} by {node.get('Index Name', 'an index')}"


MOST_READ = 1_000
"""Tables of so few rows are joined as a whole."""


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


PARTIAL = {
    index.name
    for table in DeskTable.metadata.sorted_tables
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
}
"""Indexes of what is open, dead or unconfirmed: to read one from end to end is to read what there is to do."""
_SCAN = re.compile(r"SCAN (?:TABLE )?(\w+)(?: USING (?:COVERING )?INDEX (\w+))?")


def _on_sqlite(connection: Connection, statement: Statement) -> Iterator[str]:
    tables = set(DeskTable.metadata.tables)
    for *_, step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters):
        found = _SCAN.match(step)
        if found is None:
            continue
        table, index = re.sub(r"_\d+$", "", found[1]), found[2]
        if table in SMALL or table not in tables:
            continue
        if index in PARTIAL:
            continue
        if index is None or "LIMIT" not in statement.text:
            yield f"reads the table {table} from end to end ({step})"
