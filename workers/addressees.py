"""Whom letters are for, and the word for a letter that nobody needs any more."""

from workers import mailing
from workflow.db.tables import Person, Recipient
from workflow.services.delivery import Addressee


class NotNeeded(Exception):
    """The letter would say what is no longer so."""


def addressee(reader: Person | Recipient) -> Addressee:
    """The person or recipient a letter is for. Raises NotNeeded for one who left."""
    if isinstance(reader, Recipient):
        if reader.removed_at is not None:
            raise NotNeeded(f"{reader.address} was removed from the recipients")
        return Addressee(reader.name, reader.address, mailing.SIGNED, recipient=reader.id)
    if reader.disabled_at is not None:
        raise NotNeeded(f"{reader.email} has left")
    return Addressee(reader.name, reader.email, mailing.SIGNED)
