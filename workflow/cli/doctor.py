"""`licdesk doctor`: looks at everything a person would look at, changes nothing, and says what to do."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from workflow.cli.checkup import broker, configuration, custody, database, files, mail
from workflow.cli.checkup.findings import Environ, Finding, Verdict, fail
from workflow.cli.data_files import Files
from workflow.cli.installation import Process
from workflow.cli.installation import environ_for as environ_in
from workflow.cli.stack import Stack, StackState
from workflow.settings import PREFIX, variable

app = typer.Typer()

MARKS = {
    Verdict.OK: "[green]✓ ok  [/]",
    Verdict.WARN: "[yellow]! warn[/]",
    Verdict.FAIL: "[bold red]✗ fail[/]",
    Verdict.SKIP: "[dim]- skip[/]",
}


@app.command("doctor")
def doctor_command(
    data: Annotated[
        Path,
        typer.Option("--data", envvar="LICDESK_DATA_DIR", help="Where a one-command desk keeps everything.", file_okay=False),
    ] = Path("var"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check settings, database, broker, mail, keys, processes, jobs, clock and files; exit status 1 when something fails.

    On a one-command desk it looks with the settings of each of its processes, elsewhere with those of this environment: run it
    where a process runs, as the user it runs as. Nothing is changed, and no private key of the licenses is opened.
    """
    findings = list(examine(data))
    failed = any(each.verdict is Verdict.FAIL for each in findings)
    if as_json:
        typer.echo(json.dumps({"ok": not failed, "checks": [asdict(each) for each in findings]}, indent=1, ensure_ascii=False))
    else:
        _print(findings)
    raise typer.Exit(1 if failed else 0)


def examine(data: Path) -> Iterator[Finding]:
    """Every finding, in the order a person would look."""
    own = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    state = None if variable("database_url") in own else StackState.read(Files(data.resolve()).run)
    if state is not None and Stack.running(data) is None:
        yield fail("stack", f"The desk in {data} is not running.", "Start it: python3 dev.py up")
    environs: dict[Process, Environ] = {
        each: environ_in(each, state.settings, state.own) if state else dict(os.environ) for each in Process
    }
    yield from configuration.look(environs, own)
    yield from files.look(environs[Process.DESK])
    yield from database.look(environs[Process.DESK])
    yield from broker.look(environs[Process.BEAT])
    yield from mail.look(environs[Process.WORKER])
    yield from custody.look(environs[Process.SIGNING])


def _print(findings: list[Finding]) -> None:
    terminal = Console(highlight=False)
    width = max(len(each.check) for each in findings)
    for each in findings:
        terminal.print(f"{MARKS[each.verdict]} {escape(each.check):<{width}}  {escape(each.said)}", soft_wrap=True)
        if each.remedy:
            terminal.print(f"{'':{width + 8}} {escape(each.remedy)}", style="bold", soft_wrap=True)
    counts = {verdict: sum(1 for each in findings if each.verdict is verdict) for verdict in Verdict}
    if counts[Verdict.FAIL] or counts[Verdict.WARN]:
        terminal.print(f"\n{counts[Verdict.FAIL]} failed, {counts[Verdict.WARN]} to look at, {counts[Verdict.OK]} in order.")
    else:
        terminal.print("\nEverything is in order.")
