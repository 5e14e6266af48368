"""`licdesk db`: the desk's database schema."""

from pathlib import Path
from typing import Annotated

import typer

from workflow.cli.on_database import desk_engine, said_plainly
from workflow.db import migrations, powers

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


@app.command("roles")
def roles(
    passwords: Annotated[
        Path | None,
        typer.Option(help="Sets their passwords: a file of libpq's kind, with a line for each role.", dir_okay=False),
    ] = None,
    prefix: Annotated[str, typer.Option(help="The names are PREFIX_web, PREFIX_relay and so on.")] = powers.PREFIX,
) -> None:
    """Make the database roles of web, relay, worker, signer and witness and give each what it needs; after each upgrade.

    For PostgreSQL, as the owner of the tables. What a role has besides is taken from it.
    """
    with said_plainly(), desk_engine() as engine:
        given = powers.passwords_in(passwords, prefix) if passwords else None
        powers.establish(engine, prefix=prefix, passwords=given)
    typer.echo(f"The roles are in order: {', '.join(powers.role_name(each, prefix) for each in powers.Power)}.")


@app.command("check")
def check() -> None:
    """Say whether the schema is the one this release knows; exit status 1 when it is not."""
    with said_plainly(), desk_engine() as engine:
        current = migrations.is_current(engine)
    if not current:
        typer.echo("The database has another schema. Run: licdesk db upgrade", err=True)
        raise typer.Exit(1)
    typer.echo("The database is up to date.")
