"""`licdesk revocations`: sign and publish the list of licenses that were called back. Works on the database, for operators."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import IntegrityError

from workflow.cli.on_database import command_line, looking, writing
from workflow.cli.root_files import DEFAULT_TRUST, read_root, refusals, write_public
from workflow.db.queries import revocations as queries
from workflow.db.tables import RevocationListRow
from workflow.errors import NotFound
from workflow.license_file import (
    REVOCATIONS_TYPE,
    decode_revocations,
    encode_revocations,
    sign_document,
    verify_revocations,
)
from workflow.license_file.envelope import decode
from workflow.services import revocations
from workflow.services.revocations import ListRefused
from workflow.signing_keys import open_signer, read_secret
from workflow.times import utc_now

app = typer.Typer(help="The signed list of licenses that were called back.", no_args_is_help=True)


@dataclass(frozen=True)
class Called:
    """A license that is called back. `state`: asked, not published yet, published."""

    license_id: str
    version: int
    state: str
    reason: str
    asked_by: str
    confirmed_by: str | None


@app.command("publish")
def publish(
    key: Annotated[str, typer.Option("--key", help="Where the revoker key is, such as file:/media/revoker.pem.")],
    secret_file: Annotated[Path, typer.Option("--secret-file", help="The secret that opens the key.", dir_okay=False)],
    trust: Annotated[
        Path, typer.Option("--trust", envvar="LICDESK_TRUST_DIR", help="Directory of the trust roots.", file_okay=False)
    ] = DEFAULT_TRUST,
    days: Annotated[int, typer.Option(help="Platforms warn when the list is older.", min=1, max=400)] = (
        revocations.GOOD_FOR.days
    ),
    to: Annotated[Path | None, typer.Option("--to", help="Write the list to this .lrl file too.", dir_okay=False)] = None,
) -> None:
    """Sign the list of everything that is called back and publish it: later license files carry it.

    Repeat it before the list grows old, also when nothing was added.
    """
    with refusals():
        root, signer = read_root(trust), open_signer(key, read_secret(secret_file))
        try:
            with writing() as session:
                now = utc_now()
                content = revocations.list_to_sign(session, now, timedelta(days=days))
                raw = sign_document(REVOCATIONS_TYPE, encode_revocations(content), [signer])
                revocations.record_list(session, command_line(), verify_revocations(raw, root, now), now)
        except IntegrityError as error:
            raise ListRefused(f"Another list got number {content.sequence} at the same moment. Publish again.") from error
        if to is not None:
            write_public(to, raw)
    typer.echo(f"Published revocation list number {content.sequence} with {len(content.licenses)} licenses.")
    typer.echo(
        f"It is good until {content.next_update:%Y-%m-%d}. Later license files carry it; /api/v1/revocations has it too."
    )


@app.command("list")
def list_revocations(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show what is called back, what waits for a second operator, and the newest published list."""
    with looking() as session:
        newest = queries.newest_list(session)
        named = _named_by(newest)
        found = [
            Called(
                issued.license_id,
                issued.version,
                state if state == "asked" or (issued.license_id, issued.version) in named else "not published yet",
                row.reason,
                row.asked_by_name,
                row.confirmed_by_name,
            )
            for state, rows in (("asked", queries.waiting(session)), ("published", queries.confirmed(session)))
            for row, issued in rows
        ]
    if as_json:
        published = {"sequence": newest.sequence, "next_update": newest.next_update.isoformat()} if newest else None
        typer.echo(json.dumps({"list": published, "licenses": [vars(each) for each in found]}, indent=1, ensure_ascii=False))
        return
    typer.echo(f"List number {newest.sequence}, good until {newest.next_update:%Y-%m-%d}" if newest else "No list yet.")
    for each in found:
        typer.echo(f"{each.license_id} version {each.version:<4} {each.state:18} {each.reason}")


@app.command("save")
def save(to: Annotated[Path, typer.Argument(help="The .lrl file to write.", dir_okay=False)]) -> None:
    """Write the newest published list to a file, for platforms that should not wait for their next license file."""
    with refusals(), looking() as session:
        newest = queries.newest_list(session)
        if newest is None:
            raise NotFound("No revocation list was published yet. See: licdesk revocations publish")
        write_public(to, newest.envelope)
    typer.echo(f"Revocation list number {newest.sequence} is in {to}.")


def _named_by(newest: RevocationListRow | None) -> frozenset[tuple[str, int]]:
    if newest is None:
        return frozenset()
    content = decode_revocations(decode(newest.envelope).payload)
    return frozenset((each.license_id, each.version) for each in content.licenses)
