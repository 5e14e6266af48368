"""How the operator's commands reach the database: who acts, which engine, and refusals as sentences."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from workflow.database import DatabaseAway, create_engine, reading, transaction
from workflow.domain.roles import Actor, Role
from workflow.errors import DeskError, Invalid
from workflow.settings import Database, load

REFUSED = 1


def command_line() -> Actor:
    """Whoever has the database's credentials and a shell here, named in the audit record by their login."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = "somebody"
    return Actor(name=f"{login} (command line)", roles=frozenset({Role.OPERATOR}), channel="cli")


@contextmanager
def writing() -> Iterator[Session]:
    """A transaction on the desk's database. An expected refusal is sentences and exit status 1, never a traceback."""
    with said_plainly(), desk_engine() as engine, transaction(engine) as session:
        yield session


@contextmanager
def looking() -> Iterator[Session]:
    """A look at the desk's database."""
    with said_plainly(), desk_engine() as engine, reading(engine) as session:
        yield session


@contextmanager
def said_plainly() -> Iterator[None]:
    """Turns expected refusals into sentences and exit status 1."""
    try:
        yield
    except DeskError as error:
        typer.echo(f"{error.code}: {error}", err=True)
        if isinstance(error, Invalid):
            for each in error.problems:
                if each.message != str(error):
                    typer.echo(f"  {each.field}: {each.message}", err=True)
        raise typer.Exit(REFUSED) from error


@contextmanager
def desk_engine() -> Iterator[Engine]:
    """An engine on the database of the settings, closed at the end. Raises DatabaseAway, SettingMissing, SettingUnusable."""
    engine = create_engine(load(Database).database_url)
    try:
        yield engine
    except OperationalError as error:
        raise DatabaseAway(
            f"The database {engine.url} does not answer: {error.orig}. Check LICDESK_DATABASE_URL, and whether it runs."
        ) from error
    finally:
        engine.dispose()
