"""`licdesk demo seed` and `demo confirm`: the demo's people, customer and recipients, and the trust in its console."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import Session

from workflow.cli import cast
from workflow.cli.demo_tokens import SETUP, write_tokens
from workflow.cli.on_database import said_plainly
from workflow.console.identity import open_console
from workflow.database import create_engine, transaction
from workflow.db.queries import customers as found
from workflow.db.queries import people
from workflow.db.tables import Tenant
from workflow.domain.delivery import Channel, Trust
from workflow.domain.roles import Actor, Role
from workflow.domain.terms import EnvironmentName
from workflow.errors import Misconfigured
from workflow.mail.demo_keys import file_stem
from workflow.openpgp_keys import is_installed
from workflow.services import accounts, customers, receipts, recipients
from workflow.services.desk import Desk, desk_from
from workflow.settings import ConsoleSettings, Database, Mode, load
from workflow.times import utc_now, wall_now

app = typer.Typer(help="The demo's people, customer and clock.", no_args_is_help=True)


class DemoOnly(Misconfigured):
    """Accounts with a known password have no place in production."""

    code = "demo.demo_only"


@app.command("seed")
@said_plainly()
def seed(
    password_file: Annotated[Path, typer.Option(help="Holds the password of every demo account.")],
    certificates: Annotated[Path, typer.Option(help="The recipients' certificates and keys, ADDRESS.pem or .asc.")],
) -> None:
    """Make the demo's accounts, customer and recipients; those that exist stay as they are."""
    settings = _demo_settings()
    desk = desk_from(settings)
    engine = create_engine(settings.database_url)
    password = password_file.read_text(encoding="ascii").strip()
    with transaction(engine) as session:
        now = utc_now()
        for each in cast.STAFF:
            if people.find_person_by_email(session, each.email) is None:
                accounts.add_person(
                    session,
                    SETUP,
                    email=each.email,
                    name=each.name,
                    roles=[each.role],
                    password=password,
                    now=now,
                    time_zone=cast.TIME_ZONE,
                )
        tenant = _customer(session, desk, certificates, now)
        if people.find_person_by_email(session, cast.ADMINISTRATOR.email) is None:
            accounts.add_person(
                session,
                SETUP,
                email=cast.ADMINISTRATOR.email,
                name=cast.ADMINISTRATOR.name,
                roles=[Role.ADMINISTRATOR],
                password=password,
                now=now,
                tenant=tenant.id,
                time_zone=cast.TIME_ZONE,
            )
        write_tokens(session, settings.data_dir)
    engine.dispose()
    typer.echo(f"{cast.COMPANY} and {len(cast.STAFF) + 1} accounts are there.")


@app.command("tokens")
@said_plainly()
def tokens() -> None:
    """Write the demo people's API tokens below the data directory again, where they are missing or have ended."""
    settings = _demo_settings()
    engine = create_engine(settings.database_url)
    with transaction(engine) as session:
        write_tokens(session, settings.data_dir)
    engine.dispose()
    typer.echo(f"The tokens are in {settings.data_dir / 'secrets'}.")


@app.command("confirm")
@said_plainly()
def confirm(console: Annotated[Path, typer.Option(help="The console's directory.")]) -> None:
    """Confirm the demo's own console at the desk: what an operator does once, after comparing fingerprints."""
    settings = _demo_settings()
    opened = open_console(ConsoleSettings(mode=settings.mode, console_dir=console))
    identity, keyid = opened.identity, opened.signer.keyid
    opened.engine.dispose()
    engine = create_engine(settings.database_url)
    with transaction(engine) as session:
        operator = _operator(session)
        tenant = found.get_tenant(session, identity.tenant_id)
        environment = found.find_environment(session, tenant.id, identity.environment, identity.label or "")
        if environment is None:
            raise typer.BadParameter(f"{tenant.company} has no {identity.environment}.")
        receipts.expect_installation(session, operator, environment.id, identity.installation_id, keyid, utc_now())
    engine.dispose()
    typer.echo(f"Installation {identity.installation_id} is confirmed.")


def _customer(session: Session, desk: Desk, certificates: Path, now: datetime) -> Tenant:
    liaison = _actor(session, cast.LIAISON.email)
    tenant = found.find_tenant(session, cast.TENANT_ID)
    if tenant is None:
        tenant = customers.add_tenant(
            session, liaison, tenant_id=cast.TENANT_ID, company=cast.COMPANY, time_zone=cast.TIME_ZONE, now=now
        )
    for name in EnvironmentName:
        customers.add_environment(session, liaison, tenant, name, "", now)
    for each in cast.RECIPIENTS:
        if found.find_recipient(session, tenant.id, each.email) is None:
            stem = certificates / file_stem(each.email)
            made = recipients.add_recipient(
                session,
                liaison,
                tenant,
                name=each.name,
                address=each.email,
                key=_key_of(each.channel, stem),
                trust=desk.mail_trust,
                now=now,
                wall=wall_now(),
            )
            if made.trust == Trust.PINNED:
                session.flush()  # it is looked up
                recipients.confirm_key(session, _operator(session), made.id, made.fingerprint or "", now)
    return tenant


def _key_of(channel: Channel, stem: Path) -> bytes | None:
    if channel is Channel.SMIME:
        return Path(f"{stem}.pem").read_bytes()
    return Path(f"{stem}.asc").read_bytes() if channel is Channel.OPENPGP and is_installed() else None


def _operator(session: Session) -> Actor:
    return _actor(session, cast.OPERATOR.email)


def _actor(session: Session, email: str) -> Actor:
    person = people.find_person_by_email(session, email)
    assert person is not None, "seeded before"
    return accounts.actor_of(session, person, utc_now(), channel="cli")


def _demo_settings() -> Database:
    settings = load(Database)
    if settings.mode is not Mode.DEMO:
        raise DemoOnly("Demo accounts have a known password. Set LICDESK_MODE=demo, or use `licdesk users add`.")
    return settings
