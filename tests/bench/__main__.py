"""Runs every measurement once, beside its yardstick, and prints a table and JSON."""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, func
from sqlmodel import col, select

from tests.bench import bare, gate, license_file, mail, years
from tests.bench.memory import memory_of_the_one_command_run
from tests.servers import ValkeyServer, running_postgres, wait_until
from tests.workers.company import SENDER, WITH_CERTIFICATE, Company, add_customers, company_on, url_as
from workflow.cli.broker import free_port
from workflow.database import create_engine, reading, transaction
from workflow.db import outbox
from workflow.db.ids import new_id
from workflow.db.migrations import upgrade
from workflow.db.powers import Power
from workflow.db.tables import Application, JobRow
from workflow.domain.events import Job
from workflow.mail.demo_keys import DemoFiles, write_demo_keys

CELERY_TAIL = ("--loglevel", "error", "--without-gossip", "--without-mingle")
PROCESSES = 2
ROUNDS = 3


@dataclass(frozen=True)
class Path3:
    """Vote to mail server's answer on one database (three durable steps: approve, issue, deliver), in applications per second
    of each round; bare chains per second before, between and after the rounds; and, in milliseconds, from the commit that owes
    something to its being done: a signature, and a job that finds nothing to do (beside `.delay()` to a task's first line).
    """

    per_second: list[float]
    bare_per_second: list[float]
    p50_ms: float
    p95_ms: float
    nothing_ms: list[float]
    delay_ms: list[float]

    def ratios(self) -> list[float]:
        """Each round beside the bare chains right before and right after it: a machine that others use, too, may have become
        slower or quicker by the next one."""
        beside = zip(self.per_second, self.bare_per_second, self.bare_per_second[1:], strict=False)
        return [round(rate / statistics.mean(bare), 2) for rate, *bare in beside]


def main() -> None:
    """Measures, prints, and writes JSON to the file named by --json."""
    parser = argparse.ArgumentParser(prog="python3 dev.py bench", description="Measures License Desk on this machine.")
    parser.add_argument("--applications", type=int, default=200, help="how many go from submitted to delivered in a round")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--skip-memory", action="store_true", help="do not start the whole one-command run")
    parser.add_argument("--years", type=int, default=0, help="scan and pages among so many applications, from 12000 on")
    parser.add_argument(
        "--million", action="store_const", dest="years", const=years.MILLION, help="the same as --years 1000000"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="licdesk-bench-") as home, ExitStack() as stack:
        os.chmod(home, 0o755)  # PostgreSQL may run as nobody
        figures = measure(Path(home), chosen.applications, stack)
        figures["license_file"] = license_file.measured()
        figures["gate"] = gate.measured(Path(home) / "gate")
        figures["mail"] = mail.measured(Path(home) / "mail-cost")
        if chosen.years:
            (Path(home) / "years").mkdir()
            with running_postgres(Path(home) / "years", durable=True) as server:
                figures["years"] = years.measured(server, chosen.years)
        if not chosen.skip_memory:
            figures["memory_mb"] = memory_of_the_one_command_run(Path(home) / "up")
    show(figures)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(home: Path, count: int, stack: ExitStack) -> dict[str, object]:
    """The path on both databases on one broker, in rounds, with runs of the bare chain between them.

    The median of a database's ratios counts.
    """
    valkey = ValkeyServer(home / "valkey")
    valkey.start()
    stack.callback(valkey.stop)
    keys = issuer_keys(home / "issuer")
    mail_keys = write_demo_keys(
        home / "mail", home / "inbox", recipients=[WITH_CERTIFICATE], signer_address=SENDER, now=datetime.now(UTC)
    )
    (home / "postgres").mkdir()
    postgres = stack.enter_context(running_postgres(home / "postgres", durable=True))
    yardstick = stack.enter_context(bare_worker(valkey.url))
    engines = {
        "sqlite": create_engine(f"sqlite:///{home}/desk.sqlite3"),
        "postgres": create_engine(postgres.add_database("desk")),
    }
    upgrade(engines["sqlite"])
    figures: dict[str, object] = {"cores": os.cpu_count(), "applications": count}
    for name, engine in engines.items():
        path = path_on(engine, home, valkey.url, keys, mail_keys, count, yardstick)
        figures[name] = path.__dict__ | {"ratios": path.ratios()}
        figures[f"ratio_{name}"] = statistics.median(path.ratios())
    return figures


@dataclass(frozen=True)
class Bare:
    """A bare Celery app on the same broker, with as many worker processes as the desk gets. They wait while the desk works."""

    client: redis.Redis

    def chains(self, count: int) -> float:
        """Chains of three no-op tasks per second, sent and done."""
        self.client.delete("bare:done")
        chain = bare.one.si() | bare.two.si() | bare.three.si()
        begin = time.perf_counter()
        for _ in range(count):
            chain.apply_async()
        wait_until(lambda: int(self.client.get("bare:done") or 0) >= count, 300, "the chains to end")
        return count / (time.perf_counter() - begin)

    def delays(self, count: int) -> list[float]:
        """Milliseconds from `.delay()` to the task's first line, one after the other."""
        taken: list[float] = []
        for _ in range(count):
            begin = time.time()
            bare.stamp.delay()
            answer = self.client.blpop(["bare:stamps"], timeout=10)
            assert isinstance(answer, tuple), "a bare worker answers within seconds"
            taken.append(1000 * (float(answer[1]) - begin))
        return taken


@contextmanager
def bare_worker(broker: str) -> Iterator[Bare]:
    """The yardstick, warm."""
    environ = {**os.environ, "LICDESK_BROKER_URL": broker}
    command = ["-m", "celery", "-A", "tests.bench.bare:app", "worker", "--concurrency", str(PROCESSES + 1), *CELERY_TAIL]
    bare.app.conf.broker_url = broker
    yardstick = Bare(redis.Redis.from_url(broker))
    with running(command, environ):
        yardstick.chains(PROCESSES * 10)  # until every process has done something
        yield yardstick


def path_on(engine: Engine, home: Path, broker: str, keys: Path, mail_keys: DemoFiles, count: int, yardstick: Bare) -> Path3:
    """Rounds of `count` applications, each of its own customer, from the submission to the mail server's answer, with as many
    bare chains before, between and after them."""
    port = free_port()
    with running(["-m", "tests.bench.sink", str(port)], dict(os.environ)):
        company = company_on(engine, smtp_port=port, mail_keys=mail_keys, issuer_keys=keys, archive=home / "none")
        tenants = [f"T-{number:05d}" for number in range(30 + ROUNDS * count)]
        add_customers(company, tenants, mail_keys)
        with ExitStack() as stack:
            for command, environ in processes(engine, broker, port, keys, mail_keys):
                stack.enter_context(running(command, {**os.environ, **environ}))
            warm_up(company, engine, tenants[:5])
            latencies = one_at_a_time(company, engine, tenants[5:30])
            nothing, delays = nothing_to_do(engine, 40), yardstick.delays(40)
            bare_rates, rates = [yardstick.chains(count)], []
            for at in range(30, len(tenants), count):
                rates.append(round_of(company, engine, tenants[at : at + count]))
                wait_until(lambda: quiet(engine), 300, "the letters about the deliveries to be sent")
                bare_rates.append(yardstick.chains(count))
    company.here.transport.close()
    company.room.engine.dispose()
    engine.dispose()
    cuts = statistics.quantiles(latencies, n=20)
    return Path3(
        [round(rate, 1) for rate in rates],
        [round(rate, 1) for rate in bare_rates],
        round(statistics.median(latencies), 1),
        round(cuts[18], 1),
        [round(each, 1) for each in sorted(nothing)],
        [round(each, 1) for each in sorted(delays)],
    )


def round_of(company: Company, engine: Engine, tenants: list[str]) -> float:
    """Applications per second from the first vote to the last delivery, with every letter about the submissions sent before."""
    waiting = [company.apply(tenant_id=tenant) for tenant in tenants]
    wait_until(lambda: quiet(engine), 300, "the letters about the submissions to be sent")
    already = delivered(engine)
    begin = time.perf_counter()
    for number in waiting:
        company.approve(number)
    wait_until(lambda: delivered(engine) == already + len(waiting), 600, "all licenses to be delivered")
    return len(waiting) / (time.perf_counter() - begin)


def processes(
    engine: Engine, broker: str, port: int, keys: Path, mail_keys: DemoFiles
) -> Iterator[tuple[list[str], dict[str, str]]]:
    """The desk's processes behind the pages, each with its own settings and its own role in the database."""
    common = {"LICDESK_MODE": "demo", "LICDESK_BROKER_URL": broker}
    as_relay, as_worker, as_signer = (
        {"LICDESK_DATABASE_URL": url_as(power, engine)} for power in (Power.RELAY, Power.WORKER, Power.SIGNER)
    )
    mail = {
        "LICDESK_SMTP_PORT": str(port),
        "LICDESK_SMTP_TLS": "none",
        "LICDESK_MAIL_SENDER": SENDER,
        "LICDESK_MAIL_CA": str(mail_keys.authority),
        "LICDESK_MAIL_SIGNER_CERTIFICATE": str(mail_keys.signer_certificate),
        "LICDESK_MAIL_SIGNER_KEY": str(mail_keys.signer_key),
    }
    signing = {
        "LICDESK_TRUST_DIR": str(keys / "trust"),
        "LICDESK_ISSUER_KEYS": ",".join(f"{name.upper()}=file:{keys}/keys/issuer-{name}.pem" for name in ("dev", "prod")),
        "LICDESK_ISSUER_KEY_SECRET_FILE": str(keys / "secret"),
    }
    celery = ["-m", "celery", "-A"]
    general = [*celery, "workers.app:general", "worker", "-n", "g@%h", "--concurrency", str(PROCESSES), *CELERY_TAIL]
    signer = [*celery, "workers.app:signing", "worker", "-n", "s@%h", "--concurrency", "1", *CELERY_TAIL]
    yield ["-m", "workers.relay"], common | as_relay
    yield general, common | as_worker | mail
    yield signer, common | as_signer | signing


def warm_up(company: Company, engine: Engine, tenants: list[str]) -> None:
    """Every process has imported, connected and opened its keys before the clock starts."""
    for tenant in tenants:
        company.approve(company.apply(tenant_id=tenant))
    wait_until(lambda: delivered(engine) == len(tenants), 60, "the first licenses to be delivered")


def one_at_a_time(company: Company, engine: Engine, tenants: list[str]) -> list[float]:
    """Milliseconds from the commit that owes a signature to the commit that has done it, with nothing else waiting."""
    before = {row.id for row in company.jobs(Job.SIGN)}
    for tenant in tenants:
        company.approve(company.apply(tenant_id=tenant))
        wanted = delivered(engine)
        wait_until(lambda wanted=wanted: quiet(engine) or delivered(engine) > wanted + 1, 30, "quiet")  # type: ignore[misc]
    wait_until(lambda: quiet(engine), 30, "quiet")
    return [
        (row.done_at - row.created_at) / timedelta(milliseconds=1)
        for row in company.jobs(Job.SIGN)
        if row.id not in before and row.done_at
    ]


def nothing_to_do(engine: Engine, count: int) -> list[float]:
    """Milliseconds from a commit that owes a code for a link that is gone to the worker's word that there is nothing to do, one
    after the other."""
    taken: list[float] = []
    for _ in range(count):
        with transaction(engine) as session:
            job = outbox.owe(session, Job.PORTAL_CODE, f"nothing:{new_id()}", ref=new_id())
        begin = datetime.now(UTC)
        time.sleep(0.05)  # asking all the time would take a processor from the workers
        wait_until(lambda: quiet(engine), 30, "the job to be done")
        with reading(engine) as session:
            row = session.get(JobRow, job)
            assert row is not None
            assert row.done_at is not None
            taken.append((row.done_at - begin) / timedelta(milliseconds=1))
    return taken


def delivered(engine: Engine) -> int:
    """How many applications have reached delivered."""
    with reading(engine) as session:
        return session.exec(select(func.count()).select_from(Application).where(Application.status == "delivered")).one()


def quiet(engine: Engine) -> bool:
    """Whether no job is open, but for digests, which wait a while for more to list."""
    open_one = select(JobRow.id).where(col(JobRow.state).in_(["pending", "running"]), JobRow.kind != Job.DIGEST.value)
    with reading(engine) as session:
        return session.exec(open_one.limit(1)).first() is None


def issuer_keys(home: Path) -> Path:
    """Issuer keys and trust root, as the command makes them."""
    command = ["-m", "workflow.cli.main", "keys", "init", "--demo", "--directory", str(home / "keys")]
    command += ["--secret-file", str(home / "secret"), "--trust", str(home / "trust")]
    home.mkdir()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, timeout=60)
    return home


@contextmanager
def running(command: list[str], environ: dict[str, str]) -> Iterator[None]:
    """A process of its own group, ended with the block."""
    process = subprocess.Popen([sys.executable, *command], env=environ, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


def show(figures: dict[str, object]) -> None:
    """The figures as a person reads them."""
    table = Table(title=f"License Desk on {figures['cores']} cores, {figures['applications']} applications a round")
    table.add_column("approve, issue, deliver")
    for name in (
        "per second",
        "bare chains of three no-ops",
        "ratios",
        "median",
        "commit to signed, p50, p95",
        "to nothing, .delay()",
    ):
        table.add_column(name, justify="right")
    for name in ("sqlite", "postgres"):
        path = figures[name]
        assert isinstance(path, dict)
        rates, bare_rates, ratios = (", ".join(map(str, path[each])) for each in ("per_second", "bare_per_second", "ratios"))
        nothing, delay = (statistics.median(path[each]) for each in ("nothing_ms", "delay_ms"))
        table.add_row(
            *(name, rates, bare_rates, ratios, str(figures[f"ratio_{name}"])),
            f"{path['p50_ms']}, {path['p95_ms']} ms",
            f"{nothing:.1f}, {delay:.1f} ms ({nothing / delay:.1f})",
        )
    console = Console(width=max(100, shutil.get_terminal_size().columns))
    console.print(table)
    checking = figures["license_file"]
    assert isinstance(checking, dict)
    console.print(license_file.table(checking))
    if "years" in figures:
        of_years = figures["years"]
        assert isinstance(of_years, dict)
        console.print(years.table(of_years))
    if "memory_mb" in figures:
        console.print(f"The whole one-command run holds {figures['memory_mb']} MB (proportional set size).")


if __name__ == "__main__":
    main()
