"""`licdesk mail`: what the desk's mail needs before the first message."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from workflow.cli.on_database import REFUSED, command_line, said_plainly, writing
from workflow.mail.demo_keys import write_demo_keys
from workflow.mail.demo_openpgp import write_demo_openpgp
from workflow.mail.messages import Mailbox
from workflow.services import mail_tests
from workflow.times import utc_now, wall_now

TEST_SECONDS = 240

app = typer.Typer(help="Certificates and keys of the desk's mail.", no_args_is_help=True)


@app.callback()
def mail() -> None:
    """Certificates of the desk's mail."""


@app.command("init")
def init(
    directory: Annotated[Path, typer.Option(help="Where the desk's files go: authority, signer, certificates.")],
    recipients: Annotated[str, typer.Option(help="Addresses of the demo's recipients, comma separated.")],
    inbox_keys: Annotated[Path, typer.Option(help="Where the recipients' keys go, for the inbox alone.")],
    signer_address: Annotated[str, typer.Option(help="The address the desk's mail comes from.")],
    on_curve: Annotated[str, typer.Option(help="Those of them whose key is on a curve (P-256) instead of RSA.")] = "",
    openpgp: Annotated[str, typer.Option(help="Recipients with an OpenPGP key: NAME <ADDRESS>, comma separated.")] = "",
) -> None:
    """Make the demo's mail authority, the signer's certificate and certificates for recipients; with --openpgp the desk's
    OpenPGP key and theirs, too. Repeating it changes nothing; a production desk gets its signer from a real authority."""
    with said_plainly():
        files = write_demo_keys(
            directory,
            inbox_keys,
            recipients=_listed(recipients),
            signer_address=signer_address,
            now=wall_now(),
            on_curve=_listed(on_curve),
        )
        with_key = [Mailbox.parse(each) for each in _listed(openpgp)]
        keys = (
            write_demo_openpgp(directory, inbox_keys, recipients=with_key, signer=Mailbox(signer_address, "License desk"))
            if with_key
            else None
        )
    typer.echo(f"authority     {files.authority}")
    typer.echo(f"signer        {files.signer_certificate}")
    for address, path in files.recipients.items():
        typer.echo(f"recipient     {path}  ({address})")
    if keys is not None:
        typer.echo(f"OpenPGP key   {keys.signer}")
        for address, path in keys.recipients.items():
            typer.echo(f"recipient     {path}  ({address})")


@app.command("test")
def test(address: Annotated[str, typer.Argument(help="Where the test mail goes.")]) -> None:
    """Send a test mail with the settings of the general worker, and show what the mail server answered."""
    actor = command_line()
    with writing() as session:
        mailbox = Mailbox.parse(address)
        mail_tests.allow_test(session, actor, mailbox.address, utc_now(), wall_now())
    # A process of its own, as the worker is: nothing that speaks SMTP is loaded where keys and databases are administered.
    command = [sys.executable, "-m", "workflow.mail.probe", mailbox.address, actor.name]
    try:
        tried = subprocess.run(  # noqa: S603  (our own interpreter, no shell)
            command, capture_output=True, text=True, timeout=TEST_SECONDS, check=False
        )
        answer, failed = (tried.stdout or tried.stderr).strip().splitlines()[-1:], tried.returncode != 0
    except subprocess.TimeoutExpired:
        answer, failed = [f"The mail server did not answer within {TEST_SECONDS} s."], True
    said = " ".join(answer)
    with writing() as session:
        mail_tests.note_answer(session, actor, mailbox.address, said, utc_now())
    typer.echo(said, err=failed)
    if failed:
        raise typer.Exit(REFUSED)


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
