"""`licdesk audit`: whether the history holds, the history as a file, and a checkpoint by hand. Works on the database."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.exc import SQLAlchemyError

from workflow.cli.on_database import desk_engine, said_plainly
from workflow.cli.root_files import DEFAULT_TRUST, read_root
from workflow.db.queries.trail import Asked
from workflow.errors import DeskError
from workflow.license_file import LicenseRefused, TrustError
from workflow.services import trail, witnessing
from workflow.services.checkpoints import LONGEST_REASON
from workflow.services.history import Verdict
from workflow.services.witnessing import how_many
from workflow.signing_keys import open_signer, read_secret
from workflow.times import wall_now

app = typer.Typer(help="The history: verify it, export it, sign a checkpoint of it.", no_args_is_help=True)

BROKEN = 1
CANNOT_TELL = 2
DEFAULT_CHECKPOINTS = Path("var/checkpoints")

_Trust = Annotated[
    Path, typer.Option("--trust", envvar="LICDESK_TRUST_DIR", help="Directory of the trust roots.", file_okay=False)
]
_Checkpoints = Annotated[
    Path,
    typer.Option(
        "--checkpoints",
        envvar="LICDESK_CHECKPOINT_DIR",
        help="Directory of the checkpoint files; better a copy from another machine.",
        file_okay=False,
    ),
]


@app.command("verify")
def verify(
    trust: _Trust = DEFAULT_TRUST,
    checkpoints: _Checkpoints = DEFAULT_CHECKPOINTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Walk every chain of events and hold it against the checkpoints. Status 0: it holds; 1: it does not; 2: cannot tell."""
    with _cannot_tell(), desk_engine() as engine:
        verdict = witnessing.look(engine, read_root(trust), checkpoints)
    if as_json:
        typer.echo(json.dumps(_document(verdict), indent=1, ensure_ascii=False))
    else:
        _say(verdict)
    if not verdict.holds:
        raise typer.Exit(BROKEN)


@app.command("export")
def export(
    person: Annotated[str, typer.Option(help="Only what this person did: an address, or part of a name.")] = "",
    application: Annotated[str, typer.Option(help="Only this application.")] = "",
    kind: Annotated[str, typer.Option("--type", help="Only events of this type, such as license.issued.")] = "",
    since: Annotated[datetime | None, typer.Option(help="From this instant on (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this instant (UTC).")] = None,
) -> None:
    """Print the history as JSON Lines, newest first: one event a line, with everything its hash covers."""
    asked = Asked(
        person=person,
        application=application,
        kind=kind,
        since=since.replace(tzinfo=UTC) if since else None,
        until=until.replace(tzinfo=UTC) if until else None,
    )
    with said_plainly(), desk_engine() as engine:
        for line in trail.from_part_on(engine, asked, trail.part(engine, asked)):
            sys.stdout.write(json.dumps(trail.document(line), ensure_ascii=False) + "\n")


@app.command("checkpoint")
def checkpoint(
    key: Annotated[str, typer.Option("--key", help="Where a key of the auditors is, such as file:/media/auditor.pem.")],
    secret_file: Annotated[Path, typer.Option("--secret-file", help="The secret that opens the key.", dir_okay=False)],
    trust: _Trust = DEFAULT_TRUST,
    checkpoints: _Checkpoints = DEFAULT_CHECKPOINTS,
    anew: Annotated[
        str, typer.Option("--anew", help="After a backup was restored: why what was seen before no longer counts.")
    ] = "",
) -> None:
    """Sign a checkpoint now. The witness does so each day by itself; after a restored backup somebody has to say why."""
    if len(anew) > LONGEST_REASON:
        raise typer.BadParameter(f"use at most {LONGEST_REASON} characters", param_hint="--anew")
    with _cannot_tell(), desk_engine() as engine:
        root, signer = read_root(trust), open_signer(key, read_secret(secret_file))
        witnessing.require_auditor(root, signer)
        verdict = witnessing.look(engine, root, checkpoints)
        number = witnessing.sign_checkpoint(engine, verdict, signer, checkpoints, wall_now(), anew=anew.strip())
    typer.echo(f"Signed checkpoint {number}. {witnessing.word(verdict)}")


def _say(verdict: Verdict) -> None:
    for finding in verdict.findings:
        typer.echo(finding.sentence)
    for note in verdict.notes:
        typer.echo(f"Note: {note}")
    seen = (
        f"{how_many(len(verdict.checkpoints), 'checkpoint')}, the newest of {verdict.witnessed_at:%Y-%m-%d %H:%M} UTC"
        if verdict.witnessed_at
        else "no checkpoint yet, so a chain that was cut off together with its head would not be noticed"
    )
    typer.echo(f"Looked at {how_many(verdict.events, 'event')} in {how_many(verdict.chains, 'chain')}; {seen}.")
    against = f"The history does not hold: {how_many(len(verdict.findings), 'finding')}."
    typer.echo("The history holds." if verdict.holds else against)


def _document(verdict: Verdict) -> dict[str, Any]:
    return {
        "holds": verdict.holds,
        "chains": verdict.chains,
        "events": verdict.events,
        "checkpoints": len(verdict.checkpoints),
        "witnessed_at": verdict.witnessed_at.isoformat() if verdict.witnessed_at else None,
        "findings": [asdict(each) for each in verdict.findings],
        "notes": list(verdict.notes),
    }


@contextmanager
def _cannot_tell() -> Iterator[None]:
    """What keeps the command from an answer is a sentence and status 2: it must not look like a history that holds, or not."""
    try:
        yield
    except (DeskError, TrustError, LicenseRefused) as error:
        typer.echo(f"{error.code}: {error}", err=True)
    except (SQLAlchemyError, ValueError) as error:
        typer.echo(f"The database cannot be read: {error}", err=True)
    else:
        return
    raise typer.Exit(CANNOT_TELL)
