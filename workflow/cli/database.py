"""`licdesk db`: the desk's database schema."""

import typer

from workflow.cli.on_database import desk_engine, said_plainly
from workflow.db import migrations

app = typer.Typer(help="The desk's database.", no_args_is_help=True)


@app.callback()
def database() -> None:
    """The desk's database."""


@app.command("upgrade")
def upgrade() -> None:
    """Bring the schema up to date; nothing happens when it is."""
    with said_plainly(), desk_engine() as engine:
        migrations.upgrade(engine)
    typer.echo("The database is up to date.")


@app.command("check")
def check() -> None:
    """Say whether the schema is the one this release knows; exit status 1 when it is not."""
    with said_plainly(), desk_engine() as engine:
        current = migrations.is_current(engine)
    if not current:
        typer.echo("The database has another schema. Run: licdesk db upgrade", err=True)
        raise typer.Exit(1)
    typer.echo("The database is up to date.")
