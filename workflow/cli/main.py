"""The `licdesk` command: one sub-command per subject, imported when it is asked for.

A process of the one-command run starts with one of them; importing all the others first took longer than its own start.
"""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

SUBJECTS = (
    "keys",
    "trust",
    "license",
    "revocations",
    "mail",
    "db",
    "policy",
    "users",
    "recipients",
    "delegate",
    "jobs",
    "audit",
    "demo",
    "console",
)
"""Groups of commands: `licdesk keys list`."""

COMMANDS = {
    "up": ("up",),
    "serving": ("serve", "relay", "witness", "bounces", "worker", "beat"),
    "client": ("apply", "applications", "show", "approve", "reject", "request-changes", "withdraw", "renew"),
    "clock": ("clock",),
    "doctor": ("doctor",),
}
"""Single commands, by the module they are in."""

_MODULES = {name: name for name in SUBJECTS} | {"db": "database"}
_MODULES |= {name: module for module, names in COMMANDS.items() for name in names}


class Commands(TyperGroup):
    """The commands by name; none is imported before it is looked up.

    Typer keeps its types of contexts and commands private.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Every name, in the order of the help page."""
        singles = [name for names in COMMANDS.values() for name in names]
        return [*singles, *SUBJECTS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command or group of this name; None when there is none."""
        if cmd_name not in _MODULES:
            return None
        group = get_group(import_module(f"workflow.cli.{_MODULES[cmd_name]}").app)
        if cmd_name not in SUBJECTS:
            return group.commands[cmd_name]
        group.name = cmd_name
        return group


app = typer.Typer(
    name="licdesk",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they hold passwords
)


@app.callback(help="License Desk: an approval in front of the license signature.")
def licdesk() -> None:
    """What every command has in common: nothing yet but the name."""


if __name__ == "__main__":
    app()
