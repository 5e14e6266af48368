"""Which process may do what to which table: PostgreSQL roles and their grants. SQLite separates processes, not powers.

The owner of the tables is used for migrations and the operator's commands only. Nobody who serves owns a table, changes or
deletes an event, or writes a license; only the signer inserts licenses, and only the witness writes checkpoints and findings.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier, Literal
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import Engine, text

from workflow.db.tables import DeskTable
from workflow.errors import Misconfigured

PREFIX = "licdesk"


class PowersNeedPostgres(Misconfigured):
    """SQLite has no roles."""

    code = "database.no_roles"


class PasswordFileUnusable(Misconfigured):
    """The file with the passwords of the roles cannot be read, or lacks one."""

    code = "database.password_file_unusable"


class Power(StrEnum):
    """The roles, one for each kind of process that works on the database."""

    WEB = "web"
    RELAY = "relay"
    WORKER = "worker"
    SIGNER = "signer"
    WITNESS = "witness"


READ, ADD, CHANGE, ALL = "SELECT", "SELECT, INSERT", "SELECT, UPDATE", "SELECT, INSERT, UPDATE"
FORGET = "SELECT, INSERT, UPDATE, DELETE"
LICENSE_LIFE = "SELECT, UPDATE (standing, delivered_at, activated_at, superseded_by, next_reminder_at, nudged_days)"
"""What becomes of a license; not what it says."""

_W, _R, _G, _S, _X = Power.WEB, Power.RELAY, Power.WORKER, Power.SIGNER, Power.WITNESS
_BUSINESS = {_W: ALL, _G: READ, _S: READ}
_WRITTEN_ONCE = {_W: ADD, _G: READ, _S: READ}
_LOGIN = {_W: ALL}

GRANTS: Mapping[str, Mapping[Power, str]] = {
    # History: everybody who acts adds to it, nobody changes it.
    "event": {_W: ADD, _G: ADD, _S: ADD, _X: READ},
    "event_stream": {_W: ALL, _G: ALL, _S: ALL, _X: READ},
    "checkpoint": {_W: READ, _X: ADD},
    "finding": {_G: "SELECT, UPDATE (told_in)", _X: ADD},
    # What is signed, and what the signer believes.
    "license": {_W: LICENSE_LIFE, _G: LICENSE_LIFE, _S: "SELECT, INSERT", _X: READ},
    "application": {_W: ALL, _G: CHANGE, _S: CHANGE, _X: READ},
    "revision": _WRITTEN_ONCE,
    "vote": _WRITTEN_ONCE,
    "policy": _WRITTEN_ONCE,
    "requirement": {_W: ADD, _G: ADD, _S: READ},
    "escalation": {_W: ADD, _G: ALL, _S: READ},
    "delegation": _BUSINESS,
    "revocation": _BUSINESS,
    "revocation_list": {_W: READ, _G: READ, _S: READ},
    # Work.
    "job": {_W: ALL, _R: CHANGE, _G: ALL, _S: ALL},
    "heartbeat": {_W: READ, _R: FORGET, _G: FORGET, _S: FORGET, _X: FORGET},
    "delivery": {_W: CHANGE, _G: ALL},
    "attempt": {_W: READ, _G: ADD},
    "bounce": {_W: READ, _G: ADD},
    "folded_letter": {_W: READ, _G: ADD},
    "reminder": {_W: CHANGE, _G: ALL},
    "portal_link": {_W: CHANGE, _G: ALL},
    "portal_code": {_W: ALL, _G: CHANGE},
    "installation": _BUSINESS,
    "receipt": _BUSINESS,
    # Customers.
    "counter": {_W: ALL},
    "tenant": _BUSINESS,
    "tenant_word": {_W: ADD},
    "environment": _BUSINESS,
    # The mailer keeps who is sent to as they are until its mark is written; a lock asks for the right to write one column.
    "recipient": {_W: ALL, _G: "SELECT, UPDATE (created_at)", _S: READ},
    # People, and how they sign in.
    "person": _BUSINESS,
    "role_grant": _BUSINESS,
    "api_token": _LOGIN,
    "second_factor": {_W: FORGET},
    "recovery_code": {_W: FORGET},
    "one_time_link": {_W: ALL, _G: CHANGE},
    "session": {_W: FORGET, _G: "SELECT, DELETE"},
    "throttle": {_W: FORGET, _G: FORGET},
    "idempotency_key": {_W: FORGET, _G: "SELECT, DELETE"},
}
"""Each table by name. One that is missing here is nobody's but its owner's: a test asks for its line."""


def role_name(power: Power, prefix: str = PREFIX) -> str:
    """The name of a role in the database, such as licdesk_signer."""
    return f"{prefix}_{power.value}"


def establish(engine: Engine, *, prefix: str = PREFIX, passwords: Mapping[str, str] | None = None) -> None:
    """Makes the roles that are missing and gives each exactly what the table says, in one transaction; repeat it at will.

    `passwords` are by role name. Run it as the owner of the tables, who may create roles. Raises PowersNeedPostgres.
    """
    if engine.dialect.name != "postgresql":
        raise PowersNeedPostgres("Roles come with PostgreSQL. On SQLite whoever can write the file can write anything in it.")
    with engine.begin() as transaction:
        connection: Connection[object] = transaction.connection.driver_connection  # type: ignore[assignment]  # SQLAlchemy cannot say
        for power in Power:
            _make(connection, role_name(power, prefix), (passwords or {}).get(role_name(power, prefix)))
            for statement in _grants(connection, power, prefix):
                connection.execute(statement)


def differences(engine: Engine, *, prefix: str = PREFIX) -> list[str] | None:
    """What the roles may beyond or short of the table, in words; None when there are no such roles. Anybody may ask."""
    with engine.connect() as connection:
        names = [role_name(power, prefix) for power in Power]
        there = set(
            connection.execute(text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:names)"), {"names": names}).scalars()
        )
        if not there:
            return None
        wrong = [f"{name} is missing" for name in names if name not in there]
        for power in Power:
            name = role_name(power, prefix)
            if name in there:
                wrong += [f"{name} {each}" for each in _differences_of(connection, power, name)]
    return wrong


def _differences_of(connection: SqlConnection, power: Power, name: str) -> Iterator[str]:
    for table in DeskTable.metadata.sorted_tables:
        granted = GRANTS.get(table.name, {}).get(power, "")
        wanted = {each.strip() for each in granted.partition("(")[0].split(",") if each.strip()}
        if "(" in granted:
            wanted.discard("UPDATE")  # of some columns only
        for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"):
            has = connection.execute(
                text("SELECT has_table_privilege(:role, :table, :privilege)"),
                {"role": name, "table": f'public."{table.name}"', "privilege": privilege},
            ).scalar_one()
            if has != (privilege in wanted):
                yield f"{'may' if has else 'may not'} {privilege} {table.name}"


def passwords_in(path: Path, prefix: str = PREFIX) -> dict[str, str]:
    """The roles' passwords in a file of libpq's kind (host:port:database:user:password). Raises PasswordFileUnusable."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise PasswordFileUnusable(f"The password file {path} cannot be read: {error}.") from error
    found: dict[str, str] = {}
    for line in lines:
        parts = line.split(":", 4)  # our own names and passwords need no escapes
        if len(parts) == 5:
            found[parts[3]] = parts[4]
    if missing := [role_name(power, prefix) for power in Power if role_name(power, prefix) not in found]:
        raise PasswordFileUnusable(f"The password file {path} has no line for {', '.join(missing)}.")
    return found


def _make(connection: "Connection[object]", role: str, password: str | None) -> None:
    there = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    options = SQL("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")
    if not there:
        connection.execute(SQL("CREATE ROLE {} {}").format(Identifier(role), options))
    if password is not None:
        # What the server would compute is computed here: the password itself reaches no statement and no log.
        verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
        connection.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(role), Literal(verifier)))


def _grants(connection: "Connection[object]", power: Power, prefix: str) -> Iterator[Composed]:
    role = Identifier(role_name(power, prefix))
    database = Identifier(connection.info.dbname)
    yield SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(role)
    yield SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, role)
    yield SQL("GRANT USAGE ON SCHEMA public TO {}").format(role)
    for table in DeskTable.metadata.sorted_tables:
        granted = GRANTS.get(table.name, {}).get(power)
        if granted is not None:
            yield SQL("GRANT {} ON TABLE {} TO {}").format(SQL(granted), Identifier(table.name), role)
