"""`licdesk apply`, `applications`, `show`, `approve` and the like: the desk's API on the command line, with your token."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workflow.cli.application_file import ApplicationFile, FileUnusable, read_application, reason
from workflow.cli.desk_client import DeskClient, RefusedByDesk
from workflow.cli.telling import event_words
from workflow.domain.application import STANDING_WORDS, STATUS_WORDS, Standing, Status
from workflow.domain.delivery import CHANNEL_WORDS, DELIVERY_WORDS, Channel, DeliveryState
from workflow.domain.terms import ON_EXPIRY_WORDS
from workflow.errors import DeskError, Invalid, Misconfigured

app = typer.Typer()

REFUSED = 1
HERE = "http://127.0.0.1:8300"
MOST_SHOWN = 50

Url = Annotated[str, typer.Option("--url", envvar="LICDESK_URL", help="The desk's address.")]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", envvar="LICDESK_TOKEN_FILE", help="Holds your API token; else LICDESK_TOKEN.", dir_okay=False),
]
Token = Annotated[str | None, typer.Option("--token", envvar="LICDESK_TOKEN", hidden=True, show_envvar=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the desk's answer as JSON.")]
Number = Annotated[str, typer.Argument(help="The application's number, such as APP-2026-0142.")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="What the liaison should know.")]
ActingFor = Annotated[
    str | None, typer.Option("--for", help="The colleague out of office for whom you decide, by e-mail address.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask again.")]


class NoToken(Misconfigured):
    """The desk must know for whom it works."""

    code = "client.no_token"


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="The application as TOML; see examples/applications.", dir_okay=False)],
    draft: Annotated[bool, typer.Option("--draft", help="Keep it as a draft instead of submitting it.")] = False,
    url: Url = HERE,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Apply for a license. A customer and recipients that the file describes are added when the desk does not know them."""
    with desk_at(url, token, token_file) as desk:
        stated = read_application(file, desk.now())
        for added in add_missing(desk, stated):
            typer.echo(added, err=True)  # standard output is for the answer, which a program may read
        made = desk.post("/applications" + ("?submit=false" if draft else ""), stated.body)
        say(made, as_json, _one_line)


@app.command()
def applications(
    status: Annotated[str | None, typer.Option(help="Only those in this status.")] = None,
    search: Annotated[str | None, typer.Option(help="Part of the number or of the company's name.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, last changed first.", min=1, max=200)] = MOST_SHOWN,
    url: Url = HERE,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the applications you may see."""
    query: dict[str, str | int] = {"limit": limit}
    query |= {name: value for name, value in (("status", status), ("search", search)) if value}
    with desk_at(url, token, token_file) as desk:
        say(desk.get("/applications", **query), as_json, _list)


@app.command()
def show(
    number: Number,
    history: Annotated[bool, typer.Option("--history", help="Show what happened, too.")] = False,
    url: Url = HERE,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show one application: what was asked for, how far it is, how the file gets on."""
    with desk_at(url, token, token_file) as desk:
        found = desk.get(f"/applications/{number}")
        found["deliveries"] = desk.get(f"/applications/{number}/deliveries")["items"]
        if history:
            found["events"] = desk.get(f"/applications/{number}/events")["items"]
        say(found, as_json, _whole)


@app.command()
def approve(
    number: Number,
    comment: Comment = "",
    acting_for: ActingFor = None,
    yes: Yes = False,
    url: Url = HERE,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Approve an application, after having seen what it asks for."""
    with desk_at(url, token, token_file) as desk:
        found = desk.get(f"/applications/{number}")
        if not yes:
            _whole(found)
            typer.confirm("Approve this?", abort=True)
        _vote(desk, found, "approve", comment, acting_for, as_json)


@app.command()
def reject(
    number: Number,
    comment: Annotated[str, typer.Option("--comment", "-m", prompt="Why", help="Why; the liaison reads it.")],
    acting_for: ActingFor = None,
    url: Url = HERE,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Reject an application. That closes it."""
    with desk_at(url, token, token_file) as desk:
        _vote(desk, desk.get(f"/applications/{number}"), "reject", comment, acting_for, as_json)


@app.command("request-changes")
def request_changes(
    number: Number,
    comment: Annotated[str, typer.Option("--comment", "-m", prompt="What to change", help="What to change.")],
    acting_for: ActingFor = None,
    url: Url = HERE,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Send an application back to its liaison."""
    with desk_at(url, token, token_file) as desk:
        _vote(desk, desk.get(f"/applications/{number}"), "request_changes", comment, acting_for, as_json)


@app.command()
def withdraw(
    number: Number,
    comment: Comment = "",
    url: Url = HERE,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Take your own application back, before anything is issued."""
    with desk_at(url, token, token_file) as desk:
        seen = desk.get(f"/applications/{number}")["version"]
        say(desk.post(f"/applications/{number}/withdraw", {"comment": comment}, seen=seen), as_json, _one_line)


@app.command()
def renew(
    license_id: Annotated[str, typer.Argument(help="The License ID, such as PROD-7Q2MX-4TBK9-HZ0CE.")],
    first_day: Annotated[str | None, typer.Option(help="With --last-day: submit at once.")] = None,
    last_day: Annotated[str | None, typer.Option(help="The last usable day, such as 2028-03-31.")] = None,
    note: Annotated[str, typer.Option(help="For the approvers.")] = "",
    url: Url = HERE,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Start the renewal of a license with everything filled in; without days it stays a draft."""
    days = {name: value for name, value in (("first_day", first_day), ("last_day", last_day)) if value}
    with desk_at(url, token, token_file) as desk:
        say(desk.post("/renewals", {"license_id": license_id, "note": note, **days}), as_json, _one_line)


def add_missing(desk: DeskClient, stated: ApplicationFile) -> Iterator[str]:
    """Adds the customer and the recipients that a file describes and the desk does not know; says what was added."""
    tenant_id = stated.body.get("tenant_id")
    if not isinstance(tenant_id, str) or not (stated.customer or stated.recipients):
        return
    try:
        known = desk.get(f"/customers/{tenant_id}")
    except RefusedByDesk as refused:
        if refused.status != 404 or not stated.customer:
            raise
        known = desk.post("/customers", stated.customer)
        yield f"Added the customer {known['company']} ({tenant_id})."
    addresses = {each["address"] for each in known["recipients"]}
    for each in stated.recipients:
        if str(each.get("address", "")).lower() not in addresses:
            added = desk.post(f"/customers/{tenant_id}/recipients", each)
            yield f"Added the recipient {added['name']} <{added['address']}>, reached by {added['channel']}."


@contextmanager
def desk_at(url: str, token: str | None, token_file: Path | None) -> Iterator[DeskClient]:
    """The desk with the person's token. An expected refusal is sentences and exit status 1, never a traceback."""
    try:
        with DeskClient(url, _token(token, token_file)) as desk:
            yield desk
    except RefusedByDesk as refused:
        typer.echo(f"{refused.desk_code}: {refused}", err=True)
        for each in refused.fields:
            typer.echo(f"  {each.field}: {each.detail}", err=True)
        raise typer.Exit(REFUSED) from refused
    except DeskError as error:
        typer.echo(f"{error.code}: {error}", err=True)
        if isinstance(error, Invalid) and not isinstance(error, FileUnusable):
            for problem in error.problems:
                typer.echo(f"  {problem.field}: {problem.message}", err=True)
        raise typer.Exit(REFUSED) from error


def _token(token: str | None, token_file: Path | None) -> str:
    if token_file is not None:
        try:
            return token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NoToken(f"The token file {token_file} cannot be read: {reason(error)}.") from error
    if not token:
        raise NoToken(
            "Set LICDESK_TOKEN, or name a file with --token-file. Your profile page makes tokens, and so does: "
            "licdesk users token. `up` has written some for its people: --token-file var/secrets/token-liaison"
        )
    return token.strip()


def _vote(desk: DeskClient, found: Mapping[str, Any], choice: str, comment: str, acting_for: str | None, as_json: bool) -> None:
    body = {"choice": choice, "revision": max(1, found["revision"]), "comment": comment, "on_behalf_of": acting_for}
    answer = desk.post(f"/applications/{found['number']}/votes", body, seen=found["version"])

    def said(answer: Mapping[str, Any]) -> None:
        _one_line(answer["application"])
        for each in answer["missing"]:
            _terminal().print(f"Still needed: {escape(each)}")

    say(answer, as_json, said)


def say(answer: Mapping[str, Any], as_json: bool, in_words: Callable[[Mapping[str, Any]], None]) -> None:
    if as_json:
        typer.echo(json.dumps(answer, indent=1, ensure_ascii=False))
    else:
        in_words(answer)


def _terminal() -> Console:
    return Console(highlight=False)


def _status(status: str) -> str:
    return STATUS_WORDS[Status(status)].lower()


def _delivery(each: Mapping[str, Any]) -> str:
    if each["channel"] is None:
        return f"being prepared {each['reply'] or ''}".strip()
    said = f"{CHANNEL_WORDS[Channel(each['channel'])]}, {DELIVERY_WORDS[DeliveryState(each['state'])]}"
    return f"{said}: {each['reply']}" if each["reply"] else said


def _one_line(found: Mapping[str, Any]) -> None:
    _terminal().print(
        f"[bold]{found['number']}[/] is [bold]{_status(found['status'])}[/].  {found['links']['page']}", soft_wrap=True
    )


def _list(answer: Mapping[str, Any]) -> None:
    table = Table(box=None)
    for name in ("Application", "Status", "Customer", "Type", "Owner", "Updated (UTC)"):
        whole = name in ("Application", "Status", "Updated (UTC)")  # a number cut short cannot be shown or approved
        table.add_column(name, no_wrap=whole, overflow="fold")
    for row in answer["items"]:
        customer = f"{row['company']} {row['environment']}".rstrip()
        cells = [row["number"], STATUS_WORDS[Status(row["status"])], customer, row["request"], row["owner"]]
        table.add_row(*map(escape, cells), row["updated_at"][:16].replace("T", " "))
    _terminal().print(table if answer["items"] else "There is none.")
    if answer["next"]:
        _terminal().print("[dim]There are more; see --limit and --search.[/]")


def _whole(found: Mapping[str, Any]) -> None:
    terms = found["terms"]
    validity, limits = terms.get("validity") or {}, terms.get("limits") or {}
    rows = {
        "Application": f"{found['number']}, {_status(found['status'])}, revision {found['revision']}",
        "Customer": f"{found['company']} ({found['tenant_id']}), {found['environment']} {terms.get('label') or ''}".strip(),
        "License ID": found["license_id"] or "",
        "Request": f"{found['request']}, {terms.get('kind', 'standard')}",
        "Validity": "{} to {}, {}".format(*(validity.get(each, "?") for each in ("first_day", "last_day", "time_zone"))),
        "Limits": f"{limits.get('agents', '?')} agents, {limits.get('users', '?')} users",
        "Modules": ", ".join(terms.get("modules") or ()),
        "Model types": ", ".join(terms.get("model_types") or ()),
        "Restrictions": ", ".join(terms.get("restrictions") or ()) or "none",
        "Recipients": ", ".join(terms.get("recipients") or ()),
        "Note": terms.get("note") or "",
        "Owner": found["owner"],
        "Attention": found["attention"] or "",
    }
    if found["defaults"]:
        default = found["defaults"]
        rows["By default"] = f"{default['grace_days']} days of grace, then: {ON_EXPIRY_WORDS[default['on_expiry']]}"
    for each in found["requirements"]:
        rows[each["text"]] = ", ".join(each["approved_by"]) or "waiting"
    if found["license"]:
        rows["License"] = (
            f"version {found['license']['version']}, {STANDING_WORDS[Standing(found['license']['standing'])].lower()}"
        )
    for each in found.get("deliveries", ()):
        rows[f"To {each['address']}"] = _delivery(each)
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        if value:
            table.add_row(f"[dim]{escape(name)}[/]", escape(value))
    _terminal().print(table)
    for event in found.get("events", ()):
        _terminal().print(
            f"[dim]{event['at'][:19].replace('T', ' ')}[/]  {event_words(event['type']):32}  {escape(event['actor'])}"
        )
