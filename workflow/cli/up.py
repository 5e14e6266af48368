"""`licdesk up`: the whole system on one machine, as separate processes under one supervisor. For trying things out."""

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from workflow.cli import broker, cast, first_start
from workflow.cli.data_files import Files
from workflow.cli.demo_tokens import token_file
from workflow.cli.installation import Installation, Ports
from workflow.cli.memory import memory_of
from workflow.cli.stack import ProcessState, StackState
from workflow.cli.supervisor import DidNotStart, Program, Running, State, Supervisor, answers_ping, end_with
from workflow.errors import DeskError, Misconfigured
from workflow.services.policies import policy_from_file
from workflow.settings import PREFIX, Database, load

DEFAULT_PORT = 8300

app = typer.Typer()
terminal = Console(highlight=False)


class AlreadyRunning(Misconfigured):
    """Two supervisors on one data directory would start everything twice."""

    code = "up.already_running"


@app.command("up")
def up_command(
    data: Annotated[
        Path, typer.Option("--data", envvar="LICDESK_DATA_DIR", help="Where everything is kept.", file_okay=False)
    ] = Path("var"),
    port: Annotated[
        int | None,
        typer.Option(help="The desk's port; License Management and the inbox get the next two. 0: any free ones."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what every process prints.")] = False,
    follow: Annotated[int | None, typer.Option(help="Stop when the process with this id ends.", hidden=True)] = None,
) -> None:
    """Start desk, License Management, workers, broker and inbox on this machine, with demo accounts and keys."""
    if follow is not None:
        end_with(follow, signal.SIGTERM)
    began = time.monotonic()
    files = Files(data.resolve())
    try:
        with _alone(files):
            installation, broker_program = _prepared(files, port)
            asyncio.run(_run(installation, broker_program, verbose, began))
    except DidNotStart as failure:
        terminal.print(f"[bold red]{failure}[/]. The end of what it said:\n")
        print(failure.output)
        terminal.print(f"\nAll of it: {files.logs / failure.name}.log", soft_wrap=True)
        raise typer.Exit(1) from failure
    except DeskError as error:
        typer.echo(f"{error.code}: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _prepared(files: Files, port: int | None) -> tuple[Installation, Program | None]:
    """An installation that has everything it needs to start, and its broker unless another one was named."""
    own = {name: value for name, value in os.environ.items() if name.startswith(PREFIX) and value}
    own.pop("LICDESK_DATA_DIR", None)  # --data has it
    policy_from_file(load(Database).policy_file)  # a broken one is told here, not in the log of whatever reads it first
    embedded = None if "LICDESK_BROKER_URL" in own else broker.prepare(files.broker)
    broker_url = embedded.url if embedded else own["LICDESK_BROKER_URL"]
    installation = Installation(files, _ports(files, port), broker_url, own)
    if not files.trust.exists():
        terminal.print("First start: making keys, certificates, a database and demo accounts ...")
    first_start.prepare(installation)
    return installation, _broker_program(embedded)


async def _run(installation: Installation, broker_program: Program | None, verbose: bool, began: float) -> None:
    until = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(each, _stop_or_leave, until)
    report = _Report(installation)
    say = _prefixed if verbose else None
    stages = installation.stages(broker_program)
    supervisor = Supervisor(stages, installation.files.logs, changed=report.changed, say=say)

    def ready() -> None:
        report.is_ready(supervisor.programs)
        _show(installation, supervisor.programs, time.monotonic() - began)

    await supervisor.run(until, ready)
    report.ended()


def _broker_program(embedded: broker.Broker | None) -> Program | None:
    if embedded is None:
        return None
    machine = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return Program("broker", embedded.command, machine, answers_ping(embedded.port, embedded.password))


def _ports(files: Files, asked: int | None) -> Ports:
    """What was asked for; else what it had the last time, so that links in old mails lead somewhere; else the usual
    ones. A port that is taken gives way to a free one."""
    last = StackState.read(files.run)
    if asked is not None:
        wanted = {name: asked + offset if asked else None for offset, name in enumerate(("desk", "console", "inbox"))}
    elif last:
        wanted = {name: last.ports[name] for name in ("desk", "console", "inbox")}
    else:
        wanted = {name: DEFAULT_PORT + offset for offset, name in enumerate(("desk", "console", "inbox"))}
    return Ports(**{name: broker.free_port(port) for name, port in wanted.items()}, smtp=broker.free_port())


class _Report:
    """Keeps the state file true, and tells the person at the terminal what was started again."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._ready = False
        self._restarts: dict[str, int] = {}

    def changed(self, programs: Sequence[Running]) -> None:
        """Called by the supervisor."""
        for each in programs:
            if self._restarts.get(each.program.name, 0) < each.restarts and each.state is State.WAITING:
                self._restarts[each.program.name] = each.restarts
                status = each.process.returncode if each.process else None
                terminal.print(f"[yellow]{each.program.name} ended with status {status}; starting it again[/]")
        self._write(programs)

    def is_ready(self, programs: Sequence[Running]) -> None:
        """Every program is up for the first time."""
        self._ready = True
        self._write(programs)

    def ended(self) -> None:
        """Nothing runs any more. The ports stay on record for the next start."""
        self._ready = False
        self._write([])

    def _write(self, programs: Sequence[Running]) -> None:
        installation = self._installation
        ports = installation.ports
        StackState(
            pid=os.getpid(),
            ready=self._ready,
            urls=installation.urls,
            ports={"desk": ports.desk, "console": ports.console, "inbox": ports.inbox, "smtp": ports.smtp},
            settings=installation.settings(),
            own=dict(installation.own),
            processes={
                each.program.name: ProcessState(each.process.pid, each.state.value, each.restarts)
                for each in programs
                if each.process
            },
        ).write(installation.files.run)


def _show(installation: Installation, programs: Sequence[Running], seconds: float) -> None:
    files, urls = installation.files, installation.urls
    memory = memory_of({each.process.pid for each in programs if each.process})
    pages = (
        ("Desk", urls["desk"], "apply, approve, follow"),
        ("License Management", urls["console"], "at Harbourline Logistics, PROD"),
        ("Inbox", urls["inbox"], "all mail, decrypted"),
    )
    terminal.print(f"\n[bold green]License Desk is running[/], {seconds:.1f} s after the command.\n")
    for name, url, what in pages:
        terminal.print(f"  {name:<19} [bold cyan]{url}[/]  {what}", soft_wrap=True)
    terminal.print(f"\n  Sign in with the password [bold]{first_start.demo_password(files)}[/] as\n")
    for person in (*cast.STAFF, cast.ADMINISTRATOR):
        terminal.print(f"  {person.email:<30} {person.role.value:<13} {person.does}", soft_wrap=True)
    tokens = token_file(files.data, cast.LIAISON)
    terminal.print("\n  From a shell, too (each with --help):\n")
    terminal.print(
        f"  {Path(sys.prefix) / 'bin' / 'licdesk'} applications --url {urls['desk']} --token-file {tokens}", soft_wrap=True
    )
    terminal.print(f"\n  Data    {files.data}\n  Logs    {files.logs}\n  Memory  {memory}\n", soft_wrap=True)
    terminal.print("  Ctrl-C stops everything.", style="dim")


def _prefixed(name: str, line: str) -> None:
    print(f"{name:>8} | {line}", flush=True)


def _stop_or_leave(until: asyncio.Event) -> None:
    """The first Ctrl-C stops everything in order; the second one ends us, and with us everything at once."""
    if until.is_set():
        os._exit(130)
    terminal.print("\nStopping ...")
    until.set()


@contextmanager
def _alone(files: Files) -> Iterator[None]:
    files.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (files.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"License Desk runs from {files.data} already. Stop it first, or choose another --data."
            ) from None
        yield
