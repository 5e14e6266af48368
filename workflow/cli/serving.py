"""`licdesk serve`, `relay`, `bounces`, `worker` and `beat`: each becomes its server by `exec`, so that no server process has
the command line's modules, and signals reach the server itself."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from workflow.cli.on_database import said_plainly
from workflow.mail.encryption import MailSigner
from workflow.services.desk import desk_from
from workflow.settings import BeatSettings, Database, WorkerSettings, load, opened_with
from workflow.times import wall_now

app = typer.Typer()

GRACE_SECONDS = 3
"""how long a stopping web server waits for open answers; an event stream never ends by itself"""


class Queue(StrEnum):
    """The two kinds of worker. They share no task and no secret."""

    GENERAL = "general"
    SIGNING = "signing"


def web(application: str, host: str, port: int, processes: int = 1) -> tuple[str, ...]:
    """The command that serves `module:factory`."""
    options = ["--host", host, "--port", str(port), "--workers", str(processes)]
    quiet = ["--no-server-header", "--timeout-graceful-shutdown", str(GRACE_SECONDS)]
    return (sys.executable, "-m", "uvicorn", application, "--factory", *options, *quiet)


def desk(host: str, port: int, processes: int = 1) -> tuple[str, ...]:
    """The command that serves the desk's pages and API."""
    return web("workflow.web.desk.app:create_app", host, port, processes)


def console(host: str, port: int) -> tuple[str, ...]:
    """The command that serves License Management."""
    return web("workflow.web.console.app:create_app", host, port)


def inbox(host: str, port: int, smtp_port: int) -> tuple[str, ...]:
    """The command that catches the demo's mail and shows it."""
    ports = ["--port", str(port), "--smtp-port", str(smtp_port)]
    return (sys.executable, "-m", "workflow.inbox", "--host", host, *ports)


def relay() -> tuple[str, ...]:
    """The command that hands due jobs to the broker."""
    return (sys.executable, "-m", "workers.relay")


def witness() -> tuple[str, ...]:
    """The command that signs checkpoints of the history."""
    return (sys.executable, "-m", "workers.witness")


def bounces() -> tuple[str, ...]:
    """The command that takes in mail that came back."""
    return (sys.executable, "-m", "workers.bounces")


def worker(queue: Queue, concurrency: int) -> tuple[str, ...]:
    """The command that works off the queues of one kind."""
    work = ["worker", "--hostname", f"{queue.value}@%h", "--concurrency", str(concurrency)]
    # Gossip and mingle let workers wait for one another; ours know each other by the database only.
    return (*_celery(queue), *work, "--loglevel", "INFO", "--without-gossip", "--without-mingle")


def beat(schedule: Path) -> tuple[str, ...]:
    """The command that wakes the scans. `schedule` is a file it keeps its last times in."""
    return (*_celery(Queue.GENERAL), "beat", "--loglevel", "INFO", "--schedule", str(schedule))


def _celery(queue: Queue) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "-A", f"workers.app:{queue.value}")


_Host = Annotated[str, typer.Option(help="The address to listen on.")]


@app.command("serve")
def serve_command(
    host: _Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8300,
    processes: Annotated[int, typer.Option(help="How many processes serve.", min=1)] = 1,
) -> None:
    """Serve the desk: pages and API."""
    _require_fit()
    _become(desk(host, port, processes))


@app.command("relay")
def relay_command() -> None:
    """Hand due jobs to the broker."""
    _become(relay())


@app.command("witness")
def witness_command() -> None:
    """Look at the whole history once a day and sign a checkpoint of it."""
    _become(witness())


@app.command("bounces")
def bounces_command() -> None:
    """Take in mail that came back, from LICDESK_BOUNCE_SOURCE, and tell those who can help."""
    _become(bounces())


@app.command("worker")
def worker_command(
    queue: Annotated[Queue, typer.Argument(help="general (mail, reminders) or signing (the issuer keys).")],
    concurrency: Annotated[int, typer.Option(help="How many jobs at a time.", min=1)] = 2,
) -> None:
    """Work one queue off."""
    _require_fit()
    if queue is Queue.GENERAL:
        _require_signers()
    _become(worker(queue, concurrency))


@app.command("beat")
def beat_command(
    schedule: Annotated[
        Path | None,
        typer.Option(help="Keeps the times of the last scans; in LICDESK_DATA_DIR when not given.", dir_okay=False),
    ] = None,
) -> None:
    """Wake the scans for reminders, expiry and housekeeping. Run one."""
    _become(beat(schedule or load(BeatSettings).data_dir / "beat-schedule"))


def _require_fit() -> None:
    """Ends with a sentence when catalogue, policy or settings are not fit to start with, before a server prints a traceback."""
    with said_plainly():
        desk_from(load(Database))


def _require_signers() -> None:
    """Ends with a sentence when what mail is signed with does not fit: its key, its purpose, its address or its days."""
    with said_plainly():
        settings = load(WorkerSettings)
        certificate, key = settings.mail_signer_certificate, settings.mail_signer_key
        if certificate is not None and key is not None:
            password = opened_with(settings.mail_signer_password)
            MailSigner.load(certificate, key, password, address=settings.mail_sender, at=wall_now())


def _become(command: tuple[str, ...]) -> NoReturn:
    os.execv(command[0], command)  # noqa: S606  (our own interpreter, no shell)
