"""`licdesk clock`: moves the demo's clock, so that a reminder or an expiry can be seen today. Demo only."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from workflow.cli.data_files import Files
from workflow.cli.on_database import said_plainly
from workflow.cli.stack import StackState
from workflow.errors import Invalid, Misconfigured
from workflow.settings import Common, Mode, load
from workflow.times import CLOCK_FILE_VARIABLE, set_clock, wall_now

app = typer.Typer()
YEARS = range(2000, 2101)


class NoDemoClock(Misconfigured):
    """There is no demo here whose clock could be moved."""

    code = "clock.no_demo"


@app.command("clock")
def clock_command(
    at: Annotated[str | None, typer.Option(help="The time it becomes, with its zone: 2027-11-17T09:00+08:00.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Back to this machine's time.")] = False,
    data: Annotated[
        Path, typer.Option("--data", envvar="LICDESK_DATA_DIR", help="Where the demo keeps everything.", file_okay=False)
    ] = Path("var"),
) -> None:
    """Show or move the demo's clock. Every process follows at once; mails, sessions and leases keep the real time."""
    if at is not None and reset:
        raise typer.BadParameter("give --at or --reset, not both")
    with said_plainly():
        path = clock_file(data)
        if at is not None or reset:
            set_clock(path, _instant(at) if at is not None else None)
        offset = int(path.read_text(encoding="ascii")) if path.exists() else 0
    now = datetime.fromtimestamp(wall_now().timestamp() + offset).astimezone()
    typer.echo(f"{now:%a %-d %b %Y %H:%M:%S %Z}, {_apart(offset)}")


def clock_file(data: Path) -> Path:
    """The file that holds the demo's offset: the one named in the environment, or that of the demo in `data`.

    Raises NoDemoClock: a production desk has no clock of its own.
    """
    named = os.environ.get(CLOCK_FILE_VARIABLE)
    if named and load(Common).mode is Mode.DEMO:
        return Path(named)
    files = Files(data.resolve())
    state = StackState.read(files.run)
    if state is None or state.settings.get("mode") != Mode.DEMO:
        raise NoDemoClock(f"There is no demo in {data}. Start one with `python3 dev.py up`, or name its --data.")
    return files.clock


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r} is no time. Write it like 2027-11-17T09:00+08:00.") from None
    if found.tzinfo is None:
        raise Invalid(f"{text} has no zone. Add it, for example {text}+08:00, or {text}Z for UTC.")
    if found.year not in YEARS:  # beyond them every process would fail at its next look at the clock
        raise Invalid(f"Choose a year from {YEARS[0]} to {YEARS[-1]}: licenses begin and end between them.")
    return found


def _apart(seconds: int) -> str:
    if not seconds:
        return "this machine's time"
    days, rest = divmod(abs(seconds), 86_400)
    return f"{days} d {rest // 3600} h {'ahead of' if seconds > 0 else 'behind'} this machine's time"
