"""`licdesk keys`: make the first signing keys and their trust root, and show which keys there are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import typer

from workflow.license_file import (
    TRUST_ROOT_TYPE,
    Environment,
    Purpose,
    RootContent,
    TrustChain,
    TrustedKey,
    TrustError,
    TrustRoot,
    build_root_payload,
    keys_by_id,
    one_group,
    sign_document,
)
from workflow.signing_keys import KeyRefused, new_key, new_secret, open_signer, read_secret
from workflow.times import wall_now

app = typer.Typer(name="keys", help="Signing keys and the trust root.", no_args_is_help=True)

#: A platform warns once its root is older than this; a newer root travels inside any license file.
ROOT_LIFETIME: Final = timedelta(days=5 * 365)
ROOT_THRESHOLD: Final = 2

_ROOT_KEYS: Final = ("root-key-1", "root-key-2", "root-key-3")
_ISSUER_KEYS: Final = {
    environment: (f"issuer-{environment.lower()}", f"issuer-{environment.lower()}-spare") for environment in Environment
}
_REVOKER_KEYS: Final = ("revoker", "revoker-spare")
_AUDITOR_KEYS: Final = ("auditor", "auditor-spare")

_Directory = Annotated[Path, typer.Option("--directory", help="Where the private keys are.", file_okay=False)]
_Trust = Annotated[Path, typer.Option("--trust", help="Where the public trust root and its pin are.", file_okay=False)]


@dataclass(frozen=True)
class KeySet:
    """Where the parts of a key set are: the private keys, the secret that opens them, the public trust root."""

    directory: Path
    secret_file: Path
    trust: Path

    def key_file(self, name: str) -> Path:
        """The file of the key with that label."""
        return self.directory / f"{name}.pem"

    @property
    def pin_file(self) -> Path:
        """The fingerprint of trust root version 1, to be compared out of band."""
        return self.trust / "pin.txt"

    def parts(self) -> dict[str, bool]:
        """Which of the three parts are there."""
        return {
            f"the secret {self.secret_file}": self.secret_file.exists(),
            f"keys in {self.directory}": any(self.directory.glob("*.pem")),
            f"a trust root in {self.trust}": self.pin_file.exists() or any(self.trust.glob("root-*.json")),
        }


@app.command("init")
def init(
    directory: _Directory,
    secret_file: Annotated[Path, typer.Option("--secret-file", help="The secret that encrypts the keys.", dir_okay=False)],
    trust: _Trust,
    demo: Annotated[bool, typer.Option("--demo", help="Mark the trust root as one for trying things out.")] = False,
    given_secret: Annotated[bool, typer.Option("--given-secret", help="The secret file was made beforehand.")] = False,
) -> None:
    """Make all keys and trust root version 1, only when there are none; check a set that is complete."""
    keys = KeySet(directory, secret_file, trust)
    with _refusals():
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
        pin = make_key_set(keys, Purpose.DEMO if demo else Purpose.PRODUCTION, wall_now().replace(microsecond=0))
    typer.echo(f"Made the keys in {directory} and trust root version 1 in {trust}.")
    typer.echo(f"Fingerprint to pin on every platform: {pin}")
    if not demo:
        typer.echo(f"Move {', '.join(f'{name}.pem' for name in _ROOT_KEYS)} to offline media, each to another person.")


@app.command("list")
def list_keys(directory: _Directory, trust: _Trust) -> None:
    """Show every key of the trust root: its role, whether it may sign, its id, and whether its file is here."""
    keys = KeySet(directory, Path(), trust)
    with _refusals():
        root = read_root(keys)
        roles = _roles(root)
        typer.echo(f"Trust root version {root.version} ({root.purpose}), until {root.expires_at:%Y-%m-%d}")
        for key in sorted(root.keys.values(), key=lambda each: (roles.get(each.keyid, ""), each.label)):
            where = "file here" if keys.key_file(key.label).exists() else "not here"
            typer.echo(f"{key.label:22} {roles.get(key.keyid, 'no role'):14} {key.use:12} {key.keyid[:16]}  {where}")
        labels = {key.label for key in root.keys.values()}
        for stray in sorted(path for path in directory.glob("*.pem") if path.stem not in labels):
            typer.echo(f"{stray.stem:22} not listed in the trust root")


def make_key_set(keys: KeySet, purpose: Purpose, now: datetime) -> str:
    """Make every key and trust root version 1; returns the pin. The pin is written last, so a set that was
    interrupted is seen as incomplete. Raises `KeyRefused`."""
    for directory, mode in ((keys.directory, 0o700), (keys.secret_file.parent, 0o700), (keys.trust, 0o755)):
        try:
            directory.mkdir(mode=mode, parents=True, exist_ok=True)
        except OSError as error:
            raise KeyRefused(f"The directory {directory} cannot be made: {error.strerror}.") from error
    secret = read_secret(keys.secret_file) if keys.secret_file.exists() else new_secret(keys.secret_file)

    made: dict[str, TrustedKey] = {}
    for name in (*_ROOT_KEYS, *(name for names in _ISSUER_KEYS.values() for name in names), *_REVOKER_KEYS, *_AUDITOR_KEYS):
        made[name] = new_key(keys.key_file(name), secret, name)
    content = RootContent(
        version=1,
        purpose=purpose,
        keys=keys_by_id(*made.values()),
        root=one_group(ROOT_THRESHOLD, *(made[name].keyid for name in _ROOT_KEYS)),
        issuers={
            environment: one_group(1, *(made[name].keyid for name in names)) for environment, names in _ISSUER_KEYS.items()
        },
        revokers=one_group(1, *(made[name].keyid for name in _REVOKER_KEYS)),
        auditors=one_group(1, *(made[name].keyid for name in _AUDITOR_KEYS)),
        issued_at=now,
        expires_at=now + ROOT_LIFETIME,
    )
    payload = build_root_payload(content)
    signers = [open_signer(keys.key_file(name).absolute().as_uri(), secret) for name in _ROOT_KEYS[:ROOT_THRESHOLD]]
    pin = sha256(payload).hexdigest()
    _write_public(keys.trust / "root-1.json", sign_document(TRUST_ROOT_TYPE, payload, signers))
    _write_public(keys.pin_file, pin.encode("ascii") + b"\n")
    return pin


def check_key_set(keys: KeySet) -> TrustRoot:
    """The current trust root, after opening every key file that is here; each environment must be able to sign.

    Root keys may be away, they belong offline. Raises `KeyRefused` or `TrustError`.
    """
    root = read_root(keys)
    secret = read_secret(keys.secret_file)
    present = {open_signer(path.absolute().as_uri(), secret).keyid for path in sorted(keys.directory.glob("*.pem"))}
    for environment in Environment:
        if not any(root.may_sign(keyid, environment) for keyid in present):
            raise KeyRefused(f"No key in {keys.directory} may sign for {environment}. Restore it from its backup.")
    return root


def read_root(keys: KeySet) -> TrustRoot:
    """The current trust root of the set, verified from its pin. Raises `KeyRefused` or `TrustError`."""
    try:
        pin = keys.pin_file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyRefused(f"The pin {keys.pin_file} cannot be read: {error}.") from error
    return TrustChain.read(keys.trust, pin).current


def _roles(root: TrustRoot) -> dict[str, str]:
    roles = {"root": root.root, "revokers": root.revokers, "auditors": root.auditors}
    roles |= {f"issuer {environment}": groups for environment, groups in root.issuers.items()}
    return {keyid: role for role, groups in roles.items() for keyid in groups.keyids}


def _write_public(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise KeyRefused(f"{path} cannot be written: {error.strerror}.") from error


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (KeyRefused, TrustError) as refused:
        typer.echo(f"{refused.code}: {refused}", err=True)
        raise typer.Exit(1) from None
