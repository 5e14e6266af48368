"""States in words and pictures: the badge of a status, and the five steps of the path."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from workflow.domain.application import SPINE, STANDING_WORDS, STATUS_WORDS, Standing, Status
from workflow.domain.events import REACHED_BY, ApplicationSubmitted
from workflow.templating import instant


@dataclass(frozen=True)
class Badge:
    """A word with its icon; `kind` is the color and never the only difference."""

    text: str
    kind: str = ""
    icon: str = ""


STATUS_BADGES: Mapping[Status, Badge] = MappingProxyType(
    {
        Status.DRAFT: Badge(STATUS_WORDS[Status.DRAFT], "", "pencil"),
        Status.SUBMITTED: Badge(STATUS_WORDS[Status.SUBMITTED], "info", "send"),
        Status.CHANGES_REQUESTED: Badge(STATUS_WORDS[Status.CHANGES_REQUESTED], "warn", "undo-2"),
        Status.APPROVED: Badge(STATUS_WORDS[Status.APPROVED], "info", "user-check"),
        Status.ISSUED: Badge(STATUS_WORDS[Status.ISSUED], "info", "file-check"),
        Status.DELIVERED: Badge(STATUS_WORDS[Status.DELIVERED], "info", "mail-check"),
        Status.ACTIVATED: Badge(STATUS_WORDS[Status.ACTIVATED], "ok", "badge-check"),
        Status.REJECTED: Badge(STATUS_WORDS[Status.REJECTED], "bad", "circle-x"),
        Status.WITHDRAWN: Badge(STATUS_WORDS[Status.WITHDRAWN], "", "ban"),
        Status.SUPERSEDED: Badge(STATUS_WORDS[Status.SUPERSEDED], "", "layers"),
        Status.EXPIRED: Badge(STATUS_WORDS[Status.EXPIRED], "", "calendar"),
        Status.REVOKED: Badge(STATUS_WORDS[Status.REVOKED], "bad", "shield-x"),
    }
)

STANDING_BADGES: Mapping[str, Badge] = MappingProxyType(
    {
        Standing.ISSUED: Badge(STANDING_WORDS[Standing.ISSUED], "info", "file-check"),
        Standing.SCHEDULED: Badge(STANDING_WORDS[Standing.SCHEDULED], "info", "calendar-clock"),
        Standing.ACTIVATED: Badge(STANDING_WORDS[Standing.ACTIVATED], "ok", "badge-check"),
        Standing.SUPERSEDED: Badge(STANDING_WORDS[Standing.SUPERSEDED], "", "layers"),
        Standing.EXPIRED: Badge(STANDING_WORDS[Standing.EXPIRED], "", "calendar"),
        Standing.REVOKED: Badge(STANDING_WORDS[Standing.REVOKED], "bad", "shield-x"),
    }
)

REQUEST_WORDS: Mapping[str, str] = MappingProxyType({"new": "New license", "renewal": "Renewal", "change": "Change"})


def status_badge(status: str) -> Badge:
    """The badge of an application's status."""
    return STATUS_BADGES[Status(status)]


class StepKind(StrEnum):
    """How far a step is."""

    DONE = "done"
    NOW = "now"
    AHEAD = "todo"
    STOP = "stop"


@dataclass(frozen=True)
class Step:
    """One of the five steps."""

    kind: StepKind
    icon: str
    label: str
    when: str = ""
    who: str = ""


class Fact(Protocol):
    """What is read of a stored event."""

    type: str
    actor_name: str
    at: datetime


_STOPPED_BY: Mapping[Status, str] = MappingProxyType(
    {
        Status.CHANGES_REQUESTED: "application.changes_requested",
        Status.REJECTED: "application.rejected",
        Status.WITHDRAWN: "application.withdrawn",
        Status.SUPERSEDED: "license.superseded",
        Status.EXPIRED: "license.expired",
        Status.REVOKED: "license.revoked",
    }
)
_WAITING: Mapping[Status, tuple[str, str]] = MappingProxyType(
    {
        Status.SUBMITTED: ("Not submitted yet", ""),
        Status.APPROVED: ("Waiting for approval", ""),
        Status.ISSUED: ("Being signed", "Automatic"),
        Status.DELIVERED: ("Being sent", "Automatic"),
        Status.ACTIVATED: ("Waiting for upload", "by a platform administrator"),
    }
)
_AUTOMATIC: Mapping[Status, str] = MappingProxyType(
    {Status.ISSUED: "Signed automatically", Status.ACTIVATED: "Reported by the platform"}
)


def steps(status: str, facts: Iterable[Fact], zone: str, *, delivered_to: str = "", approved_by: str = "") -> tuple[Step, ...]:
    """The five steps of an application, from its status and its events (oldest first).

    A step reached again (after a change request) shows the last time. `delivered_to` ("To 1 of 2 recipients") and
    `approved_by` name more than the event that moved the application knows.
    """
    state = Status(status)
    reached: dict[Status, Fact] = {}
    stopped: Fact | None = None
    for fact in facts:
        if fact.type == ApplicationSubmitted.type:
            reached.clear()
        if fact.type in REACHED_BY:
            reached[REACHED_BY[fact.type]] = fact
        if fact.type == _STOPPED_BY.get(state):
            stopped = fact
    said = {Status.DELIVERED: delivered_to, Status.APPROVED: approved_by}
    shown: list[Step] = []
    halted = False
    for step in SPINE:
        badge = STATUS_BADGES[step]
        if step in reached:
            fact = reached[step]
            who = said.get(step) or _AUTOMATIC.get(step) or fact.actor_name
            shown.append(Step(StepKind.DONE, "check", badge.text, _short(fact.at, zone), who))
        elif halted:
            shown.append(Step(StepKind.AHEAD, badge.icon, badge.text))
        elif state in _STOPPED_BY:
            # A platform can report the activation before the mail server answered: what comes later proves the step.
            halted = True
            end = STATUS_BADGES[state]
            when, who = (_short(stopped.at, zone), stopped.actor_name) if stopped else ("", "")
            shown.append(Step(StepKind.STOP, end.icon, end.text, when, who))
        elif any(later in reached for later in SPINE[SPINE.index(step) :]):
            shown.append(Step(StepKind.DONE, "check", badge.text))
        else:
            halted = True
            when, who = _WAITING[step]
            if step is Status.DELIVERED and delivered_to:
                who = delivered_to
            shown.append(Step(StepKind.NOW, badge.icon, badge.text, when, who))
    return tuple(shown)


def simple_steps(status: str) -> tuple[Step, ...]:
    """The five steps without times, for lists: all that a status alone tells."""
    state = Status(status)
    if state in SPINE:
        done = SPINE.index(state) + 1
    elif state in (Status.SUPERSEDED, Status.EXPIRED, Status.REVOKED):
        done = len(SPINE)
    else:
        done = 0 if state in (Status.DRAFT, Status.WITHDRAWN) else 1
    ends = state in (Status.CHANGES_REQUESTED, Status.REJECTED, Status.WITHDRAWN)
    made = []
    for position, step in enumerate(SPINE):
        kind = StepKind.AHEAD
        if position < done:
            kind = StepKind.DONE
        elif position == done:
            kind = StepKind.STOP if ends else StepKind.NOW
        made.append(Step(kind, STATUS_BADGES[step].icon, STATUS_BADGES[step].text))
    return tuple(made)


def _short(at: datetime, zone: str) -> str:
    """23 Nov 2026, 14:35"""
    return instant(at, zone)
