"""The `licdesk` command: one sub-command per subject."""

import typer

from workflow.cli import (
    audit,
    client,
    clock,
    console,
    database,
    demo,
    jobs,
    keys,
    mail,
    policy,
    revocations,
    serving,
    trust,
    up,
    users,
)
from workflow.cli import license as license_commands

app = typer.Typer(
    name="licdesk",
    help="License Desk: an approval in front of the license signature.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they hold passwords
)
app.add_typer(up.app)
app.add_typer(serving.app)
app.add_typer(keys.app, name="keys")
app.add_typer(trust.app, name="trust")
app.add_typer(license_commands.app, name="license")
app.add_typer(revocations.app, name="revocations")
app.add_typer(mail.app, name="mail")
app.add_typer(database.app, name="db")
app.add_typer(policy.app, name="policy")
app.add_typer(users.app, name="users")
app.add_typer(jobs.app, name="jobs")
app.add_typer(audit.app, name="audit")
app.add_typer(client.app)
app.add_typer(clock.app)
app.add_typer(demo.app, name="demo")
app.add_typer(console.app, name="console")


if __name__ == "__main__":
    app()
