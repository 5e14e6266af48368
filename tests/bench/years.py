"""What years of work cost: the scan for reminders, and pages as a browser gets them, on a small and on a full database.

Both sides are asked in turn, page by page, so that whatever else the machine does meets both alike.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from rich.table import Table
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from tests.bench.likenesses import Population, company
from tests.bench.population import fill
from tests.servers import PostgresServer
from tests.web.desk import ORIGIN, PASSWORD, Browser
from tests.workers.company import url_as
from workflow.database import create_engine, transaction
from workflow.db.powers import Power
from workflow.db.tables import Application, Person
from workflow.services import reminders
from workflow.services.desk import desk_from
from workflow.services.secrets import hash_password
from workflow.settings import Database, DeskSettings, Mode
from workflow.web.desk.app import create_app
from workflow.web.shared.paging import cursor_for

MILLION = 1_000_000
SMALL_FOR_PAGES, SMALL_FOR_SCAN = 1_000, 10_000
DUE, BATCH = 1_000, 500
SCANS, REQUESTS, WARM = 3, 40, 5
AUDITOR, APPROVER, OPERATOR = "greta.holm", "daniel.osei", "omar.reyes"
PAGES = {
    "applications": (AUDITOR, "/applications"),
    "applications, a year back": (AUDITOR, "/applications?cursor={cursor}"),
    "applications, withdrawn": (AUDITOR, "/applications?state=withdrawn"),
    "applications, searched": (AUDITOR, "/applications?q={customer}"),
    "applications, a common word": (AUDITOR, "/applications?q=logistics"),
    "approvals": (APPROVER, "/approvals"),
    "licenses": (AUDITOR, "/licenses"),
    "licenses, revoked": (AUDITOR, "/licenses?state=revoked"),
    "licenses, searched": (AUDITOR, "/licenses?q={customer}"),
    "expiry": (AUDITOR, "/expiry"),
    "deliveries": (AUDITOR, "/deliveries"),
    "deliveries, refused": (AUDITOR, "/deliveries?state=refused"),
    "customers, searched": (AUDITOR, "/customers?q=harbour"),
    "audit": (AUDITOR, "/audit"),
    "audit, one kind": (AUDITOR, "/audit?type=license.revoked"),
    "operations": (OPERATOR, "/operations"),
}


@dataclass(frozen=True)
class Filled:
    """A full database and how long it took to fill it."""

    engine: Engine
    population: Population
    seconds: float


def measured(postgres: PostgresServer, applications: int) -> dict[str, object]:
    """The scan (1,000 due) and the pages, each beside the same on a small database."""
    now = datetime.now(UTC)
    full = filled(postgres, "years_full", Population(applications, DUE, now))
    few = filled(postgres, "years_few", Population(SMALL_FOR_PAGES, SMALL_FOR_PAGES // 20, now))
    some = filled(postgres, "years_some", Population(SMALL_FOR_SCAN, DUE, now))
    try:
        small, large = in_turn(SCANS, lambda: scan(some), lambda: scan(full))
        pages = pages_of(few, full)
    finally:
        for each in (full, few, some):
            each.engine.dispose()
    return {
        "applications": applications,
        "fill_seconds": round(full.seconds, 1),
        "scan_ms": [round(statistics.median(each), 1) for each in (small, large)],
        "scan_ratio": round(statistics.median(large) / statistics.median(small), 2),
        "pages": pages,
        "worst_page_ratio": max(each["ratio"] for each in pages.values()),
    }


def filled(postgres: PostgresServer, name: str, population: Population) -> Filled:
    """A new database with so much work; everybody has the test password."""
    engine = create_engine(postgres.add_database(name))
    begin = time.perf_counter()
    fill(engine, population)
    seconds = time.perf_counter() - begin
    with transaction(engine) as session:
        for person in session.exec(select(Person)):
            person.password_hash = PASSWORD_HASH
    return Filled(engine, population, seconds)


PASSWORD_HASH = hash_password(PASSWORD)


def in_turn(times: int, first: Callable[[], float], second: Callable[[], float]) -> tuple[list[float], list[float]]:
    """What both give, one after the other, so many times after one that does not count."""
    first(), second()
    both = [(first(), second()) for _ in range(times)]
    return [each[0] for each in both], [each[1] for each in both]


def scan(what: Filled) -> float:
    """Milliseconds until every reminder that is due is owed, in batches as the worker takes them; taken back afterwards."""
    desk, begin, left = desk_from(Database()), time.perf_counter(), 0
    with Session(what.engine, expire_on_commit=False) as session:
        while True:
            looked_at = reminders.queue_due(session, desk, what.population.now, BATCH)
            session.flush()
            left += looked_at
            if looked_at < BATCH:
                break
        taken = 1000 * (time.perf_counter() - begin)
        session.rollback()
    assert left == DUE, f"{left} reminders were due"
    return taken


def pages_of(few: Filled, full: Filled) -> dict[str, dict[str, float]]:
    """For each page the 95th percentile in milliseconds on both databases, and the ratio."""
    found: dict[str, dict[str, float]] = {}
    with readers(few) as open_few, readers(full) as open_full:
        for name, (who, address) in PAGES.items():
            addresses = [filled_in(address, each) for each in (few, full)]
            for _ in range(WARM):
                open_few(who, addresses[0]), open_full(who, addresses[1])
            both = in_turn(REQUESTS, lambda: open_few(who, addresses[0]), lambda: open_full(who, addresses[1]))  # noqa: B023
            small, large = (statistics.quantiles(each, n=20)[18] for each in both)
            found[name] = {"few_ms": round(small, 1), "full_ms": round(large, 1), "ratio": round(large / small, 2)}
    return found


@contextmanager
def readers(what: Filled) -> Iterator[Callable[[str, str], float]]:
    """Opens a page as somebody: gives its milliseconds."""
    settings = DeskSettings(
        mode=Mode.DEMO,
        database_url=url_as(Power.WEB, what.engine),
        public_url=ORIGIN,
        secure_cookies=False,
        second_factor_for_prod=False,
    )
    app = create_app(settings)
    browsers: dict[str, Browser] = {}

    def opened(who: str, address: str) -> float:
        if who not in browsers:
            browsers[who] = Browser.on(app)
            browsers[who].sign_in(f"{who}@serviceme.example")
        begin = time.perf_counter()
        answer = browsers[who].open(address)
        taken = 1000 * (time.perf_counter() - begin)
        assert answer.status_code == 200, f"{address}: {answer.status_code}"
        assert str(answer.url).endswith(address), f"{address} led to {answer.url}"
        return taken

    yield opened
    app.state.house.engine.dispose()


def filled_in(address: str, what: Filled) -> str:
    """An address with the name of a customer, or with a place in the middle of the list."""
    if "{customer}" in address:
        return address.format(customer=company(18).split()[0] + "+18")
    if "{cursor}" in address:
        at, row = _a_year_back(what)
        return address.format(cursor=cursor_for((at.isoformat(), str(row))))
    return address


def _a_year_back(what: Filled) -> tuple[datetime, UUID]:
    before = what.population.now - timedelta(days=365)
    with Session(what.engine) as session:
        query = select(Application.updated_at, Application.id).where(col(Application.updated_at) < before)
        return session.exec(query.order_by(col(Application.updated_at).desc()).limit(1)).one()


def table(figures: dict[str, object]) -> Table:
    """The figures as a person reads them."""
    count, pages, scans = figures["applications"], figures["pages"], figures["scan_ms"]
    assert isinstance(count, int)
    assert isinstance(pages, dict)
    assert isinstance(scans, list)
    shown = Table(title=f"Years of work on PostgreSQL, {count:,} applications, filled in {figures['fill_seconds']} s")
    for name in ("", "few", "full", "ratio", "at most"):
        shown.add_column(name, justify="left" if not name else "right")
    scanned = [f"{each} ms" for each in scans]
    shown.add_row(f"scan, {DUE:,} due among {SMALL_FOR_SCAN:,} and {count:,}", *scanned, str(figures["scan_ratio"]), "1.5")
    for name, each in pages.items():
        times = (f"{each['few_ms']} ms", f"{each['full_ms']} ms", str(each["ratio"]))
        shown.add_row(f"{name}, p95 among {SMALL_FOR_PAGES:,} and {count:,}", *times, "2")
    return shown
