"""The database, and what it says of the work: schema, roles, clock, processes, jobs, mail, what ends."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, text
from sqlmodel import Session

from workflow.cli.checkup.findings import Environ, Finding, fail, ok, warn
from workflow.database import AWAY, create_engine, reading
from workflow.db import migrations, powers
from workflow.db.queries import housekeeping, queues, troubles
from workflow.domain.processes import ProcessKind, SignOfLife, missing_kinds
from workflow.errors import DeskError
from workflow.settings import Database, load
from workflow.times import wall_now

LATE, STUCK = timedelta(minutes=1), timedelta(minutes=10)
SKEW, MUCH_SKEW = timedelta(seconds=2), timedelta(seconds=30)
SOON = timedelta(days=60)
FULL_CONNECTIONS = 0.8
_CONNECTIONS = text(
    "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity WHERE backend_type = 'client backend'"
)
START = {
    ProcessKind.RELAY: "licdesk relay",
    ProcessKind.GENERAL: "licdesk worker general",
    ProcessKind.SIGNING: "licdesk worker signing",
    ProcessKind.BEAT: "licdesk beat",
    ProcessKind.WITNESS: "licdesk witness",
}


def look(environ: Environ) -> Iterator[Finding]:
    """Everything that can be asked of the database. When it does not answer, that is the only finding."""
    try:
        url = load(Database, environ).database_url
    except DeskError:
        return  # told among the settings
    if url.startswith("sqlite:///") and not _is_there(url):
        yield fail("database", f"There is no database at {url.removeprefix('sqlite:///')}.", "Run: licdesk db upgrade")
        return
    engine = create_engine(url, pool_size=1)
    try:
        yield from _of_engine(engine)
    except AWAY as error:
        where = engine.url.render_as_string(hide_password=True)
        yield fail(
            "database",
            f"{where} does not answer: {getattr(error, 'orig', None) or error}.",
            "Check LICDESK_DATABASE_URL, and whether it runs.",
        )
    finally:
        engine.dispose()


def _is_there(url: str) -> bool:
    return Path(url.removeprefix("sqlite:///").partition("?")[0]).exists()


def _of_engine(engine: Engine) -> Iterator[Finding]:
    with reading(engine) as session:
        housekeeping.answers(session)
    yield ok("database", f"{engine.dialect.name} answers.")
    if not migrations.is_current(engine):
        yield fail("schema", "The schema is not the one this release knows.", "Run: licdesk db upgrade")
        return
    yield ok("schema", "The schema is the one this release knows.")
    yield from _roles(engine)
    with reading(engine) as session:
        wall = wall_now()
        yield _clock(session, engine, wall)
        if engine.dialect.name == "postgresql":
            yield connections(*session.execute(_CONNECTIONS).one())
        yield from _processes(session, wall)
        yield from _jobs(session, wall)
        yield from _mail(session, wall)
        yield from _endings(session, wall)


def _roles(engine: Engine) -> Iterator[Finding]:
    if engine.dialect.name != "postgresql":
        return
    wrong = powers.differences(engine)
    if wrong is None:
        yield warn(
            "roles",
            "The processes have no database roles of their own: whoever takes one over can write everything.",
            "Run as the owner of the tables: licdesk db roles --passwords FILE",
        )
    elif wrong:
        yield fail("roles", f"A role's powers are not what they should be: {'; '.join(wrong[:3])}.", "Run: licdesk db roles")
    else:
        yield ok("roles", "Each process has a database role with exactly its powers.")


def connections(open_now: int, at_most: int) -> Finding:
    """Whether there is room for more: a process that gets no connection stands still."""
    said = f"{open_now} of {at_most} connections of the database server are in use."
    if open_now > at_most * FULL_CONNECTIONS:
        return warn("connections", said, "Raise max_connections, or run fewer processes: docs/operations.md counts them.")
    return ok("connections", said)


def _clock(session: Session, engine: Engine, wall: datetime) -> Finding:
    if engine.dialect.name != "postgresql":
        return ok("clock", "The database has this machine's clock.")
    there: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    apart = abs(there - wall_now())
    said = f"This machine's clock and the database's are {apart.total_seconds():.1f} s apart."
    if apart > MUCH_SKEW:
        return fail("clock", said, "Run NTP on both: leases and second factors count in seconds.")
    return warn("clock", said, "Run NTP on both machines.") if apart > SKEW else ok("clock", said)


def _processes(session: Session, wall: datetime) -> Iterator[Finding]:
    heard = [SignOfLife(each.process, each.at, each.detail) for each in housekeeping.heartbeats(session)]
    missing = missing_kinds(heard, wall)
    for kind in missing:
        before = max((each.at for each in heard if each.kind is kind), default=None)
        last = f"the last word was {_ago(wall - before)} ago" if before else "it was never heard of"
        report = warn if kind is ProcessKind.WITNESS else fail
        yield report("processes", f"No {kind.value} process lives; {last}.", f"Start it: {START[kind]}")
    if not missing:
        yield ok("processes", f"Every kind of process lives ({', '.join(kind.value for kind in ProcessKind)}).")
    silent = [each.process for each in heard if each.is_silent(wall) and each.kind not in missing]
    if silent:
        yield warn("processes", f"Silent beside living ones: {', '.join(silent)}.", "Look at their logs, or wait a day.")


def _jobs(session: Session, wall: datetime) -> Iterator[Finding]:
    owed = queues.totals(queues.all_queues(session))
    lag = owed.lag(wall)
    if lag > LATE:
        report = fail if lag > STUCK else warn
        yield report("jobs", f"The oldest job has waited for {_ago(lag)}.", "Look whether relay, workers and broker run.")
    else:
        waiting = owed.waiting + owed.again
        yield ok("jobs", f"Work moves: {waiting} {'job waits' if waiting == 1 else 'jobs wait'}, {owed.running} run.")
    if owed.dead:
        gave = "1 job gave up" if owed.dead == 1 else f"{owed.dead} jobs gave up"
        yield warn("dead jobs", f"{gave} and wait for an operator.", "Run: licdesk jobs list --state dead")
    else:
        yield ok("dead jobs", "No job gave up.")


def _mail(session: Session, wall: datetime) -> Iterator[Finding]:
    doubtful = [each for each in troubles.troubled_mail(session, wall) if each.state == "in_doubt"]
    if doubtful:
        said = f"{len(doubtful)} mail of which nobody knows whether it arrived, the newest to {doubtful[0].address}."
        yield warn("mail in doubt", said, "Ask the recipient, then retry or cancel the job on the page Operations.")


def _endings(session: Session, wall: datetime) -> Iterator[Finding]:
    ending = housekeeping.endings_of(housekeeping.heartbeats(session))
    for who, tenant in troubles.keys_ending(session, wall + SOON):
        assert who.key_ends_at is not None, "that is what was asked for"
        ending[f"The key of {who.name} ({tenant.company})"] = who.key_ends_at
    soon = {what: at for what, at in ending.items() if at <= wall + SOON}
    for what, at in sorted(soon.items(), key=lambda each: each[1]):
        ended = "has ended" if at <= wall else "ends"
        yield warn("endings", f"{what} {ended} on {at:%-d %b %Y}.", "Put its successor in place.")
    if not soon:
        yield ok("endings", "No certificate and no trust root that is known here ends within 60 days.")


def _ago(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
