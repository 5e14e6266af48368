"""Custody of the license issuer keys: the one place where a private key is read or written.

Only the signing worker and the key commands may import this; nothing that serves pages or sends mail reaches it.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from workflow.errors import Misconfigured
from workflow.license_file import EcdsaSigner, Ed25519Signer, KeyUnusable, Signer, TrustedKey

#: Shortest secret that may encrypt a key. PKCS#8 encryption stretches it by 2,048 rounds only, which is nothing
#: against guessing: so a random secret, never a person's passphrase.
SHORTEST_SECRET: Final = 32

_ENCRYPTED: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_LARGEST_KEY_FILE: Final = 16_384


class KeyRefused(Misconfigured):
    """A signing key or its secret that must not be used as it is."""

    code = "keys.refused"
    title = "The signing keys are not in order"


def open_signer(uri: str, secret: bytes, *, plain_allowed: bool = False) -> Signer:
    """The signer that `uri` names, for example `file:/run/keys/issuer-prod.pem`.

    `secret` decrypts the key file; `plain_allowed` (DEV only) also takes one that is not encrypted. Raises `KeyRefused`.
    """
    # A token or a key management service (pkcs11:, awskms:) becomes a case of its own; callers only know `Signer`.
    match urlsplit(uri):
        case SplitResult(scheme="file", netloc="" | "localhost", path=str(path)) if path:
            return _signer_from_file(Path(unquote(path)), secret, plain_allowed)
        case SplitResult(scheme="file"):
            raise KeyRefused(f"The key {uri!r} must be written as file:/path/to/key.pem.")
        case _:
            raise KeyRefused(f"The key {uri!r} cannot be opened: this version reads file: keys only.")


def new_key(path: Path, secret: bytes, label: str) -> TrustedKey:
    """Make an Ed25519 key, keep it encrypted in a new file with mode 0600, and return how a trust root lists it.

    Raises `KeyRefused`, also when the file exists: no key is ever overwritten.
    """
    _require_strong(secret)
    private_key = Ed25519PrivateKey.generate()
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(secret))
    _write_private(path, pem)
    signer = Ed25519Signer(private_key)
    return TrustedKey.of(signer.public_key, label)


def new_secret(path: Path) -> bytes:
    """Make the random secret that key files are encrypted with, in a new file with mode 0600. Raises `KeyRefused`."""
    secret = secrets.token_hex(32).encode("ascii")
    _write_private(path, secret + b"\n")
    return secret


def read_secret(path: Path) -> bytes:
    """The secret in a file: its text without the white space around it. Raises `KeyRefused`."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise KeyRefused(f"The secret of the signing keys {path} cannot be read: {error.strerror}.") from error
    _require_strong(secret)
    return secret


def _signer_from_file(path: Path, secret: bytes, plain_allowed: bool) -> Signer:
    pem = _read_private(path)
    is_encrypted = pem.lstrip().startswith(_ENCRYPTED)
    if is_encrypted:
        _require_strong(secret)
    elif not plain_allowed:
        raise KeyRefused(f"The key {path} is not encrypted PKCS#8. Encrypt it, or make a new one with `licdesk keys`.")
    try:
        key = load_pem_private_key(pem, secret if is_encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # One sentence for a wrong secret and a damaged file: PKCS#8 decryption cannot tell them apart.
        raise KeyRefused(f"The key {path} cannot be opened: the secret is not its own, or the file is damaged.") from None
    try:
        match key:
            case Ed25519PrivateKey():
                return Ed25519Signer(key)
            case EllipticCurvePrivateKey():
                return EcdsaSigner(key)
            case _:
                raise KeyRefused(f"The key {path} is neither Ed25519 nor ECDSA on P-256.")
    except KeyUnusable as unusable:
        raise KeyRefused(f"The key {path} cannot sign licenses. {unusable}") from None


def _read_private(path: Path) -> bytes:
    try:
        # Not through a symbolic link, and the very file that was checked is the one that is read.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise KeyRefused(f"The key {path} cannot be read: {error.strerror}.") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyRefused(f"The key {path} is not a regular file.")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise KeyRefused(f"The key {path} has mode {mode:04o}; others could read it. Run: chmod 600 {path}")
        return os.read(descriptor, _LARGEST_KEY_FILE)
    finally:
        os.close(descriptor)


def _write_private(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise KeyRefused(f"{path} exists already; a key is never overwritten.") from None
    except OSError as error:
        raise KeyRefused(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _require_strong(secret: bytes) -> None:
    if len(secret) < SHORTEST_SECRET:
        raise KeyRefused(
            f"The secret of the signing keys has {len(secret)} characters; it needs {SHORTEST_SECRET} random ones, "
            "for example from: openssl rand -hex 32"
        )
