"""`licdesk mail`: what the desk's mail needs before the first message."""

from pathlib import Path
from typing import Annotated

import typer

from workflow.cli.on_database import said_plainly
from workflow.mail.demo_keys import write_demo_keys
from workflow.times import wall_now

app = typer.Typer(help="Certificates of the desk's mail.", no_args_is_help=True)


@app.callback()
def mail() -> None:
    """Certificates of the desk's mail."""


@app.command("init")
def init(
    directory: Annotated[Path, typer.Option(help="Where the desk's files go: authority, signer, certificates.")],
    recipients: Annotated[str, typer.Option(help="Addresses of the demo's recipients, comma separated.")],
    inbox_keys: Annotated[Path, typer.Option(help="Where the recipients' keys go, for the inbox alone.")],
    signer_address: Annotated[str, typer.Option(help="The address the desk's mail comes from.")],
) -> None:
    """Make the demo's mail authority, the signer's certificate and certificates for recipients. Repeating it changes
    nothing; a production desk gets its signer from a real authority."""
    addresses = [each.strip() for each in recipients.split(",") if each.strip()]
    with said_plainly():
        files = write_demo_keys(directory, inbox_keys, recipients=addresses, signer_address=signer_address, now=wall_now())
    typer.echo(f"authority     {files.authority}")
    typer.echo(f"signer        {files.signer_certificate}")
    for address, path in files.recipients.items():
        typer.echo(f"recipient     {path}  ({address})")
