"""The files of keys and trust roots as the commands see them: where they are, reading them, writing them once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import typer
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key, load_pem_public_key

from workflow.cli import root_draft
from workflow.errors import DeskError, Misconfigured
from workflow.license_file import (
    KeyUnusable,
    LicenseRefused,
    RootContent,
    TrustChain,
    TrustedKey,
    TrustError,
    TrustRoot,
    build_root_payload,
    decode_root_payload,
)

DEFAULT_TRUST = Path("var/trust")


class FileUnusable(Misconfigured):
    """A file of a trust root or of a public key cannot be read or written."""

    code = "trust.file_unusable"


@dataclass(frozen=True)
class KeySet:
    """Where the parts of a key set are: the private keys, the secret that opens them, the public trust root.

    `auditors` is where the auditors' keys are kept apart, with a secret of their own: whoever holds them signs no licenses.
    """

    directory: Path
    secret_file: Path
    trust: Path
    auditors: Path | None = None

    def key_file(self, name: str) -> Path:
        """The file of the key with that label."""
        return self.directory / f"{name}.pem"

    @property
    def auditors_secret(self) -> Path:
        """What opens the auditors' keys."""
        return self.auditors / "secret" if self.auditors else self.secret_file

    def public_file(self, name: str) -> Path:
        """The file of its public half."""
        return self.directory / f"{name}.pub"

    @property
    def pin_file(self) -> Path:
        """The fingerprint of trust root version 1, to be compared out of band."""
        return self.trust / "pin.txt"

    def parts(self) -> dict[str, bool]:
        """Which of the parts are there."""
        apart = {f"the auditors' keys in {self.auditors}": any(self.auditors.glob("*.pem"))} if self.auditors else {}
        return {
            f"the secret {self.secret_file}": self.secret_file.exists(),
            f"keys in {self.directory}": any(self.directory.glob("*.pem")),
            **apart,
            f"a trust root in {self.trust}": self.pin_file.exists() or any(self.trust.glob("root-*.json")),
        }


@dataclass(frozen=True)
class Draft:
    """A trust root that nobody signed yet: the very bytes that are signed."""

    path: Path
    payload: bytes
    content: RootContent

    @property
    def fingerprint(self) -> str:
        """What the people who sign it compare; of version 1 it is the pin."""
        return sha256(self.payload).hexdigest()

    @staticmethod
    def write(path: Path, content: RootContent) -> Draft:
        """Writes a draft, over an earlier one: signatures are kept apart, and fit one draft only. Raises RootMalformed,
        FileUnusable."""
        payload = build_root_payload(content)
        try:
            path.write_bytes(payload)
        except OSError as error:
            raise FileUnusable(f"The draft {path} cannot be written: {error.strerror}.") from error
        return Draft(path, payload, content)

    @staticmethod
    def read(path: Path, current: TrustRoot | None = None) -> Draft:
        """The draft in a file; with `current` it must be of the version that follows. Raises RootMalformed, FileUnusable."""
        payload = read_file(path)
        draft = Draft(path, payload, decode_root_payload(payload))
        if current is not None and draft.content.version != current.version + 1:
            raise FileUnusable(
                f"The draft {path} is of version {draft.content.version}, and the trust root has version {current.version}. "
                "Remove the draft and prepare a new one."
            )
        return draft


def read_chain(trust: Path, pin: str | None = None) -> TrustChain:
    """The trust roots of a directory, verified from the pin (its `pin.txt`, if not given). Raises TrustError, FileUnusable."""
    return TrustChain.read(trust, pin or read_file(trust / "pin.txt").decode("ascii", "replace"))


def read_root(trust: Path) -> TrustRoot:
    """The newest trust root of a directory. Raises TrustError, FileUnusable."""
    return read_chain(trust).current


def read_public_key(path: Path) -> TrustedKey:
    """The public key in a PEM file (as `licdesk keys new`, openssl and key stores write it); its label is the file's name.

    Raises FileUnusable.
    """
    raw = read_file(path)
    try:
        key = load_pem_public_key(raw)
        return TrustedKey.of(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), path.stem)
    except (ValueError, KeyUnusable) as error:
        raise FileUnusable(f"{path} holds no public key that can be used: {error}") from error


def public_pem(key: TrustedKey) -> bytes:
    """The public key as a PEM file, which openssl reads too."""
    return load_der_public_key(key.public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def say_draft(draft: Draft, before: RootContent | None) -> None:
    """Shows what a draft changes, and the fingerprint that everybody who signs it compares."""
    content = draft.content
    typer.echo(f"Draft of trust root version {content.version} ({content.purpose}) in {draft.path}")
    if before is not None:
        said = list(root_draft.changes(before, content)) or ["Changes no key."]
        for each in said:
            typer.echo(f" - {each}")
    typer.echo(f" - Good until {content.expires_at:%Y-%m-%d}.")
    typer.echo(f"Fingerprint {draft.fingerprint}")


def read_file(path: Path) -> bytes:
    """A small file. Raises FileUnusable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error.strerror}.") from error


def write_public(path: Path, content: bytes) -> None:
    """A new file that everybody may read. Raises FileUnusable, also when it exists: nothing here is overwritten."""
    try:
        with path.open("xb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FileUnusable(f"{path} cannot be written: {error.strerror}.") from error


def make_directory(path: Path, mode: int) -> None:
    """The directory, with this mode when it is made. Raises FileUnusable."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise FileUnusable(f"The directory {path} cannot be made: {error.strerror}.") from error


@contextmanager
def refusals() -> Iterator[None]:
    """An expected refusal is a sentence and exit status 1, never a traceback."""
    try:
        yield
    except (DeskError, TrustError, LicenseRefused) as refused:
        typer.echo(f"{refused.code}: {refused}", err=True)
        raise typer.Exit(1) from None
