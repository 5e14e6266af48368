"""One event of the history as a row of the audit page, and what the witness last said of all of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from workflow.db.chains import Break
from workflow.db.tables import Heartbeat
from workflow.domain.events import Event, SystemFact
from workflow.services.trail import Line
from workflow.services.witnessing import DOUBT
from workflow.web.desk.shown.activity import entry

DOORS: Mapping[str, str] = MappingProxyType(
    {"web": "page", "api": "API", "cli": "command line", "portal": "portal", "system": "by itself"}
)
FACTS: Mapping[str, str] = MappingProxyType(
    {
        "customer.added": "Customer added",
        "delegation.ended": "Nobody acts any more for an approver out of office",
        "delegation.given": "Somebody acts for an approver out of office",
        "environment.added": "Environment added",
        "installation.confirmed": "Platform confirmed",
        "mail.test_asked": "Test mail asked for",
        "mail.test_answered": "Test mail answered",
        "job.cancelled": "Job given up",
        "job.retried": "Job retried",
        "person.disabled": "Person disabled",
        "person.forgot_password": "Link for a new password asked for",
        "person.invited": "Person invited",
        "person.password_changed": "Own password changed",
        "person.password_set": "Password set",
        "person.reset_link_made": "Link for a new password made",
        "person.signed_in": "Signed in",
        "person.team_changed": "Team changed",
        "policy.adopted": "Policy adopted",
        "portal.code_asked": "Portal code asked for",
        "recipient.added": "Recipient added",
        "recipient.certificate": "Recipient's certificate replaced",
        "recipient.openpgp_key": "Recipient's OpenPGP key replaced",
        "recipient.person": "Recipient's name or language changed",
        "recipient.key_confirmed": "Fingerprint of a recipient's key confirmed",
        "recipient.change_confirmed": "Change of a recipient confirmed",
        "recipient.removed": "Recipient removed",
        "revocations.published": "Revocation list published",
        "role.granted": "Role granted",
        "role.revoked": "Role taken away",
        "second_factor.recovery_codes_renewed": "Recovery codes made anew",
        "second_factor.set_up": "Second factor set up",
        "second_factor.turned_off": "Second factor turned off",
        "token.made": "API token made",
        "token.revoked": "API token revoked",
    }
)
OVERDUE = timedelta(hours=30)
"""A checkpoint each day, and some hours for a machine that was off."""


def kinds() -> list[tuple[str, str]]:
    """Every type of event there is, for the filter."""
    found = sorted({each.type for each in _kinds_of(Event)})
    return [("", "All events"), *((kind, _in_words(kind)) for kind in found)]


@dataclass(frozen=True)
class Row:
    """One event."""

    id: UUID
    at: datetime
    icon: str
    kind: str
    title: str
    quote: str
    type: str
    who: str
    door: str
    network: str
    request: str
    number: str
    revision: int | None
    policy: str
    sequence: int
    hash: str
    payload: str


def row(line: Line) -> Row:
    """An event in words, with everything that is on record about it."""
    event = line.event
    shown = entry(event)
    said = json.loads(event.payload)
    title = _fact_in_words(said) if event.type == SystemFact.type else shown.title
    return Row(
        id=event.id,
        at=event.at,
        icon=shown.icon,
        kind=shown.kind,
        title=title,
        quote=shown.quote,
        type=event.type,
        who=event.actor_name,
        door=DOORS.get(event.channel, event.channel),
        network=event.network or "",
        request=event.request_id or "",
        number=line.number,
        revision=event.revision,
        policy=line.policy,
        sequence=event.sequence,
        hash=event.hash,
        payload=json.dumps(said, indent=1, ensure_ascii=False, sort_keys=True),
    )


@dataclass(frozen=True)
class Word:
    """What the page says of the history as a whole. `kind` is a notice's: ok, warn, bad."""

    kind: str
    icon: str
    title: str
    text: str


def word_of_the_witness(beat: Heartbeat | None, last: tuple[int, datetime] | None, wall: datetime) -> Word:
    """What the witness saw when it last looked, and whether it looks at all."""
    if beat is not None and beat.detail.startswith(DOUBT):
        return Word("bad", "shield-alert", "The history does not hold", beat.detail.removeprefix(DOUBT))
    if last is None:
        return Word("warn", "triangle-alert", "Nobody has witnessed the history yet", "Start the witness: licdesk witness")
    number, at = last
    if wall - at > OVERDUE:
        said = f"Checkpoint {number} is the last one. Look whether the witness runs."
        return Word("warn", "triangle-alert", "No checkpoint was signed for more than a day", said)
    return Word("ok", "shield-check", f"Checkpoint {number} is signed", beat.detail if beat else "")


def word_of_a_chain(number: str, events: int, broken: Break | None) -> Word:
    """Whether the chain of one application holds, as it was just walked."""
    if broken is not None:
        said = f"Event {broken.sequence} is the first that is wrong. Run licdesk audit verify, which says more."
        return Word("bad", "shield-alert", f"The history of {number} is broken at event {broken.sequence}", said)
    return Word("ok", "shield-check", f"The history of {number} is whole", f"{events:,} events, each sealed by the next.")


def _fact_in_words(said: Mapping[str, str]) -> str:
    what = FACTS.get(said["what"], said["what"].replace(".", ", ").replace("_", " ").capitalize())
    return f"{what}: {said['detail']}" if said["detail"] else what


def _in_words(kind: str) -> str:
    if kind == SystemFact.type:
        return "Desk: sign-ins, roles, customers"
    subject, _, what = kind.partition(".")
    return f"{subject.capitalize()}: {what.replace('_', ' ')}"


def _kinds_of(family: type[Event]) -> list[type[Event]]:
    return [each for child in family.__subclasses__() for each in (child, *_kinds_of(child))]
