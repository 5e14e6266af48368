"""`licdesk demo`: the whole path on this machine, checked step by step. Exit status 0 only when all of it happened."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from workflow.cli import cast, first_start, seed
from workflow.cli.data_files import Files
from workflow.cli.demo_tokens import token_file
from workflow.cli.desk_client import DeskClient
from workflow.cli.installation import Process
from workflow.cli.stack import Stack
from workflow.cli.story import DidNotHappen, Places, Story
from workflow.cli.telling import Telling
from workflow.console.identity import API_TOKEN_FILE
from workflow.errors import DeskError

DEFAULT_DATA = Path("var/demo")
SCAN_SECONDS = "2"
"""a demo of its own looks for due reminders more often than once a minute"""

app = typer.Typer(help="Show the whole path on this machine, from application to renewal.", invoke_without_command=True)
app.add_typer(seed.app)  # `licdesk demo seed`, `confirm` and `tokens`
terminal = Console(highlight=False)


@app.callback()
def demo(
    context: typer.Context,
    data: Annotated[
        Path, typer.Option("--data", help="The demo's own data; a stack that runs there is used.", file_okay=False)
    ] = DEFAULT_DATA,
    example: Annotated[
        Path | None, typer.Option(help="The application to begin with, for the demo's PROD platform.", dir_okay=False)
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep it running afterwards, to look around.")] = False,
) -> None:
    """Take an application through all five states, see the reminder, renew it. Exit status 1 at the first thing that fails."""
    if context.invoked_subcommand is not None:
        return
    chosen = example or _example("first-prod.toml")
    try:
        with _stack(data) as stack:
            _tell(stack, chosen)
            if keep:
                _wait(stack)
    except (DeskError, httpx.HTTPError) as error:
        reason = str(error) if isinstance(error, DeskError) else f"{type(error).__name__}: {error}"
        terminal.print(f"\n[bold red]The demo ends here.[/] {escape(reason)}", soft_wrap=True)
        terminal.print(f"The logs of all processes are in {Files(data.resolve()).logs}", soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _tell(stack: Stack, example: Path) -> None:
    files, urls = stack.files, stack.urls
    _make_tokens(stack)
    telling = Telling(terminal)
    terminal.print(f"Desk {urls['desk']}  License Management {urls['console']}  Inbox {urls['inbox']}", soft_wrap=True)
    terminal.print(f"Everyone's password: {first_start.demo_password(files)}", soft_wrap=True)
    places = Places(
        desk=urls["desk"],
        console=urls["console"],
        inbox=urls["inbox"],
        console_token=files.console / API_TOKEN_FILE,
        clock=files.clock,
        trust=files.trust,
        downloads=files.data / "downloads",
    )
    with (
        _client(stack, cast.LIAISON) as liaison,
        _client(stack, cast.OPERATOR) as operator,
    ):
        story = Story(places, liaison, operator, first_start.demo_password(files), telling)
        try:
            story.reset_clock()
            telling.chapter("Through the five states")
            first = story.take_through(story.apply(example))
            telling.chapter("A week before the end")
            story.move_clock(first, 7)
            story.see_reminder(first, 7)
            telling.chapter("The renewal")
            second = story.take_through(story.renew(first))
            story.check_succession(first, second)
            telling.chapter(f"A day before version {first.version} would have ended")
            story.move_clock(first, 1)
            story.see_no_reminder(first, 1)
        finally:
            story.reset_clock()
    terminal.print(
        f"\n[bold green]All of it happened[/], in {telling.seconds:.0f} s. The clock is back at this machine's time."
    )


@contextmanager
def _stack(data: Path) -> Iterator[Stack]:
    """The stack that runs from this directory, or one that is started for the demo and stopped after it."""
    running = Stack.running(data)
    if running is not None:
        terminal.print(f"[dim]Using what runs from {data}.[/]")
        yield running
        return
    with terminal.status("[dim]starting desk, License Management, workers, broker and inbox …[/]", spinner="dots"):
        stack = Stack(data, settings={"scan_seconds": SCAN_SECONDS}).start()
    try:
        yield stack
    finally:
        with terminal.status("[dim]stopping everything …[/]", spinner="dots"):
            stack.stop()


def _make_tokens(stack: Stack) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "workflow.cli.main", "demo", "tokens"],
        env=stack.environ_for(Process.DESK),
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise DidNotHappen(f"The demo's people got no API tokens: {made.stderr.strip()}")


def _client(stack: Stack, person: cast.DemoPerson) -> DeskClient:
    token = token_file(stack.files.data, person).read_text(encoding="ascii").strip()
    return DeskClient(stack.urls["desk"], token)


def _example(name: str) -> Path:
    """An example of the repository, or of the directory the command was started in."""
    for base in (Path.cwd(), Path(__file__).resolve().parents[2]):
        path = base / "examples" / "applications" / name
        if path.is_file():
            return path
    raise typer.BadParameter(f"There is no examples/applications/{name} here. Name a file with --example.")


def _wait(stack: Stack) -> None:
    terminal.print(f"\nIt keeps running: {stack.urls['desk']}  Ctrl-C stops it.", soft_wrap=True)
    while True:
        time.sleep(3600)
