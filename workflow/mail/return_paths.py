"""The secret with which this desk marks where its mail comes back to: one file, made by whichever process starts first."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from workflow.domain.bounces import KEY_BYTES, Tags
from workflow.errors import Misconfigured
from workflow.mail.messages import Mailbox, UnsafeHeader

LONGEST_MAILBOX = 64
"""octets before the @ (RFC 5321, 4.5.3.1.1)"""


class BounceAddressUnusable(Misconfigured):
    """Mail cannot be marked with where it comes back to."""

    code = "mail.bounce_address"


def tags_for(address: str | None, key: Path) -> Tags | None:
    """The marks of this desk; None when no address for bounces is set. Raises BounceAddressUnusable."""
    if address is None:
        return None
    try:
        mailbox = Mailbox(address)
    except UnsafeHeader as error:
        raise BounceAddressUnusable(f"LICDESK_BOUNCE_ADDRESS: {error}") from error
    local = mailbox.address.rpartition("@")[0]
    if "+" in local or len(local) > LONGEST_MAILBOX - 44:
        raise BounceAddressUnusable(
            "LICDESK_BOUNCE_ADDRESS: write a mailbox of at most 20 characters without a +, as bounce@…."
        )
    return Tags(mailbox.address, _key(key))


def _key(path: Path) -> bytes:
    try:
        if not path.exists():
            _make(path)
        found = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise BounceAddressUnusable(f"LICDESK_BOUNCE_KEY names {path}, which holds no key: {error}.") from error
    if len(found) < KEY_BYTES:
        raise BounceAddressUnusable(f"The key in {path} is too short. Remove the file; a new one is made at the next start.")
    return found


def _make(path: Path) -> None:
    """Two processes may start at once: whoever links its file first has made the key, and both read that one."""
    waiting = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
        with suppress(FileExistsError):
            os.link(waiting, path)
    finally:
        waiting.unlink()
