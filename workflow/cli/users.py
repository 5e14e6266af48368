"""`licdesk users`: the people of the desk and their tokens. Works on the database, for whoever runs the desk."""

import json
import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlmodel import Session

from workflow.cli.on_database import command_line, looking, said_plainly, writing
from workflow.db.queries import customers, people
from workflow.db.tables import Person
from workflow.domain.roles import Role, Scope
from workflow.errors import Invalid, NotFound
from workflow.services import accounts, one_time_links, tokens
from workflow.settings import Database, load
from workflow.times import utc_now, wall_now

app = typer.Typer(help="The people of the desk, their roles and tokens.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The person's e-mail address.")]


@app.command()
def add(
    email: Email,
    name: Annotated[str, typer.Option(help="As pages and mails show it.")],
    role: Annotated[list[Role] | None, typer.Option(help="Once for each role.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="Holds the first password; a link to choose one is made when not given.", dir_okay=False)
    ] = None,
    team: Annotated[str, typer.Option(help="Liaisons of one team see each other's applications.")] = "",
    tenant: Annotated[str | None, typer.Option(help="An administrator's customer, by tenant ID.")] = None,
    time_zone: Annotated[str, typer.Option(help="The zone in which pages show times to them.")] = "UTC",
) -> None:
    """Add a person: the first operator of a new desk, too. Prints a link to choose a password: once, within 24 hours."""
    with said_plainly():
        given = _read_password(password_file)
    with writing() as session:
        person = accounts.add_person(
            session,
            command_line(),
            email=email,
            name=name,
            roles=role or [],
            password=given,
            now=utc_now(),
            tenant=customers.get_tenant(session, tenant).id if tenant else None,
            team=team,
            time_zone=time_zone,
        )
        token = None
        if given is None:
            token = one_time_links.make_link(session, command_line(), person.id, now=utc_now(), wall=wall_now())
    typer.echo(f"Added {email}.")
    if token is not None:
        typer.echo(_link(token))


@app.command("list")
def list_people(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show everybody with their roles."""
    with looking() as session:
        now = utc_now()
        found = [
            {
                "email": each.email,
                "name": each.name,
                "roles": sorted(role.value for role in people.roles_of(session, each.id, now)),
                "disabled_at": each.disabled_at.isoformat() if each.disabled_at else None,
            }
            for each in people.all_people(session)
        ]
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    table = Table("E-mail", "Name", "Roles", "", box=None)
    for row in found:
        roles = ", ".join(row["roles"] or ["none"])
        table.add_row(escape(str(row["email"])), escape(str(row["name"])), roles, "disabled" if row["disabled_at"] else "")
    Console().print(table)


@app.command("role")
def change_roles(
    email: Email,
    add: Annotated[list[Role] | None, typer.Option("--add", help="Give this role.")] = None,
    remove: Annotated[list[Role] | None, typer.Option("--remove", help="Take this role away.")] = None,
) -> None:
    """Give roles or take them away. What somebody decided while they had a role stands."""
    with writing() as session:
        person, actor, now = _get(session, email), command_line(), utc_now()
        for each in add or []:
            accounts.grant_role(session, actor, person.id, each, now)
        for each in remove or []:
            accounts.revoke_role(session, actor, person.id, each, now)
        session.flush()  # the roles are read again
        held = ", ".join(sorted(people.roles_of(session, person.id, now))) or "no role"
    typer.echo(f"{person.email}: {held}.")


@app.command("password")
def new_password(
    email: Email,
    password_file: Annotated[
        Path | None, typer.Option(help="Holds the new password; one is made when not given.", dir_okay=False)
    ] = None,
) -> None:
    """Give a person a new password; their sessions end. A password that is made is shown once."""
    with said_plainly():
        given = _read_password(password_file)
    password = given or secrets.token_urlsafe(15)
    with writing() as session:
        accounts.set_password(session, command_line(), _get(session, email).id, password, utc_now())
    typer.echo(f"{email} has a new password and signs in again.")
    if given is None:
        typer.echo(f"Password: {password}  (shown once)")


@app.command()
def invite(
    email: Email,
    send: Annotated[bool, typer.Option("--send", help="Mail the link instead of printing it.")] = False,
) -> None:
    """Make a link with which the person chooses a password: once, within 24 hours. Earlier links end."""
    with writing() as session:
        person = _get(session, email)
        if send:
            one_time_links.invite(session, command_line(), person.id, now=utc_now(), wall=wall_now())
        else:
            token = one_time_links.make_link(session, command_line(), person.id, now=utc_now(), wall=wall_now())
    typer.echo(f"A mail is on its way to {email}." if send else _link(token))


@app.command()
def disable(email: Email) -> None:
    """Nobody signs in as this person again; sessions, tokens and links end. Names what they leave open."""
    with writing() as session:
        left = accounts.disable_person(session, command_line(), _get(session, email).id, now=utc_now(), wall=wall_now())
        numbers = ", ".join(each.number for each in left)
    typer.echo(f"{email} cannot sign in any more.")
    if numbers:
        typer.echo(f"Nobody is in charge of {numbers}. An operator hands them over on the page People.")


@app.command()
def token(
    email: Email,
    name: Annotated[str, typer.Option(help="The program that will use it.")],
    days: Annotated[int, typer.Option(help="How long it works.")] = 90,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What it may do besides reading; once for each. Everything when not given."),
    ] = None,
) -> None:
    """Make an API token for a person. It is printed once, alone on its line."""
    with writing() as session:
        person, now = _get(session, email), utc_now()
        actor = accounts.actor_of(session, person, now, channel="cli")
        made, _ = tokens.make_token(session, actor, name, days, scopes=scope or Scope, now=now, wall=wall_now())
    typer.echo(made)


def _link(token: str) -> str:
    address = load(Database).public_url.rstrip("/")
    return f"{address}{one_time_links.PATH}/{token}  (to choose a password: once, within 24 hours)"


def _get(session: Session, email: str) -> Person:
    found = people.find_person_by_email(session, email)
    if found is None:
        raise NotFound(f"Nobody here has the address {email}. See: licdesk users list")
    return found


def _read_password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"The password file {path} cannot be read: {error}.") from error
