"""`licdesk recipients`: who receives a customer's license files, and the keys they are encrypted to. Works on the database."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlmodel import Session

from workflow.cli.on_database import command_line, looking, said_plainly, writing
from workflow.db.queries import customers, directory
from workflow.db.tables import Recipient, Tenant
from workflow.domain.delivery import CHANNEL_WORDS, Trust
from workflow.errors import Invalid, NotFound
from workflow.openpgp_keys import LARGEST_FILE
from workflow.recipient_keys import MailTrust, in_groups
from workflow.services import recipients
from workflow.services.mail_trust import mail_trust_from
from workflow.services.reaching import Reach, reach_of
from workflow.settings import Database, load
from workflow.templating import day
from workflow.times import utc_now, wall_now

app = typer.Typer(help="Who receives a customer's license files, and their keys.", no_args_is_help=True)

NOT_IN_ORDER = 1
PAGE = 500

TenantId = Annotated[str, typer.Argument(help="The customer, by tenant ID.")]
Address = Annotated[str, typer.Argument(help="The recipient's e-mail address.")]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key", help="Certificate (PEM, DER, PKCS#7) or OpenPGP key; a link is sent without one.", dir_okay=False),
]


@dataclass(frozen=True)
class Row:
    """One recipient, and how a file would reach them now."""

    tenant: str
    recipient: Recipient
    reach: Reach

    @property
    def in_order(self) -> bool:
        """Whether the key on file, if there is one, is used."""
        return self.recipient.key is None or self.reach.encrypted

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "tenant_id": self.tenant,
            "name": self.recipient.name,
            "address": self.recipient.address,
            "channel": self.reach.channel.value,
            "fingerprint": self.recipient.fingerprint,
            "trust": self.recipient.trust,
            "confirmed": self.recipient.confirmed_at is not None or self.recipient.trust == Trust.CA.value,
            "key_ends_at": self.recipient.key_ends_at.isoformat() if self.recipient.key_ends_at else None,
            "why": self.reach.why or None,
        }


@app.command("list")
def list_recipients(tenant_id: TenantId, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show a customer's recipients and how a file reaches each."""
    with said_plainly():
        trust = mail_trust_from(load(Database))
    with looking() as session:
        _show(_rows(session, customers.get_tenant(session, tenant_id), trust), as_json)


@app.command()
def add(
    tenant_id: TenantId,
    address: Address,
    name: Annotated[str, typer.Option(help="As letters call them.")],
    key: KeyFile = None,
    language: Annotated[str, typer.Option(help="Of their letters: en or zh.")] = "en",
    backup: Annotated[bool, typer.Option("--backup", help="Hears when mail to the others comes back.")] = False,
) -> None:
    """Add a recipient. A key that no trusted authority vouches for waits for `confirm`."""
    with said_plainly():
        trust, data = mail_trust_from(load(Database)), _read(key) if key else None
    with writing() as session:
        tenant = customers.get_tenant(session, tenant_id)
        made = recipients.add_recipient(
            session,
            command_line(),
            tenant,
            name=name,
            address=address,
            key=data,
            trust=trust,
            now=utc_now(),
            wall=wall_now(),
            language=language,
            backup=backup,
        )
        said = _said(made, trust)
    typer.echo(f"Added {said}")


@app.command("certificate")
def put_key(
    tenant_id: TenantId, address: Address, file: Annotated[Path, typer.Argument(help="The new key.", dir_okay=False)]
) -> None:
    """Put another certificate or OpenPGP key on file. What was approved before waits until somebody else confirms it."""
    with said_plainly():
        trust, data = mail_trust_from(load(Database)), _read(file)
    with writing() as session:
        found = _get(session, tenant_id, address)
        changed = recipients.change_key(session, command_line(), found.id, data, trust=trust, now=utc_now(), wall=wall_now())
        said = _said(changed, trust)
    typer.echo(f"The key is on file: {said}")


@app.command()
def confirm(
    tenant_id: TenantId,
    address: Address,
    fingerprint: Annotated[str, typer.Argument(help="As the key's owner read it to you; blanks and case do not count.")],
) -> None:
    """Say that a key's fingerprint was compared with its owner: from now on files are encrypted to it."""
    with writing() as session:
        found = _get(session, tenant_id, address)
        recipients.confirm_key(session, command_line(), found.id, fingerprint, utc_now())
    typer.echo(f"Files to {address} are encrypted to this key from now on.")


@app.command()
def check(
    tenant_id: Annotated[str | None, typer.Argument(help="One customer, by tenant ID; all when not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge every key on file as a delivery would now. Exit status 1 when one would not be used."""
    with said_plainly():
        trust = mail_trust_from(load(Database))
    with looking() as session:
        tenants = [customers.get_tenant(session, tenant_id)] if tenant_id else _all_tenants(session)
        rows = [row for tenant in tenants for row in _rows(session, tenant, trust)]
        _show(rows, as_json)
        unused = [row for row in rows if not row.in_order]
    if unused:
        raise typer.Exit(NOT_IN_ORDER)


def _all_tenants(session: Session) -> Iterator[Tenant]:
    after = None
    while page := directory.search_tenants(session, after=after, limit=PAGE)[:PAGE]:
        yield from page
        after = (page[-1].company, page[-1].id)


def _rows(session: Session, tenant: Tenant, trust: MailTrust) -> list[Row]:
    now = wall_now()
    found = customers.recipients_of_tenant(session, tenant.id)
    return [Row(tenant.tenant_id, each, reach_of(each, now, trust)) for each in found]


def _show(rows: list[Row], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([row.told() for row in rows], indent=1, ensure_ascii=False))
        return
    table = Table("Customer", "Recipient", "Address", "Reached by", "Key ends", box=None)
    for row in rows:
        ends = day(row.recipient.key_ends_at) if row.recipient.key_ends_at else ""
        table.add_row(row.tenant, escape(row.recipient.name), row.recipient.address, CHANNEL_WORDS[row.reach.channel], ends)
    Console().print(table)
    for row in rows:
        if not row.in_order:
            typer.echo(f"{row.recipient.address}: {row.reach.why}")


def _said(recipient: Recipient, trust: MailTrust) -> str:
    reach = reach_of(recipient, wall_now(), trust)
    words = f"{recipient.name} <{recipient.address}>: {CHANNEL_WORDS[reach.channel]}."
    if recipient.fingerprint and reach.awaits_confirmation:
        words += (
            "\nCompare this fingerprint with the key's owner, then run licdesk recipients confirm:\n"
            f"{in_groups(recipient.fingerprint)}"
        )
    return words


def _get(session: Session, tenant_id: str, address: str) -> Recipient:
    tenant = customers.get_tenant(session, tenant_id)
    found = customers.find_recipient(session, tenant.id, address.strip().lower())
    if found is None or found.removed_at is not None:
        raise NotFound(f"{tenant.company} has no recipient {address}. See: licdesk recipients list {tenant_id}")
    return found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Invalid(f"The file {path} cannot be read: {error.strerror}.") from error
