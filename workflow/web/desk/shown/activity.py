"""The history of an application in sentences, one for each kind of event."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from workflow.domain import events as facts
from workflow.domain.approvals import Choice
from workflow.domain.delivery import CHANNEL_WORDS


class StoredEvent(Protocol):
    """What is read of a stored event."""

    type: str
    actor_name: str
    channel: str
    at: datetime
    payload: str


@dataclass(frozen=True)
class Entry:
    """One line of the history. `quote` is a person's words, or a server's (then `verbatim`)."""

    icon: str
    kind: str
    title: str
    at: datetime
    quote: str = ""
    verbatim: bool = False


Sentence = Callable[[str, Mapping[str, Any]], tuple[str, str, str]]
"""From the actor's name and the payload to icon, kind and sentence."""


TRIED: Mapping[str, str] = MappingProxyType(
    {
        Choice.APPROVE.value: "approve",
        Choice.REQUEST_CHANGES.value: "send back",
        Choice.REJECT.value: "reject",
    }
)


def _receipt_kept(_who: str, said: Mapping[str, Any]) -> tuple[str, str, str]:
    return "inbox", "", f"A receipt ({said['event']}) was kept as evidence: {said['reason']}"


REFUSED_BECAUSE: Mapping[str, str] = MappingProxyType(
    {
        "approvals.not_eligible": "nobody of their groups is asked",
        "approvals.prod_needs_a_person": "votes on PROD are cast on the page",
        "approvals.self_approval": "whoever submitted or edited an application never decides on it, nor does who acts for them",
        "approvals.stale_revision": "it was about a revision that had been replaced",
        "approvals.voted_already": "they had decided already",
        "application.already_moved": "somebody else was quicker",
        "application.illegal_move": "it did not wait for a decision",
        "application.licensed_meanwhile": "the platform got its first license meanwhile, so it can only be sent back",
        "application.version_moved": "somebody else was quicker",
        "delegations.not_theirs": "they did not act for this colleague",
    }
)
"""Why a vote did not count, by the refusal's code."""


def _vote_refused(who: str, said: Mapping[str, Any]) -> tuple[str, str, str]:
    because = REFUSED_BECAUSE.get(said["code"], said["code"])
    tried = TRIED.get(said["choice"], said["choice"])
    return "circle-alert", "warn", f"{who} tried to {tried} and was refused: {because}"


_SENTENCES: Mapping[str, Sentence] = MappingProxyType(
    {
        facts.DraftSaved.type: lambda who, said: (
            "pencil",
            "",
            f"Draft started by {who}" + (f", copied from {said['copied_from']}" if said["copied_from"] else ""),
        ),
        facts.ApplicationSubmitted.type: lambda who, said: (
            "send",
            "",
            f"Submitted by {who}" + (f", revision {said['revision']}" if said["revision"] > 1 else ""),
        ),
        facts.ApplicationRevised.type: lambda who, said: (
            "pencil",
            "",
            f"Revision {said['revision']} by {who}"
            + ("; earlier approvals no longer count" if said["content_changed"] else ""),
        ),
        facts.ApprovalRecorded.type: lambda who, _: ("user-check", "ok", f"Approved by {who}"),
        facts.ApprovalReminded.type: lambda _who, _said: ("clock", "", "Nobody decided in time; approvers were reminded"),
        facts.ApprovalEscalated.type: lambda _who, said: (
            "users",
            "warn",
            f"Nobody decided in time; one of {said['group']} is asked as well",
        ),
        facts.ApplicationApproved.type: lambda _who, said: (
            "circle-check",
            "ok",
            f"Every required approval is there ({said['approvals']})",
        ),
        facts.ChangesRequested.type: lambda who, _: ("undo-2", "warn", f"Sent back by {who}"),
        facts.ApplicationRejected.type: lambda who, _: ("circle-x", "bad", f"Rejected by {who}"),
        facts.VoteRefused.type: _vote_refused,
        facts.ApprovalRescinded.type: lambda who, _: ("undo-2", "warn", f"Approval taken back by {who}"),
        facts.ApplicationWithdrawn.type: lambda who, _: ("ban", "", f"Withdrawn by {who}"),
        facts.ApplicationHandedOver.type: lambda who, said: (
            "user-round",
            "",
            f"Handed over from {said['before']} to {said['after']} by {who}",
        ),
        facts.LicenseIssued.type: lambda _who, said: (
            "file-key",
            "info",
            f"License version {said['version']} signed with key {', '.join(key[:12] for key in said['key_ids'])}",
        ),
        facts.SigningFailed.type: lambda _who, _said: ("file-x", "bad", "Signing failed"),
        facts.DeliveryAccepted.type: lambda _who, said: (
            "mail-check",
            "ok",
            f"{CHANNEL_WORDS.get(said['channel'], 'Mail')} to {said['address']} accepted by the mail server",
        ),
        facts.DeliveryFailed.type: lambda _who, said: ("mail-x", "bad", f"Delivery to {said['address']} refused"),
        facts.DeliveryHeld.type: lambda _who, said: ("shield-alert", "warn", f"Delivery to {said['address']} held"),
        facts.RecipientConfirmed.type: lambda who, said: (
            "shield-check",
            "",
            f"Change of {said['address']} confirmed by {who}",
        ),
        facts.DeliveryBounced.type: lambda _who, said: (
            "mail-x",
            "bad",
            f"{CHANNEL_WORDS.get(said['channel'], 'Mail')} to {said['address']} came back"
            + (f" from {said['reporter']}" if said["reporter"] else ""),
        ),
        facts.LicenseDelivered.type: lambda _who, said: (
            "mail-check",
            "ok",
            f"Version {said['version']} counts as delivered",
        ),
        facts.LicenseDownloaded.type: lambda who, said: (
            "download",
            "",
            f"File downloaded by {who}, from {'the portal' if said['through'] == 'portal' else 'this desk'}",
        ),
        facts.LicenseActivated.type: lambda _who, said: (
            "badge-check",
            "ok",
            f"Version {said['version']} activated, reported by installation {said['installation']}",
        ),
        facts.LicenseScheduled.type: lambda _who, said: (
            "calendar-clock",
            "info",
            f"Version {said['version']} scheduled, reported by installation {said['installation']}",
        ),
        facts.ReceiptHandedIn.type: lambda who, said: (
            "inbox",
            "",
            f"{who} handed in the receipt ({said['event']}) of installation {said['installation']} as a file",
        ),
        facts.ReceiptKept.type: _receipt_kept,
        facts.LicenseSuperseded.type: lambda _who, said: (
            "layers",
            "",
            f"Version {said['version']} superseded by version {said['by_version']}",
        ),
        facts.RevocationAsked.type: lambda who, said: (
            "shield-alert",
            "warn",
            f"{who} asked for version {said['version']} to be revoked; another operator has to confirm it: {said['reason']}",
        ),
        facts.LicenseRevoked.type: lambda who, said: (
            "shield-x",
            "bad",
            f"Version {said['version']} revoked by {who}: {said['reason']}",
        ),
        facts.LicenseExpired.type: lambda _who, said: ("calendar", "warn", f"Version {said['version']} ended"),
        facts.LicenseNotActivated.type: lambda _who, said: (
            "hourglass",
            "warn",
            f"Not activated {said['days']} days after delivery",
        ),
        facts.ReminderSent.type: lambda _who, said: (
            "bell",
            "",
            f"Expiry reminder sent to {said['address']}, {said['days_ahead']} days ahead",
        ),
        facts.ReminderBounced.type: lambda _who, said: (
            "mail-x",
            "bad",
            f"Expiry reminder to {said['address']} came back",
        ),
        facts.ReminderAcknowledged.type: lambda who, said: ("check", "", f"Reminder to {said['address']} seen by {who}"),
    }
)


_VERBATIM: Mapping[str, str] = MappingProxyType(
    {
        facts.DeliveryFailed.type: "reply",
        facts.DeliveryBounced.type: "reply",
        facts.DeliveryHeld.type: "reason",
        facts.ReminderBounced.type: "reply",
        facts.SigningFailed.type: "reason",
    }
)
"""Which member of a failure's payload is somebody else's words, to be quoted as they are."""


def by_for(who: str, acting_for: str) -> str:
    """Who did something, and for which colleague out of office."""
    return f"{who} for {acting_for}" if acting_for else who


def entries(stored: Iterable[StoredEvent]) -> tuple[Entry, ...]:
    """The history, in the order given."""
    return tuple(entry(each) for each in stored)


def entry(stored: StoredEvent) -> Entry:
    """One event in words. An event this version does not know is named by its type: history never loses a line."""
    said: dict[str, Any] = json.loads(stored.payload)
    sentence = _SENTENCES.get(stored.type)
    who = by_for(stored.actor_name, str(said.get("acting_for") or ""))
    icon, kind, title = sentence(who, said) if sentence else ("circle", "", f"{stored.type} by {who}")
    words = str(said.get("comment") or "")
    answer = str(said.get(_VERBATIM.get(stored.type, ""), ""))
    return Entry(icon, kind, title, stored.at, words or answer, verbatim=bool(answer and not words))
