"""The administrators who receive license files, and the keys that files are encrypted to."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from workflow.db import jobs, outbox
from workflow.db.queries import applications, customers
from workflow.db.tables import Recipient, Tenant
from workflow.db.tables.base import LANGUAGES
from workflow.domain.delivery import KeyKind, Trust
from workflow.domain.events import RecipientConfirmed, SystemFact
from workflow.domain.roles import Actor, Permission, may, require
from workflow.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from workflow.recipient_keys import MailTrust, read_key
from workflow.services.accounts import normal_address
from workflow.services.customers import CustomerRefused, one_line
from workflow.times import wall_now


class RecipientExists(Conflict):
    """The customer has a recipient with this address already."""

    code = "customers.recipient_exists"


class KeyChangedMeanwhile(Conflict):
    """What is to be confirmed is not what is on file any more, or was confirmed already."""

    code = "recipients.changed_meanwhile"


class SelfConfirmation(Forbidden):
    """Who changed a recipient confirms the change themselves."""

    code = "recipients.self_confirmation"


class NothingToConfirm(Invalid):
    """The key on file needs nobody's word, or there is none."""

    code = "recipients.nothing_to_confirm"


def add_recipient(
    session: Session,
    actor: Actor,
    tenant: Tenant,
    *,
    name: str,
    address: str,
    key: bytes | None,
    trust: MailTrust,
    now: datetime,
    wall: datetime,
    language: str = "en",
    backup: bool = False,
) -> Recipient:
    """A new recipient of this customer's files. Raises CustomerRefused, CertificateRefused, OpenPGPKeyRefused or
    RecipientExists.

    Without a key (a certificate or an OpenPGP key) the recipient gets a link instead of the file.
    """
    require(actor, Permission.EDIT_CUSTOMERS)
    name = _checked(name, language)
    address = normal_address(address, "address")
    known = customers.find_recipient(session, tenant.id, address)
    if known is not None and known.removed_at is None:
        raise RecipientExists(f"{address} receives files of this customer already.")
    recipient = known or Recipient(tenant=tenant.id, name=name, address=address, created_at=now, changed_at=now)
    recipient.name, recipient.language, recipient.backup, recipient.removed_at = name, language, backup, None
    _put_key(recipient, key, trust, wall)
    _mark_changed(recipient, actor, now)
    session.add(recipient)
    outbox.record(session, SystemFact("recipient.added", str(recipient.id), address), actor, now)
    return recipient


def change_key(
    session: Session, actor: Actor, recipient_id: UUID, key: bytes | None, *, trust: MailTrust, now: datetime, wall: datetime
) -> Recipient:
    """Puts a certificate or an OpenPGP key on file instead of the one that is there, or takes it off with None. The same key
    again changes nothing. Raises CertificateRefused or OpenPGPKeyRefused."""
    require(actor, Permission.EDIT_CUSTOMERS)
    recipient = customers.get_recipient(session, recipient_id, locked=True)
    before = (recipient.key, recipient.key_kind)
    confirmed = (recipient.fingerprint, recipient.confirmed_by, recipient.confirmed_at)
    _put_key(recipient, key, trust, wall)
    if (recipient.key, recipient.key_kind) == before:
        if recipient.fingerprint == confirmed[0]:
            recipient.confirmed_by, recipient.confirmed_at = confirmed[1:]
        return recipient
    _mark_changed(recipient, actor, now)
    what = "recipient.openpgp_key" if recipient.key_kind == KeyKind.OPENPGP else "recipient.certificate"
    outbox.record(session, SystemFact(what, str(recipient.id), recipient.fingerprint or "removed"), actor, now)
    return recipient


def change_person(
    session: Session, actor: Actor, recipient_id: UUID, *, name: str, language: str, backup: bool, now: datetime
) -> Recipient:
    """How somebody is called and written to. Neither address nor key change here. Raises CustomerRefused."""
    require(actor, Permission.EDIT_CUSTOMERS)
    recipient = customers.get_recipient(session, recipient_id, locked=True)
    recipient.name, recipient.language, recipient.backup = _checked(name, language), language, backup
    said = f"{recipient.name}, {language}{', backup' if backup else ''}"
    outbox.record(session, SystemFact("recipient.person", str(recipient.id), said), actor, now)
    return recipient


def confirm_key(session: Session, actor: Actor, recipient_id: UUID, fingerprint: str, now: datetime) -> Recipient:
    """An operator has compared the fingerprint with what the key's owner said: from now on files are encrypted to it.

    `fingerprint` is the one that was looked at (blanks and case do not count). Raises NothingToConfirm, KeyChangedMeanwhile.
    """
    require(actor, Permission.OPERATE)
    recipient = customers.get_recipient(session, recipient_id, locked=True)
    if recipient.key is None or recipient.trust != Trust.PINNED:
        raise NothingToConfirm(f"The key of {recipient.name} needs no confirmation. Look at the customer's page.")
    if recipient.fingerprint != "".join(fingerprint.split()).lower():
        raise KeyChangedMeanwhile(f"This is not the fingerprint on file for {recipient.name}. Compare the one that is.")
    if recipient.confirmed_at is not None:
        raise KeyChangedMeanwhile(f"The key of {recipient.name} was confirmed already.")
    recipient.confirmed_by, recipient.confirmed_at = actor.person_id, now
    outbox.record(session, SystemFact("recipient.key_confirmed", str(recipient.id), recipient.fingerprint), actor, now)
    if recipient.change_confirmed_at is None and recipient.changed_by != actor.person_id:
        _note_confirmed(session, actor, recipient, now)  # whoever compared the fingerprint has seen the change
    else:
        fact = RecipientConfirmed(str(recipient.id), recipient.address, recipient.fingerprint)
        _release(session, actor, recipient, fact, now)
    return recipient


def confirm_change(session: Session, actor: Actor, recipient_id: UUID, seen: datetime, now: datetime) -> Recipient:
    """Somebody other than who changed the recipient says that address and key are right; deliveries held for them go on.

    `seen` is when the change happened that was looked at. Raises SelfConfirmation, KeyChangedMeanwhile.
    """
    if not may(actor, Permission.DECIDE):
        require(actor, Permission.OPERATE)
    recipient = customers.get_recipient(session, recipient_id, locked=True)
    if recipient.changed_by is not None and recipient.changed_by == actor.person_id:
        raise SelfConfirmation(f"You changed {recipient.name} yourself, so an operator or approver other than you confirms it.")
    if recipient.changed_at != seen or recipient.change_confirmed_at is not None or recipient.removed_at is not None:
        raise KeyChangedMeanwhile(f"{recipient.name} was changed or confirmed meanwhile. Look at the page again.")
    _note_confirmed(session, actor, recipient, now)
    return recipient


def _note_confirmed(session: Session, actor: Actor, recipient: Recipient, now: datetime) -> None:
    recipient.change_confirmed_by, recipient.change_confirmed_at = actor.person_id, now
    fact = RecipientConfirmed(str(recipient.id), recipient.address, recipient.fingerprint or "")
    outbox.record(session, SystemFact("recipient.change_confirmed", str(recipient.id), recipient.address), actor, now)
    _release(session, actor, recipient, fact, now)


def _release(session: Session, actor: Actor, recipient: Recipient, fact: RecipientConfirmed, now: datetime) -> None:
    for released in jobs.release(session, recipient.id, wall_now()):
        application = applications.get_locked(session, released)
        outbox.record(session, fact, actor, now, application=application)


def remove_recipient(session: Session, actor: Actor, recipient_id: UUID, now: datetime) -> None:
    """Nothing is sent to this recipient any more; what was sent stays on record."""
    require(actor, Permission.EDIT_CUSTOMERS)
    recipient = customers.get_recipient(session, recipient_id, locked=True)
    if recipient.removed_at is not None:
        raise NotFound("This recipient was removed already.")
    recipient.removed_at = now
    outbox.record(session, SystemFact("recipient.removed", str(recipient.id), recipient.address), actor, now)


def _checked(name: str, language: str) -> str:
    name = one_line(name)
    problems: list[Problem] = []
    if not name or len(name) > 200 or not name.isprintable():
        problems.append(Problem("name", "missing", "Enter the recipient's name in at most 200 characters."))
    if language not in LANGUAGES:
        problems.append(Problem("language", "unknown", f"Choose one of these languages: {', '.join(LANGUAGES)}."))
    if problems:
        raise CustomerRefused("The recipient was not kept.", problems)
    return name


def _put_key(recipient: Recipient, data: bytes | None, trust: MailTrust, wall: datetime) -> None:
    read = read_key(data, recipient.address, wall, trust) if data else None
    recipient.key = read.text if read else None
    recipient.key_kind = read.kind if read else None
    recipient.fingerprint = read.fingerprint.lower() if read else None
    recipient.key_ends_at = read.ends_at if read else None
    recipient.trust = read.trust if read else None
    recipient.confirmed_by = recipient.confirmed_at = None


def _mark_changed(recipient: Recipient, actor: Actor, now: datetime) -> None:
    recipient.changed_at, recipient.changed_by = now, actor.person_id
    recipient.change_confirmed_at = recipient.change_confirmed_by = None
