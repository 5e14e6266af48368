"""`licdesk keys`: make signing keys, show which there are, and take one out of use."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import typer

from workflow.cli import root_draft
from workflow.cli.data_files import Files
from workflow.cli.root_files import Draft, KeySet, make_directory, public_pem, read_root, refusals, say_draft, write_public
from workflow.license_file import (
    TRUST_ROOT_TYPE,
    Environment,
    Purpose,
    TrustedKey,
    TrustRoot,
    build_root_payload,
    sign_document,
)
from workflow.signing_keys import KeyRefused, new_key, new_secret, open_signer, read_secret
from workflow.times import wall_now

app = typer.Typer(name="keys", help="Signing keys and the trust root.", no_args_is_help=True)

ROOT_THRESHOLD: Final = 2

_ROOT_KEYS: Final = ("root-key-1", "root-key-2", "root-key-3")
_ISSUER_KEYS: Final[dict[str, tuple[str, ...]]] = {
    environment: (f"issuer-{environment.lower()}", f"issuer-{environment.lower()}-spare") for environment in Environment
}
_REVOKER_KEYS: Final = ("revoker", "revoker-spare")
_AUDITOR_KEYS: Final = ("auditor", "auditor-spare")

_Directory = Annotated[Path, typer.Option("--directory", help="Where the private keys are.", file_okay=False)]
_SecretFile = Annotated[Path, typer.Option("--secret-file", help="The secret that encrypts the keys.", dir_okay=False)]
_Trust = Annotated[Path, typer.Option("--trust", help="Where the public trust root and its pin are.", file_okay=False)]


@app.command("init")
def init(
    directory: _Directory,
    secret_file: _SecretFile,
    trust: _Trust,
    demo: Annotated[bool, typer.Option("--demo", help="Mark the trust root as one for trying things out.")] = False,
    given_secret: Annotated[bool, typer.Option("--given-secret", help="The secret file was made beforehand.")] = False,
    auditors: Annotated[
        Path | None,
        typer.Option(help="Keep the keys that sign checkpoints apart, in this directory, with a secret of their own."),
    ] = None,
) -> None:
    """Make all keys and trust root version 1, only when there are none; check a set that is complete."""
    keys = KeySet(directory, secret_file, trust, auditors)
    with refusals():
        parts = keys.parts()
        present = [part for part, exists in parts.items() if exists]
        if len(present) == len(parts):
            root = check_key_set(keys)
            typer.echo(f"The keys are there and fit trust root version {root.version}.")
            return
        if present != ([f"the secret {secret_file}"] if given_secret else []):
            missing = [part for part, exists in parts.items() if not exists]
            raise KeyRefused(
                f"The key set is incomplete. There is {', '.join(present) or 'nothing'}; missing: {', '.join(missing)}. "
                "Restore the missing part from its backup. If nothing was ever signed with these keys, remove the rest "
                "and start again."
            )
        pin = make_key_set(keys, Purpose.DEMO if demo else Purpose.PRODUCTION, _now())
    typer.echo(f"Made the keys in {directory} and trust root version 1 in {trust}.")
    typer.echo(f"Fingerprint to pin on every platform: {pin}")
    if not demo:
        typer.echo(f"Move {', '.join(f'{name}.pem' for name in _ROOT_KEYS)} to offline media, each to another person.")


@app.command("list")
def list_keys(
    directory: Annotated[
        Path | None, typer.Option("--directory", help="Where the private keys are; else the data's `keys`.", file_okay=False)
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option("--trust", envvar="LICDESK_TRUST_DIR", help="The trust root; else the data's `trust`.", file_okay=False),
    ] = None,
    data: Annotated[
        Path,
        typer.Option("--data", envvar="LICDESK_DATA_DIR", help="Where a one-command desk keeps everything.", file_okay=False),
    ] = Path("var"),
) -> None:
    """Show every key of the trust root: its role, whether it may sign, its id, and whether its file is here."""
    files = Files(data)
    directory, trust = directory or files.keys, trust or files.trust
    keys = KeySet(directory, Path(), trust)
    with refusals():
        root = read_root(keys.trust)
        typer.echo(f"Trust root version {root.version} ({root.purpose}), until {root.expires_at:%Y-%m-%d}")
        for key in sorted(root.keys.values(), key=lambda each: (_role(root, each), each.label)):
            where = "file here" if keys.key_file(key.label).exists() else "not here"
            typer.echo(f"{key.label:22} {_role(root, key):14} {key.use:12} {key.keyid[:16]}  {where}")
        labels = {key.label for key in root.keys.values()}
        for stray in sorted(path for path in directory.glob("*.pem") if path.stem not in labels):
            typer.echo(f"{stray.stem:22} not listed in the trust root")


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="The label, such as issuer-prod-2027. Names both files.")],
    directory: _Directory,
    secret_file: _SecretFile,
    new_secret_file: Annotated[
        bool, typer.Option("--new-secret", help="Make the secret too: a key that somebody keeps apart has its own.")
    ] = False,
) -> None:
    """Make one key: NAME.pem, which is private and encrypted, and NAME.pub, which a trust root is made of."""
    if not name or any(not (each.isalnum() or each in "-_.") for each in name) or name.startswith("."):
        raise typer.BadParameter("use letters, digits, - _ and .", param_hint="NAME")
    with refusals():
        keys = KeySet(directory, secret_file, Path())
        make_directory(directory, 0o700)
        made = new_key(keys.key_file(name), _secret(secret_file, make=new_secret_file), name)
        write_public(keys.public_file(name), public_pem(made))
    typer.echo(f"Made {keys.key_file(name)} (private) and {keys.public_file(name)} (public).")
    typer.echo(f"Key id {made.keyid}")
    typer.echo("Next: licdesk trust prepare --add, which puts the key into a draft of the next trust root.")


@app.command("retire")
def retire(
    names: Annotated[list[str], typer.Argument(help="Labels, or the start of key ids.")],
    trust: _Trust,
    draft: Annotated[Path, typer.Option("--draft", help="The draft of the next trust root; made if missing.", dir_okay=False)],
) -> None:
    """Take keys out of use: in the next trust root they verify what they signed and sign nothing new.

    This stops no thief, who can backdate. On suspicion drop the key: licdesk trust prepare --drop.
    """
    with refusals():
        current = read_root(trust)
        content = Draft.read(draft, current).content if draft.exists() else root_draft.following(current, _now())
        for name in names:
            content = root_draft.retired(content, name)
        say_draft(Draft.write(draft, content), current)


def make_key_set(keys: KeySet, purpose: Purpose, now: datetime) -> str:
    """Make every key and trust root version 1; returns the pin. The pin is written last, so a set that was
    interrupted is seen as incomplete. Raises `KeyRefused`."""
    make_directory(keys.directory, 0o700)
    make_directory(keys.trust, 0o755)
    secret = _secret(keys.secret_file, make=not keys.secret_file.exists())

    made: dict[str, TrustedKey] = {}
    for name in (*_ROOT_KEYS, *(name for names in _ISSUER_KEYS.values() for name in names), *_REVOKER_KEYS):
        made[name] = new_key(keys.key_file(name), secret, name)
    made |= _auditor_keys(keys, secret)
    roles: dict[str, tuple[str, ...]] = {
        root_draft.ROOT: _ROOT_KEYS,
        **_ISSUER_KEYS,
        root_draft.REVOKERS: _REVOKER_KEYS,
        root_draft.AUDITORS: _AUDITOR_KEYS,
    }
    named = {role: tuple(made[name] for name in names) for role, names in roles.items()}
    content = root_draft.first(named, ROOT_THRESHOLD, purpose, now)
    payload = build_root_payload(content)
    signers = [open_signer(keys.key_file(name).absolute().as_uri(), secret) for name in _ROOT_KEYS[:ROOT_THRESHOLD]]
    pin = sha256(payload).hexdigest()
    write_public(keys.trust / "root-1.json", sign_document(TRUST_ROOT_TYPE, payload, signers))
    write_public(keys.pin_file, pin.encode("ascii") + b"\n")
    return pin


def _auditor_keys(keys: KeySet, secret: bytes) -> dict[str, TrustedKey]:
    if keys.auditors is None:
        return {name: new_key(keys.key_file(name), secret, name) for name in _AUDITOR_KEYS}
    make_directory(keys.auditors, 0o700)
    own = new_secret(keys.auditors_secret)
    return {name: new_key(keys.auditors / f"{name}.pem", own, name) for name in _AUDITOR_KEYS}


def check_key_set(keys: KeySet) -> TrustRoot:
    """The current trust root, after opening every key file that is here; each environment must be able to sign.

    Root keys may be away, they belong offline. Raises `KeyRefused` or `TrustError`.
    """
    root = read_root(keys.trust)
    secret = read_secret(keys.secret_file)
    present = {open_signer(path.absolute().as_uri(), secret).keyid for path in sorted(keys.directory.glob("*.pem"))}
    for environment in Environment:
        if not any(root.may_sign(keyid, environment) for keyid in present):
            raise KeyRefused(f"No key in {keys.directory} may sign for {environment}. Restore it from its backup.")
    return root


def _secret(path: Path, *, make: bool) -> bytes:
    if not make:
        return read_secret(path)
    make_directory(path.parent, 0o700)
    return new_secret(path)


def _role(root: TrustRoot, key: TrustedKey) -> str:
    role = root_draft.role_of(root, key.keyid)
    return f"issuer {role}" if role in Environment.__members__ else role


def _now() -> datetime:
    return wall_now().replace(microsecond=0)
