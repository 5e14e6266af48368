"""The demo's OpenPGP keys: the desk's own, which signs, and recipients'. Never for production, where gpg makes the desk's."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workflow.mail.demo_keys import PartialKeys, file_stem, write_file
from workflow.mail.messages import Mailbox
from workflow.openpgp_keys import sequoia

SIGNER = "signer.asc"


@dataclass(frozen=True)
class DemoOpenPGPFiles:
    """Where everything was written. `recipients` maps an address to its public key for the customer page."""

    signer: Path
    recipients: dict[str, Path]


def write_demo_openpgp(
    directory: Path, inbox_keys: Path, *, recipients: Iterable[Mailbox], signer: Mailbox
) -> DemoOpenPGPFiles:
    """Makes the desk's key and one for each recipient, once; a complete set is left as it is.

    `directory` gets what the desk needs (signer.asc, recipients/ADDRESS.asc), `inbox_keys` gets the recipients' private keys
    and the desk's public one, to check signatures with. Raises PartialKeys, OpenPGPNotInstalled, UnsafeHeader.
    """
    people = list(recipients)
    files = DemoOpenPGPFiles(
        directory / SIGNER, {each.address: directory / "recipients" / f"{file_stem(each.address)}.asc" for each in people}
    )
    held = {each.address: inbox_keys / f"{file_stem(each.address)}.asc" for each in people}
    public = inbox_keys / f"{file_stem(signer.address)}.asc"
    wanted = [files.signer, public, *files.recipients.values(), *held.values()]
    missing = [each for each in wanted if not each.exists()]
    if not missing:
        return files
    if len(missing) < len(wanted):
        raise PartialKeys(
            f"{missing[0]} is missing while others of its set exist. Remove every .asc file in {directory} and {inbox_keys}, "
            "then run again."
        )
    for each in people:
        secret = _made_for(each)
        write_file(held[each.address], secret, private=True)
        write_file(files.recipients[each.address], _public(secret))
    desk = _made_for(signer)
    write_file(public, _public(desk))
    write_file(files.signer, desk, private=True)
    return files


def _made_for(mailbox: Mailbox) -> bytes:
    """A private key, armored: Ed25519 to sign and Curve25519 to encrypt, as gpg makes them."""
    user_id = f"{mailbox.name} <{mailbox.address}>" if mailbox.name else mailbox.address
    return str(sequoia().Tsk.generate(user_id, profile=sequoia().Profile.RFC4880)).encode("ascii")


def _public(secret: bytes) -> bytes:
    return str(sequoia().Tsk.from_bytes(secret).extract_certificate()).encode("utf-8")
