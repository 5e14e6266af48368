"""`licdesk console`: set License Management up, serve it, and do without a browser what its page does."""

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console as Terminal
from rich.table import Table
from sqlmodel import Session

from workflow.cli import serving
from workflow.cli.data_files import Files
from workflow.cli.stack import StackState
from workflow.console import accounts, current, history, identity, install, publishing, revocation_uploads, uploads
from workflow.console.accounts import ConsoleRole
from workflow.console.current import Situation
from workflow.console.identity import Console, Setup
from workflow.console.said import unpacked
from workflow.console.store import InstalledLicense, RefusedUpload, RevocationUpload, Standing
from workflow.database import reading, transaction
from workflow.errors import DeskError
from workflow.license_file import MAX_ENVELOPE, Loss, last_usable_day_text
from workflow.settings import ConsoleSettings, Mode, load, variable
from workflow.times import utc_now, wall_now

app = typer.Typer(name="console", help="License Management on the platform's side.", no_args_is_help=True)

REFUSED = 1
USAGE = 2
MARKS = {"passed": "✓", "failed": "✗", "not_checked": "·", "note": "!"}

_Directory = Annotated[
    Path,
    typer.Option("--directory", envvar="LICDESK_CONSOLE_DIR", help="The console's own directory.", file_okay=False),
]
_Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
_Name = Annotated[str | None, typer.Option(help="The person's name; else it is made of the address.")]
_By = Annotated[str | None, typer.Option(help="Who does this, for the history.")]
_DEFAULT = Path("var/console")


@app.command()
def init(
    tenant: Annotated[str, typer.Option(help="The tenant ID, for example T-20817.")],
    environment: Annotated[str, typer.Option(help="DEV, UAT or PROD.")],
    pin: Annotated[str, typer.Option(help="SHA-256 of trust root version 1, compared with the issuer by phone.")],
    trust: Annotated[Path, typer.Option(help="The file of trust root version 1.", exists=True, dir_okay=False)],
    admin: Annotated[str, typer.Option(help="E-mail address of the first administrator.")],
    admin_name: _Name = None,
    label: Annotated[str | None, typer.Option(help="Tells a second console of one environment apart.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="The administrator's password; one is made when not given.", dir_okay=False)
    ] = None,
    company: Annotated[str | None, typer.Option(help="Shown on top of the page.")] = None,
    time_zone: Annotated[str, typer.Option(help="The zone in which the page shows times.")] = "UTC",
    desk_url: Annotated[str | None, typer.Option(help="Where receipts are posted; none: they are files.")] = None,
    directory: _Directory = _DEFAULT,
    as_json: _Json = False,
) -> None:
    """Set this installation up: database, key, pinned trust root, first administrator. Repeating it changes nothing."""
    with _said_plainly():
        settings = _settings(directory)
        setup = Setup(
            tenant_id=tenant,
            environment=environment,
            label=label,
            pin=pin,
            trust_root=trust.read_bytes(),
            company=company,
            time_zone=time_zone,
            desk_url=desk_url,
        )
        given = _password(password_file)
        password = given or accounts.new_password()
        made = identity.initialize(directory, setup, settings.mode, utc_now())
        with transaction(made.engine) as session:
            added = accounts.ensure_first_administrator(session, admin, password, utc_now(), admin_name)
    new_password = password if added and given is None else None
    facts = {
        "installation_id": made.identity.installation_id,
        "keyid": made.signer.keyid,
        "fingerprint": identity.fingerprint(made.signer.keyid),
        "tenant_id": tenant,
        "environment": environment,
        "administrator": admin,
        "directory": str(directory),
        "published": str(made.published),
        "api_token_file": str(directory / identity.API_TOKEN_FILE),
    }
    if as_json:
        typer.echo(json.dumps(facts | ({"password": new_password} if new_password else {}), indent=1))
        return
    typer.echo(f"Installation  {facts['installation_id']}")
    typer.echo(f"Fingerprint   {facts['fingerprint']}")
    typer.echo(f"Console       {directory}, {tenant} {environment}")
    typer.echo(f"Administrator {admin}")
    if new_password:
        typer.echo(f"Password      {new_password}  (shown once)")
    serve_it = "licdesk console serve" + ("" if directory == _DEFAULT else f" --directory {directory}")
    typer.echo(f"Send installation and fingerprint to the issuer, who confirms them once. Then: {serve_it}")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8301,
    workers: Annotated[int, typer.Option(help="How many processes serve.", min=1)] = 1,
    directory: _Directory = _DEFAULT,
) -> None:
    """Serve License Management. Receipts are sent and scheduled licenses take over while it runs."""
    with _said_plainly():
        settings = _settings(directory)
        identity.open_console(settings)  # a clear sentence now instead of a traceback from the server
    os.environ |= {variable("console_dir"): str(directory), variable("mode"): settings.mode.value}
    command = serving.web("workflow.web.console.app:create_app", host, port, workers)
    os.execv(command[0], command)  # noqa: S606  (our own interpreter, no shell)


@app.command("install")
def install_file(
    file: Annotated[Path, typer.Argument(help="The .lic file.", exists=True, dir_okay=False)],
    acknowledge: Annotated[
        bool, typer.Option("--acknowledge", help="Accept that something granted now is taken away.")
    ] = False,
    by: _By = None,
    directory: _Directory = _DEFAULT,
    as_json: _Json = False,
) -> None:
    """Check a license file and activate it, or schedule it when it starts later. Exit status 1 when it is refused."""
    person = by or _this_person()
    with _said_plainly():
        console = identity.open_console(_settings(directory))
        outcome = _take_in(console, file, person)
        match outcome:
            case RefusedUpload():
                _say_refused(outcome, as_json)
            case uploads.AlreadyInstalled():
                _say_installed(outcome.row, "already_installed", as_json)
                return
            case _:
                _show_checks(outcome.checks, quiet=as_json)
        with transaction(console.engine) as session:
            situation = _look_first(session, console)
            verified = uploads.verify_new(session, console, situation, outcome.raw)
            lost = install.takes_away(situation, verified)
            if lost and not acknowledge:
                _say_losses(lost, as_json)
            row = install.activate(
                session,
                console,
                outcome.id,
                person,
                seen_generation=situation.generation,
                acknowledged=acknowledge,
                now=utc_now(),
                wall=wall_now(),
            )
        publishing.publish(console)
    _say_installed(row, "scheduled" if row.standing == Standing.SCHEDULED else "activated", as_json)


@app.command("revocations")
def install_revocations(
    file: Annotated[Path, typer.Argument(help="The .lrl file.", exists=True, dir_okay=False)],
    by: _By = None,
    directory: _Directory = _DEFAULT,
) -> None:
    """Put a revocation list in use: the licenses it names stop at once. Exit status 1 when it is refused."""
    person = by or _this_person()
    with _said_plainly():
        console = identity.open_console(_settings(directory))
        with file.open("rb") as stream:
            raw = stream.read(MAX_ENVELOPE + 1)
        with transaction(console.engine) as session:
            outcome = revocation_uploads.take_in(session, console, raw, file.name, person, utc_now(), wall_now())
        if isinstance(outcome, RefusedUpload):
            _say_refused(outcome, as_json=False)
        is_new = isinstance(outcome, RevocationUpload)
        if isinstance(outcome, RevocationUpload):
            with transaction(console.engine) as session:
                situation = _look_first(session, console)
                revocation_uploads.confirm(
                    session,
                    console,
                    outcome.id,
                    person,
                    seen_generation=situation.generation,
                    acknowledged=True,
                    now=utc_now(),
                    wall=wall_now(),
                )
            publishing.publish(console)
        with reading(console.engine) as session:
            situation = current.look(session, console, utc_now())
    listed = situation.revocations
    number = listed.sequence if listed else 0
    typer.echo(f"Revocation list number {number} {'counts from now on' if is_new else 'is in use already'}.")
    typer.echo(f"The license in force is {situation.state}.")


@app.command()
def show(directory: _Directory = _DEFAULT, as_json: _Json = False) -> None:
    """The license in force and the next one."""
    with _said_plainly():
        console = identity.open_console(_settings(directory))
        with reading(console.engine) as session:
            situation = current.look(session, console, utc_now())
    summary = current.summary(situation)
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
        return
    claims = situation.claims
    typer.echo(f"State         {situation.state}")
    if claims is not None:
        typer.echo(f"License ID    {claims.license_id}, version {claims.version}")
        typer.echo(f"Last day      {last_usable_day_text(claims)}")
        typer.echo(f"Modules       {', '.join(each.code for each in claims.modules)}")
        typer.echo(f"Model types   {', '.join(claims.model_types)}")
        for name, limit in claims.limits.items():
            typer.echo(f"{name.capitalize():<13} {'unlimited' if limit.max is None else f'{limit.max:,}'}")
    if situation.next is not None:
        row = situation.next.row
        typer.echo(f"Next          version {row.version}, from {current.rfc3339(row.valid_from)}")
    typer.echo(f"Generation    {situation.generation}")


@app.command("history")
def show_history(directory: _Directory = _DEFAULT, as_json: _Json = False) -> None:
    """Every license that was installed or refused, newest first."""
    with _said_plainly():
        console = identity.open_console(_settings(directory))
        with reading(console.engine) as session:
            rows = list(history.rows(session))
    if as_json:
        typer.echo(json.dumps([dict(zip(history.CSV_COLUMNS, row, strict=True)) for row in rows], indent=1))
        return
    shown = ("time", "result", "license_id", "version", "person", "code", "file")
    table = Table(*shown, box=None)
    for row in rows:
        facts = dict(zip(history.CSV_COLUMNS, row, strict=True))
        table.add_row(*(facts[name] for name in shown))
    Terminal().print(table)


@app.command()
def administrator(
    address: Annotated[str, typer.Argument(help="E-mail address.")],
    name: _Name = None,
    password_file: Annotated[
        Path | None, typer.Option(help="The password; one is made when not given.", dir_okay=False)
    ] = None,
    role: Annotated[ConsoleRole, typer.Option(help="Only administrators may open License Management.")] = (
        ConsoleRole.ADMINISTRATOR
    ),
    directory: _Directory = _DEFAULT,
) -> None:
    """Add an account, or give the existing one a new password and end its sessions."""
    with _said_plainly():
        console = identity.open_console(_settings(directory))
        given = _password(password_file)
        password = given or accounts.new_password()
        with transaction(console.engine) as session:
            added = accounts.ensure_account(session, address, password, role, utc_now(), name)
            if not added:
                accounts.set_password(session, address, password)
    typer.echo(f"{'Added' if added else 'New password for'} {address}.")
    if given is None:
        typer.echo(f"Password: {password}  (shown once)")


def _this_person() -> str:
    return f"{getpass.getuser()} (command line)"


def _settings(directory: Path) -> ConsoleSettings:
    settings = replace(load(ConsoleSettings), console_dir=directory)
    if variable("mode") in os.environ:
        return settings
    # The console of a one-command run is looked at as it runs there: a demo's trust root is no mistake then.
    state = StackState.read(Files(directory.resolve().parent).run)
    return replace(settings, mode=Mode(state.settings["mode"])) if state and "mode" in state.settings else settings


@contextmanager
def _said_plainly() -> Iterator[None]:
    """An expected refusal is a sentence and exit status 1, never a traceback."""
    try:
        yield
    except DeskError as error:
        typer.echo(f"{error.code}: {error}", err=True)
        raise typer.Exit(REFUSED) from error


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        typer.echo(f"{path} cannot be read: {error.strerror}.", err=True)
        raise typer.Exit(USAGE) from error


def _take_in(console: Console, file: Path, person: str) -> uploads.Outcome:
    with file.open("rb") as stream:
        raw = stream.read(MAX_ENVELOPE + 1)
    with transaction(console.engine) as session:
        if len(raw) > MAX_ENVELOPE:
            return uploads.refuse_too_large(session, file.name, file.stat().st_size, person, utc_now())
        return uploads.take_in(session, console, raw, file.name, person, utc_now(), wall_now())


def _look_first(session: Session, console: Console) -> Situation:
    """What a command decides against. Where no console runs, a scheduled license that has begun is written down here."""
    now = utc_now()
    install.take_over(session, console, now, wall_now())
    return current.look(session, console, now)


def _show_checks(checks: list[dict[str, Any]], *, quiet: bool) -> None:
    if quiet:
        return
    for each in checks:
        detail = f": {unpacked(each['detail'])}" if each["detail"] else ""
        typer.echo(f" {MARKS[each['result']]} {unpacked(each['title'])}{detail}")


def _say_refused(refused: RefusedUpload, as_json: bool) -> NoReturn:
    if as_json:
        facts = {"result": "refused", "code": refused.code, "message": refused.message, "reference": refused.id}
        checks = [each | {"title": unpacked(each["title"]), "detail": unpacked(each["detail"])} for each in refused.checks]
        typer.echo(json.dumps(facts | {"checks": checks, "contact": refused.contact}, indent=1))
    else:
        _show_checks(refused.checks, quiet=False)
        typer.echo(f"{refused.code}: {refused.message}", err=True)
        if refused.contact:
            typer.echo("Contact: " + ", ".join(each for each in refused.contact.values() if each), err=True)
        typer.echo(f"Nothing was changed. Reference {refused.id}", err=True)
    raise typer.Exit(REFUSED)


def _say_losses(lost: tuple[Loss, ...], as_json: bool) -> NoReturn:
    if as_json:
        facts = {"result": "not_acknowledged", "takes_away": [each.text for each in lost]}
        typer.echo(json.dumps(facts, indent=1))
    else:
        typer.echo("This license takes something away:", err=True)
        for each in lost:
            typer.echo(f" - {each.sentence}", err=True)
        typer.echo("Nothing was changed. If this is meant, repeat the command with --acknowledge.", err=True)
    raise typer.Exit(REFUSED)


def _say_installed(row: InstalledLicense, result: str, as_json: bool) -> None:
    if as_json:
        facts = {"result": result, "license_id": row.license_id, "version": row.version, "id": row.id}
        typer.echo(json.dumps(facts | {"payload_sha256": row.payload_sha256}, indent=1))
        return
    what = {"activated": "is active", "scheduled": "is scheduled", "already_installed": "is installed already"}[result]
    start = f" from {current.rfc3339(row.valid_from)}" if result == "scheduled" else ""
    typer.echo(f"{row.license_id} version {row.version} {what}{start}.")
