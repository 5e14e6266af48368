"""Whom letters are for, and the word for a letter that nobody needs any more."""

from sqlmodel import Session

from workflow.db.queries import people
from workflow.db.tables import Person, Recipient
from workflow.domain.delivery import Channel
from workflow.domain.roles import Permission, Role, grants
from workflow.mail.rendering import Reader
from workflow.services.parcels import Addressee

DECIDING = tuple(role for role in Role if grants(role, Permission.DECIDE))


def reader_of(who: Person | Recipient | Addressee) -> Reader:
    """The person or recipient as the reader of a letter."""
    return Reader(who.name, who.language)


class NotNeeded(Exception):
    """The letter would say what is no longer so."""


def addressee(reader: Person | Recipient) -> Addressee:
    """The person or recipient a letter is for. Raises NotNeeded for one who left."""
    if isinstance(reader, Recipient):
        if reader.removed_at is not None:
            raise NotNeeded(f"{reader.address} was removed from the recipients")
        return Addressee(reader.name, reader.address, Channel.SIGNED, recipient=reader.id, language=reader.language)
    if reader.disabled_at is not None:
        raise NotNeeded(f"{reader.email} has left")
    return Addressee(reader.name, reader.email, Channel.SIGNED, language=reader.language)


def require_decider(session: Session, reader: Person | Recipient) -> None:
    """Raises NotNeeded for somebody who may decide on nothing any more, and so may not read what waits either."""
    if not any(people.find_grant(session, reader.id, role) for role in DECIDING):
        raise NotNeeded(f"{reader.name} decides on nothing any more")
