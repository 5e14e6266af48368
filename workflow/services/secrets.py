"""Random tokens, how they are stored, and passwords. Only hashes are kept."""

import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash(secrets.token_hex(16))
"""What a password is compared with when there is no such person, so that the answer takes as long."""


def new_token(prefix: str = "") -> str:
    """256 random bits, URL-safe."""
    return prefix + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """SHA-256 (hex) of a random token. Enough for 256 random bits; never for a password."""
    return hashlib.sha256(_as_bytes(token)).hexdigest()


def hash_password(password: str) -> str:
    """An Argon2id hash (RFC 9106), salted."""
    return _HASHER.hash(_as_bytes(password))


def is_password(stored: str | None, password: str) -> bool:
    """Whether `password` is the stored one; takes as long when nothing is stored."""
    try:
        _HASHER.verify(stored or _NOBODY, _as_bytes(password))
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def _as_bytes(typed: str) -> bytes:
    """UTF-8, also of what is no proper text: a wrong password or token is never an error of ours."""
    return typed.encode(errors="surrogatepass")
