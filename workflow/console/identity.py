"""What this installation is: its id and key, whose platform and environment it belongs to, and whom it believes.

Tenant, environment and the pin of the first trust root live in a read-only file that no row and no variable overrides.
"""

import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from sqlalchemy import Engine
from sqlmodel import Session

from workflow.console import store
from workflow.database import transaction
from workflow.errors import Conflict, Invalid, Misconfigured
from workflow.license_file import Ed25519Signer, Environment, Purpose, TrustChain, TrustError, TrustRoot
from workflow.license_gate import Platform
from workflow.settings import ConsoleSettings, Mode

IDENTITY_FILE = "identity.json"
KEY_FILE = "installation-key.pem"
API_TOKEN_FILE = "api-token"  # noqa: S105  (the name of a file)
PUBLISHED = "published"


class NotInitialized(Misconfigured):
    """There is no console in this directory yet."""

    code = "console.not_initialized"


class AlreadyInitialized(Conflict):
    """This directory belongs to another installation."""

    code = "console.already_initialized"
    title = "This console is set up differently"


class DemoRootRefused(Misconfigured):
    """A demo root is made by a machine for trying things out; anybody may hold its keys."""

    code = "console.demo_root"


class RootRefused(Misconfigured):
    """The trust root is not the pinned one, or not a root at all."""

    code = "console.trust_root"


class KeyExposed(Misconfigured):
    """Others on this machine can read the installation's key."""

    code = "console.key_exposed"


@dataclass(frozen=True)
class Identity:
    """The read-only facts about an installation."""

    installation_id: str
    tenant_id: str
    environment: str
    label: str | None
    pin: str

    @property
    def platform(self) -> Platform:
        """What a license must be meant for to count here."""
        return Platform(self.pin, self.tenant_id, self.environment, self.installation_id)


@dataclass(frozen=True)
class Setup:
    """What `licdesk console init` is told. `trust_root` holds the bytes of root version 1."""

    tenant_id: str
    environment: str
    label: str | None
    pin: str
    trust_root: bytes
    company: str | None = None
    time_zone: str = "UTC"
    desk_url: str | None = None


@dataclass(frozen=True)
class Console:
    """An opened console: everything its services need besides a session, a person and the time."""

    directory: Path
    engine: Engine
    identity: Identity

    @cached_property
    def signer(self) -> Ed25519Signer:
        """The installation's own key. Raises KeyExposed when others can read the file."""
        return _load_key(self.directory / KEY_FILE)

    @property
    def published(self) -> Path:
        """The directory that the platform's processes read."""
        return self.directory / PUBLISHED

    def trust(self, session: Session) -> TrustRoot:
        """The newest trust root, the whole chain verified from the pin. Raises RootRefused."""
        return trust_root(store.roots_of(session), self.identity.pin)


def trust_root(raws: Iterable[bytes], pin: str) -> TrustRoot:
    """The newest root of a chain that starts at the pin. Raises RootRefused, saying what does not fit."""
    try:
        return TrustChain.load(tuple(raws), pin).current
    except TrustError as refused:
        raise RootRefused(str(refused)) from refused


def initialize(directory: Path, setup: Setup, mode: Mode, now: datetime) -> Console:
    """Makes the installation in `directory`, or opens the one that is there when it is the same.

    Raises AlreadyInitialized (naming what differs), RootRefused, DemoRootRefused or Invalid; nothing is written then.
    Interrupted half-way, the next call carries on with the id and key that exist.
    """
    _check(setup)
    root = trust_root([setup.trust_root], setup.pin)
    _require_fitting(root, mode)
    identity = _existing_identity(directory)
    if identity is None:
        identity = Identity(str(uuid4()), setup.tenant_id, setup.environment, setup.label, setup.pin.strip().lower())
    else:
        _require_same(identity, setup)
    directory.mkdir(parents=True, exist_ok=True)
    _write_once(directory / IDENTITY_FILE, json.dumps(asdict(identity), indent=1).encode() + b"\n", 0o444)
    _write_once(directory / KEY_FILE, _new_key(), 0o600)
    _write_once(directory / API_TOKEN_FILE, secrets.token_urlsafe(32).encode() + b"\n", 0o600)
    identity = _existing_identity(directory) or identity  # of whoever was quicker
    _require_same(identity, setup)
    console = Console(directory, store.open_database(directory), identity)
    with transaction(console.engine) as session:
        row = session.get(store.Installation, 1)
        if row is None:
            _record(session, console, setup, root, now)
        else:
            _require_same_details(row, setup)
    return console


def open_console(settings: ConsoleSettings) -> Console:
    """The console in `settings.console_dir`, its database brought up to date.

    Raises NotInitialized, RootRefused, DemoRootRefused, KeyExposed, or AlreadyInitialized when database and identity
    file are not of the same installation.
    """
    directory = settings.console_dir
    identity = _existing_identity(directory)
    if identity is None or not (directory / store.DATABASE_FILE).exists():
        raise NotInitialized(f"There is no console in {directory}. Run `licdesk console init` first.")
    console = Console(directory, store.open_database(directory), identity)
    with transaction(console.engine) as session:
        row = store.installation_of(session)
        _require_fitting(console.trust(session), settings.mode)
    stored = Identity(row.installation_id, row.tenant_id, row.environment, row.label, identity.pin)
    if stored != identity or row.keyid != console.signer.keyid:
        raise AlreadyInitialized(
            f"{IDENTITY_FILE}, {KEY_FILE} and the database in {directory} are not of one installation. "
            "Restore the three from the same backup."
        )
    return console


def _check(setup: Setup) -> None:
    if setup.environment not in set(Environment):
        raise Invalid(f"The environment is DEV, UAT or PROD, not {setup.environment!r}.")
    if not setup.tenant_id.strip():
        raise Invalid("Give the tenant ID, for example T-20817.")
    try:
        ZoneInfo(setup.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"The time zone {setup.time_zone!r} is not known. Write one like Asia/Shanghai.") from None
    if setup.desk_url is not None and not setup.desk_url.startswith(("https://", "http://")):
        raise Invalid("The desk's address starts with https://, for example https://licenses.example.")


def _require_fitting(root: TrustRoot, mode: Mode) -> None:
    if mode is Mode.PRODUCTION and root.purpose is Purpose.DEMO:
        raise DemoRootRefused(
            "This is a demo trust root and this console is for production. Ask the issuer for the production root, "
            "or set LICDESK_MODE=demo to try things out."
        )


def _existing_identity(directory: Path) -> Identity | None:
    try:
        return Identity(**json.loads((directory / IDENTITY_FILE).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise Misconfigured(f"{directory / IDENTITY_FILE} cannot be read. Restore it from the backup.") from error


def _require_same(identity: Identity, setup: Setup) -> None:
    given = {
        "tenant": (identity.tenant_id, setup.tenant_id),
        "environment": (identity.environment, setup.environment),
        "label": (identity.label, setup.label),
        "pin": (identity.pin, setup.pin.strip().lower()),
    }
    _refuse_differences(given)


def _require_same_details(row: store.Installation, setup: Setup) -> None:
    given = {
        "company": (row.company, setup.company or setup.tenant_id),
        "time zone": (row.time_zone, setup.time_zone),
        "desk URL": (row.desk_url, setup.desk_url),
    }
    _refuse_differences(given)


def _refuse_differences(given: dict[str, tuple[str | None, str | None]]) -> None:
    different = [
        f"{name} is {there or 'none'}, not {asked or 'none'}" for name, (there, asked) in given.items() if there != asked
    ]
    if different:
        raise AlreadyInitialized(
            f"This console was set up before and differs: {'; '.join(different)}. Nothing was changed. "
            "Repeat the first command exactly, or choose another directory."
        )


def _record(session: Session, console: Console, setup: Setup, root: TrustRoot, now: datetime) -> None:
    session.add(
        store.Installation(
            installation_id=console.identity.installation_id,
            keyid=console.signer.keyid,
            tenant_id=setup.tenant_id,
            environment=setup.environment,
            label=setup.label,
            company=setup.company or setup.tenant_id,
            time_zone=setup.time_zone,
            desk_url=setup.desk_url,
            created_at=now,
        )
    )
    session.add(store.StoredRoot(version=root.version, raw=root.raw, payload_sha256=root.payload_sha256, created_at=now))


def _write_once(path: Path, content: bytes, mode: int) -> None:
    """Creates a file that is complete from the moment it has its name; of two that do so at once the first one stands."""
    if path.exists():
        return
    waiting = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(waiting, path)
    finally:
        waiting.unlink()


def _new_key() -> bytes:
    # Not encrypted: a secret beside it would protect nothing. The mode keeps other users of the machine out.
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load_key(path: Path) -> Ed25519Signer:
    if path.stat().st_mode & 0o077:
        raise KeyExposed(f"{path} can be read by others. Run: chmod 600 {path}")
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise Misconfigured(f"{path} is not an Ed25519 key. Restore it from the backup.")
    return Ed25519Signer(key)


def fingerprint(keyid: str) -> str:
    """A key id in groups of four, for reading out on the phone."""
    return " ".join(keyid[start : start + 4] for start in range(0, len(keyid), 4))


def digest(raw: bytes) -> str:
    """SHA-256 in lowercase hexadecimal digits."""
    return sha256(raw).hexdigest()
