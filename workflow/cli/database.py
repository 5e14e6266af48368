"""`licdesk db`: the desk's database schema."""

import typer

from workflow.database import create_engine
from workflow.db import migrations
from workflow.settings import Database, load

app = typer.Typer(help="The desk's database.", no_args_is_help=True)


@app.callback()
def database() -> None:
    """The desk's database."""


@app.command("upgrade")
def upgrade() -> None:
    """Bring the schema up to date; nothing happens when it is."""
    engine = create_engine(load(Database).database_url)
    migrations.upgrade(engine)
    engine.dispose()
    typer.echo("The database is up to date.")


@app.command("check")
def check() -> None:
    """Say whether the schema is the one this release knows; exit status 1 when it is not."""
    engine = create_engine(load(Database).database_url)
    current = migrations.is_current(engine)
    engine.dispose()
    if not current:
        typer.echo("The database has another schema. Run: licdesk db upgrade", err=True)
        raise typer.Exit(1)
    typer.echo("The database is up to date.")
