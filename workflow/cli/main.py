"""The `licdesk` command: one sub-command per subject."""

import typer

from workflow.cli import console, keys

app = typer.Typer(name="licdesk", help="License Desk: approval in front of the license signature.", no_args_is_help=True)
app.add_typer(keys.app, name="keys")
app.add_typer(console.app, name="console")


if __name__ == "__main__":
    app()
