"""`licdesk jobs`: what is owed and what gave up. Works on the database, for operators."""

import json
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workflow.cli.on_database import command_line, looking, writing
from workflow.db.queries import deliveries
from workflow.domain.events import JobState
from workflow.services import operations
from workflow.services.operations import JOB_STATE_WORDS, JOB_WORDS
from workflow.times import utc_now

app = typer.Typer(help="Work that is owed, and what gave up.", no_args_is_help=True)

Job = Annotated[UUID, typer.Argument(help="The job's id.")]


@app.command("list")
def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, newest first.", min=1)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show jobs, newest first. Dead ones wait for `licdesk jobs retry` or `cancel`."""
    with looking() as session:
        found = [
            {
                "id": str(each.id),
                "kind": each.kind,
                "state": each.state,
                "attempts": each.attempts,
                "next_at": each.next_at.isoformat(timespec="seconds"),
                "last_error": each.last_error or "",
            }
            for each in deliveries.list_jobs(session, state=state or "", limit=limit)
        ]
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    table = Table("Job", "What", "State", "Attempts", "Next try (UTC)", "Last error", box=None)
    for row in found:
        due = str(row["next_at"])[:19].replace("T", " ") if row["state"] in ("pending", "running") else ""
        table.add_row(
            str(row["id"]),
            JOB_WORDS.get(str(row["kind"]), str(row["kind"])),
            JOB_STATE_WORDS[JobState(str(row["state"]))],
            str(row["attempts"]),
            due,
            escape(str(row["last_error"])),
        )
    Console().print(table if found else "There is none.")


@app.command()
def retry(job: Job) -> None:
    """Give a dead job new attempts. A mail in doubt is sent again with the same bytes."""
    with writing() as session:
        operations.retry_job(session, command_line(), job, utc_now())
    typer.echo("It is tried again now.")


@app.command()
def cancel(job: Job, reason: Annotated[str, typer.Option(help="Why. It stays in the history.")]) -> None:
    """Give a dead job up for good."""
    with writing() as session:
        operations.cancel_job(session, command_line(), job, reason, utc_now())
    typer.echo("It is given up.")
