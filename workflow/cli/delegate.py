"""`licdesk delegate`: who acts for an approver out of office. Works on the database, for whoever runs the desk."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workflow.cli.on_database import command_line, looking, writing
from workflow.db.queries import delegations as queries
from workflow.db.queries import people
from workflow.domain.terms import day_in, last_usable_day
from workflow.errors import NotFound
from workflow.services import delegations
from workflow.times import utc_now

app = typer.Typer(help="Who acts for an approver out of office.", no_args_is_help=True)

DAY = ["%Y-%m-%d"]


@app.command()
def give(
    email: Annotated[str, typer.Argument(help="The approver who is out of office.")],
    to: Annotated[str, typer.Option(help="The approver who acts for them, by e-mail address.")],
    until: Annotated[datetime, typer.Option(formats=DAY, help="The last day, in the zone of the one who is away.")],
    reason: Annotated[str, typer.Option(help="As the history tells it.")],
    first: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="The first day; today when not given.")] = None,
) -> None:
    """Let an approver act for another one. Each vote then says for whom it is, and both together count as one person."""
    with writing() as session:
        now, person = utc_now(), people.find_person_by_email(session, email)
        if person is None:
            raise NotFound(f"Nobody here has the address {email}. See: licdesk users list")
        first_day = first.date() if first else day_in(person.time_zone, now)
        row = delegations.delegate(
            session,
            command_line(),
            person.id,
            to=to,
            first_day=first_day,
            last_day=until.date(),
            reason=reason,
            now=now,
        )
        said = f"{to} acts for {person.email} from {first_day} to {until.date()}. End it with: licdesk delegate end {row.id}"
    typer.echo(said)


@app.command("list")
def list_delegations() -> None:
    """Show who acts for whom, now and later."""
    table = Table("Id", "Out of office", "Acts for them", "From", "To", "Reason", box=None)
    with looking() as session:
        for row in queries.not_over(session, utc_now()):
            giver, acting = people.get_person(session, row.giver), people.get_person(session, row.delegate)
            days = day_in(giver.time_zone, row.starts_at), last_usable_day(row.ends_at, giver.time_zone)
            table.add_row(str(row.id), escape(giver.email), escape(acting.email), *map(str, days), escape(row.reason))
    Console().print(table)


@app.command()
def end(delegation: Annotated[UUID, typer.Argument(help="Its id, from `licdesk delegate list`.")]) -> None:
    """End a delegation before its last day. What was decided under it stands."""
    with writing() as session:
        delegations.end(session, command_line(), delegation, utc_now())
    typer.echo("Ended. Votes for the colleague are refused from now on.")
