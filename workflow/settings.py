"""Frozen settings per process role, read once from the environment.

A secret may come from `NAME_FILE`; a placeholder is refused. Every variable starts with `LICDESK_`. `load(Role)`
reads what that role takes and nothing else, so a process never holds a secret it has no use for.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import SecretStr

from workflow.errors import Misconfigured
from workflow.times import CLOCK_FILE_VARIABLE

PREFIX = "LICDESK_"
PLACEHOLDERS = frozenset({"changeme", "change-me", "secret", "password", "placeholder", "todo", "example"})
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""What never leaves this machine may travel in clear."""
DATA_DIR = Path("var")
DATABASE_NAME = "desk.sqlite3"


class SettingMissing(Misconfigured):
    """A variable without a default is not set."""

    code = "settings.missing"


class SettingUnusable(Misconfigured):
    """A variable is set to something that cannot be used."""

    code = "settings.unusable"


class Mode(StrEnum):
    """Inbox, demo accounts and time travel exist in the demo only."""

    PRODUCTION = "production"
    DEMO = "demo"


class LogFormat(StrEnum):
    """How a process writes its log."""

    TEXT = "text"
    JSON = "json"


class InDoubt(StrEnum):
    """What becomes of a message that was handed over and not answered, before anything is sent a second time."""

    VERIFY = "verify"
    """It is looked up where arrived mail is kept; not there, the same bytes are sent again."""
    RESEND = "resend"
    """The same bytes are sent again, under the same Message-ID."""
    HOLD = "hold"
    """It waits for an operator."""


@dataclass(frozen=True)
class Common:
    """What every role knows."""

    mode: Mode = Mode.PRODUCTION
    """production or demo"""
    data_dir: Path = DATA_DIR
    """where this installation keeps its files; what is below it by default moves with it"""
    log_format: LogFormat = LogFormat.TEXT
    """text, or json: one object a line, with the ids of request, job and event"""


@dataclass(frozen=True)
class Database(Common):
    """Roles that work on the desk's database."""

    database_url: str = f"sqlite:///{DATA_DIR}/{DATABASE_NAME}"
    """SQLAlchemy URL: sqlite:///PATH or postgresql+psycopg://…"""
    catalogue: Path | None = None
    """catalogue.toml: modules, model types, restrictions; the shipped one when not set"""
    policy_file: Path | None = None
    """policy.toml: who must approve what; the shipped one (one approver) when not set"""
    public_url: str = "http://127.0.0.1:8300"
    """the desk's address in links of mails and pages"""
    lease_seconds: int = 300
    """how long a claimed job belongs to its worker"""
    reminder_days: tuple[int, ...] = (30, 14, 7, 1, 0)
    """reminder steps, days before the last usable day; 7 is always among them"""
    reminder_hour: int = 9
    """local hour of a reminder in the license's zone"""
    issuer_name: str = "SERVICEME"
    """who issues, as written into each license"""
    contact_name: str = "SERVICEME license desk"
    """the contact written into each license: shown where a license is refused or ended"""
    contact_url: str = ""
    contact_mailbox: str = "licensing@serviceme.example"
    contact_phone: str = ""
    grace_days: int = 14
    """named default: days after the last usable day in which nothing stops"""
    on_expiry: str = "block_new"
    """named default: warn, block_new or read_only after grace"""
    mail_ca: Path | None = None
    """the authorities of recipients' certificates: a PEM file, or a directory of them; without one every key is pinned"""
    mail_crl: Path | None = None
    """what those authorities took back: a revocation list (PEM or DER), or a directory of them, read anew when it changes"""


@dataclass(frozen=True)
class BounceMarks:
    """Where mail comes back to that cannot be delivered."""

    bounce_address: str | None = None
    """such as bounce@example.com: each message names an address of its own, bounce+…@example.com. Without it, it comes back to
    mail_sender"""
    bounce_key: Path = Path("var/bounce.key")
    """a secret that marks those addresses, made on first start; the general worker and the bounce reader need the same file"""


@dataclass(frozen=True)
class MailSettings(BounceMarks):
    """The way out for mail."""

    smtp_host: str = "127.0.0.1"
    smtp_port: int = 25
    smtp_tls: str = "starttls"
    """implicit, starttls or none (loopback only)"""
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    mail_sender: str = "licensing@serviceme.example"
    mail_timeout: int = 180
    """seconds for the answer after DATA"""
    mail_archive: str | None = None
    """where a mail in doubt is looked up: maildir:PATH, postfix:PATH (the mail server's log) or imaps://USER@HOST/MAILBOX"""
    mail_archive_password: SecretStr | None = None
    """for imaps://; use LICDESK_MAIL_ARCHIVE_PASSWORD_FILE"""
    licenses_in_doubt: InDoubt | None = None
    """license mails without an answer: verify, resend or hold; verify where there is an archive, else hold"""
    letters_in_doubt: InDoubt | None = None
    """the same for letters and reminders"""
    mail_signer_certificate: Path | None = None
    mail_signer_key: Path | None = None
    mail_signer_password: SecretStr | None = None
    """opens the mail signer's key when it is encrypted; use LICDESK_MAIL_SIGNER_PASSWORD_FILE"""
    mail_openpgp_key: Path | None = None
    """the OpenPGP key, private, that signs mail to recipients with an OpenPGP key; without it none is sent to them"""
    mail_openpgp_password: SecretStr | None = None
    """opens the OpenPGP key when it is encrypted; use LICDESK_MAIL_OPENPGP_PASSWORD_FILE"""


@dataclass(frozen=True)
class DeskSettings(Database):
    """web: pages and API of the desk."""

    secure_cookies: bool = True
    """cookies only over TLS; the demo on loopback switches it off"""
    allowed_hosts: tuple[str, ...] = ()
    """names this desk answers to besides that of public_url"""
    console_url: str = ""
    """where License Management is, shown as a link in the demo"""
    inbox_url: str = ""
    second_factor_for_prod: bool = True
    """whether a vote on PROD needs a second factor besides the password; the demo asks for the password only"""


@dataclass(frozen=True)
class RelaySettings(Database):
    """relay: hands due jobs to the broker."""

    broker_url: str = "redis://127.0.0.1:6379/0"
    relay_poll_seconds: float = 0.1


@dataclass(frozen=True)
class WorkerSettings(Database, MailSettings):
    """general worker: mail, reminders, receipts, housekeeping."""

    broker_url: str = "redis://127.0.0.1:6379/0"
    max_attempts: int = 8


@dataclass(frozen=True)
class SigningSettings(Database):
    """signing worker: the only role that is told where license issuer keys are."""

    broker_url: str = "redis://127.0.0.1:6379/0"
    max_attempts: int = 8
    trust_dir: Path = Path("var/trust")
    """public trust roots (root-N.json) and the pin of the first one"""
    issuer_keys: str = ""
    """DEV=file:…, UAT=file:…, PROD=file:…, comma separated"""
    issuer_key_secret: SecretStr | None = None
    """opens the encrypted issuer keys; use LICDESK_ISSUER_KEY_SECRET_FILE"""


@dataclass(frozen=True)
class WitnessSettings(Database):
    """witness: signs checkpoints of the history, with the auditors' key and no other."""

    trust_dir: Path = Path("var/trust")
    """public trust roots (root-N.json) and the pin of the first one"""
    checkpoint_dir: Path = Path("var/checkpoints")
    """where checkpoints are kept outside of the database"""
    checkpoint_seconds: int = 86_400
    """how long until the next one"""
    auditor_key: str | None = None
    """file:…, a key of the role auditors"""
    auditor_key_secret: SecretStr | None = None
    """opens it; use LICDESK_AUDITOR_KEY_SECRET_FILE"""


@dataclass(frozen=True)
class BounceSettings(Database, BounceMarks):
    """bounces: takes in mail that came back."""

    bounce_source: str = "lmtp:127.0.0.1:8325"
    """lmtp:HOST:PORT or smtp:HOST:PORT to listen on, maildir:PATH, or imaps://USER@HOST/MAILBOX to look into"""
    bounce_password: SecretStr | None = None
    """for imaps://; use LICDESK_BOUNCE_PASSWORD_FILE"""


@dataclass(frozen=True)
class BeatSettings(Common):
    """beat: wakes the scans."""

    broker_url: str = "redis://127.0.0.1:6379/0"
    scan_seconds: int = 60


@dataclass(frozen=True)
class ConsoleSettings(Common):
    """console: License Management on the platform's side."""

    console_dir: Path = Path("var/console")
    """the console's own database, pin, trust roots, installation key and published license"""
    console_public_url: str = "http://127.0.0.1:8301"
    desk_url: str | None = None
    """where receipts are posted; none: receipts are downloaded as files"""
    secure_cookies: bool = True
    allowed_hosts: tuple[str, ...] = ()
    console_usage: Path | None = None
    """a file in which the platform reports what is in use; none: `usage.json` in the console's directory"""


@dataclass(frozen=True)
class InboxSettings(Common):
    """inbox: the development mail catcher, demo only."""

    inbox_dir: Path = Path("var/inbox")
    inbox_keys: Path = Path("var/inbox/keys")
    mail_ca: Path | None = None


Role = TypeVar("Role")
ROLES: tuple[type, ...] = (
    DeskSettings,
    RelaySettings,
    WorkerSettings,
    SigningSettings,
    WitnessSettings,
    BounceSettings,
    BeatSettings,
    ConsoleSettings,
    InboxSettings,
)


def opened_with(password: SecretStr | None) -> bytes | None:
    """The password of a key file, where there is one."""
    return password.get_secret_value().encode() if password is not None else None


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def known_variables() -> frozenset[str]:
    """Every variable any role reads, with the `_FILE` form of secrets."""
    names = {CLOCK_FILE_VARIABLE}
    for role in ROLES:
        hints = get_type_hints(role)
        for each in fields(role):
            names.add(variable(each.name))
            if _is_secret(hints[each.name]):
                names.add(variable(each.name) + "_FILE")
    return frozenset(names)


def load(role: type[Role], environ: Mapping[str, str] | None = None) -> Role:
    """The settings of one role. Raises SettingMissing or SettingUnusable, naming the variable and what to write."""
    given = os.environ if environ is None else environ
    hints = get_type_hints(role)
    values: dict[str, Any] = {}
    for each in fields(role):  # type: ignore[arg-type]  # roles are dataclasses; TypeVar cannot say so
        raw = _raw_value(variable(each.name), hints[each.name], given)
        if raw is not None:
            values[each.name] = _converted(variable(each.name), hints[each.name], raw)
        elif each.default is MISSING and each.default_factory is MISSING:
            raise SettingMissing(f"Set {variable(each.name)}.")
    _move_with_data(role, values)
    made = role(**values)
    _check(made, given)
    return made


def _move_with_data(role: type, values: dict[str, Any]) -> None:
    """What lies below the data directory unless something else is said moves with it."""
    data = values.get("data_dir")
    if data is None:
        return
    for each in fields(role):
        if each.name in values:
            continue
        if each.name == "database_url":
            values[each.name] = f"sqlite:///{data / DATABASE_NAME}"
        elif isinstance(each.default, Path) and each.default.is_relative_to(DATA_DIR):
            values[each.name] = data / each.default.relative_to(DATA_DIR)


def _raw_value(name: str, hint: Any, environ: Mapping[str, str]) -> str | None:
    path = environ.get(f"{name}_FILE") if _is_secret(hint) else None
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingUnusable(f"{name}_FILE names {path}, which cannot be read: {error.strerror}.") from error
    value = environ.get(name)
    return value if value not in (None, "") else None


def _is_secret(hint: Any) -> bool:
    return hint is SecretStr or SecretStr in get_args(hint)


def _converted(name: str, hint: Any, raw: str) -> Any:
    if get_origin(hint) in (Union, UnionType):
        hint = next(each for each in get_args(hint) if each is not type(None))
    try:
        if hint is bool:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[raw.lower()]
        if get_origin(hint) is tuple:
            item = get_args(hint)[0]
            return tuple(item(part.strip()) for part in raw.split(",") if part.strip())
        if hint is SecretStr and raw.lower() in PLACEHOLDERS:
            raise SettingUnusable(f"{name} still holds a placeholder. Write the real secret.")
        return hint(raw)
    except (ValueError, KeyError) as error:
        raise SettingUnusable(f"{name} is {raw!r}; it must be {getattr(hint, '__name__', hint)}.") from error


def _check(made: object, environ: Mapping[str, str]) -> None:
    if isinstance(made, Common) and made.mode is Mode.PRODUCTION and environ.get(CLOCK_FILE_VARIABLE):
        raise SettingUnusable(f"{CLOCK_FILE_VARIABLE} moves the clock, which only the demo may. Unset it.")
    if isinstance(made, Database):
        if 7 not in made.reminder_days:
            raise SettingUnusable("LICDESK_REMINDER_DAYS must contain 7: reminders go out at least 7 days ahead.")
        if made.on_expiry not in ("warn", "block_new", "read_only"):
            raise SettingUnusable("LICDESK_ON_EXPIRY must be warn, block_new or read_only.")
    if isinstance(made, MailSettings):
        if made.smtp_tls not in ("implicit", "starttls", "none"):
            raise SettingUnusable("LICDESK_SMTP_TLS must be implicit, starttls or none.")
        if made.mail_archive is None and InDoubt.VERIFY in (made.licenses_in_doubt, made.letters_in_doubt):
            raise SettingUnusable("Set LICDESK_MAIL_ARCHIVE: without it no mail in doubt can be looked up (verify).")
        if made.smtp_tls == "none" and made.smtp_host not in LOOPBACK:
            raise SettingUnusable("LICDESK_SMTP_TLS is none, which is for a server on this machine only. Use starttls.")
