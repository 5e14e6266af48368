"""The states of an application and the one table of moves between them, and the standings of the license it led to."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from workflow.errors import Conflict


class Status(StrEnum):
    """What is true of an application. "Signing failed twice" is the job's business, not a status."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    ISSUED = "issued"
    DELIVERED = "delivered"
    ACTIVATED = "activated"
    CHANGES_REQUESTED = "changes_requested"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    REVOKED = "revoked"


STATUS_WORDS: Mapping[Status, str] = MappingProxyType(
    {
        Status.DRAFT: "Draft",
        Status.SUBMITTED: "Submitted",
        Status.CHANGES_REQUESTED: "Sent back",
        Status.APPROVED: "Approved",
        Status.ISSUED: "Issued",
        Status.DELIVERED: "Delivered",
        Status.ACTIVATED: "Activated",
        Status.REJECTED: "Rejected",
        Status.WITHDRAWN: "Withdrawn",
        Status.SUPERSEDED: "Superseded",
        Status.EXPIRED: "Ended",
        Status.REVOKED: "Revoked",
    }
)
"""A status as people call it, on pages and on the command line."""


class Standing(StrEnum):
    """What is true of an issued license, as far as this desk was told."""

    ISSUED = "issued"
    SCHEDULED = "scheduled"
    ACTIVATED = "activated"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    REVOKED = "revoked"


STANDING_WORDS: Mapping[Standing, str] = MappingProxyType(
    {
        Standing.ISSUED: "Not activated yet",
        Standing.SCHEDULED: "Scheduled",
        Standing.ACTIVATED: "Active",
        Standing.SUPERSEDED: "Superseded",
        Standing.EXPIRED: "Ended",
        Standing.REVOKED: "Revoked",
    }
)
COUNTING = (Standing.ISSUED, Standing.SCHEDULED, Standing.ACTIVATED)
"""Standings of a license that is in force or still can be."""


class Action(StrEnum):
    """What someone or something wants to do to an application."""

    SAVE = "save"
    SUBMIT = "submit"
    REVISE = "revise"
    RECORD_APPROVAL = "record_approval"
    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"
    REJECT = "reject"
    RESCIND = "rescind"
    WITHDRAW = "withdraw"
    ISSUE = "issue"
    DELIVER = "deliver"
    ACTIVATE = "activate"
    SUPERSEDE = "supersede"
    EXPIRE = "expire"
    REVOKE = "revoke"


SPINE = (Status.SUBMITTED, Status.APPROVED, Status.ISSUED, Status.DELIVERED, Status.ACTIVATED)
FINAL = frozenset({Status.REJECTED, Status.WITHDRAWN, Status.SUPERSEDED, Status.EXPIRED, Status.REVOKED})
LIVE = frozenset({Status.ISSUED, Status.DELIVERED, Status.ACTIVATED})
"""A license exists and counts."""

TRANSITIONS: Mapping[tuple[Status, Action], Status] = MappingProxyType(
    {
        (Status.DRAFT, Action.SAVE): Status.DRAFT,
        (Status.DRAFT, Action.SUBMIT): Status.SUBMITTED,
        (Status.DRAFT, Action.WITHDRAW): Status.WITHDRAWN,
        (Status.CHANGES_REQUESTED, Action.SAVE): Status.CHANGES_REQUESTED,
        (Status.CHANGES_REQUESTED, Action.SUBMIT): Status.SUBMITTED,
        (Status.CHANGES_REQUESTED, Action.WITHDRAW): Status.WITHDRAWN,
        (Status.SUBMITTED, Action.REVISE): Status.SUBMITTED,
        (Status.SUBMITTED, Action.RECORD_APPROVAL): Status.SUBMITTED,
        (Status.SUBMITTED, Action.APPROVE): Status.APPROVED,
        (Status.SUBMITTED, Action.REQUEST_CHANGES): Status.CHANGES_REQUESTED,
        (Status.SUBMITTED, Action.REJECT): Status.REJECTED,
        (Status.SUBMITTED, Action.WITHDRAW): Status.WITHDRAWN,
        (Status.APPROVED, Action.RESCIND): Status.CHANGES_REQUESTED,
        (Status.APPROVED, Action.WITHDRAW): Status.WITHDRAWN,
        (Status.APPROVED, Action.ISSUE): Status.ISSUED,
        (Status.ISSUED, Action.DELIVER): Status.DELIVERED,
        (Status.ISSUED, Action.ACTIVATE): Status.ACTIVATED,
        (Status.DELIVERED, Action.ACTIVATE): Status.ACTIVATED,
        (Status.ISSUED, Action.SUPERSEDE): Status.SUPERSEDED,
        (Status.DELIVERED, Action.SUPERSEDE): Status.SUPERSEDED,
        (Status.ACTIVATED, Action.SUPERSEDE): Status.SUPERSEDED,
        (Status.ISSUED, Action.EXPIRE): Status.EXPIRED,
        (Status.DELIVERED, Action.EXPIRE): Status.EXPIRED,
        (Status.ACTIVATED, Action.EXPIRE): Status.EXPIRED,
        (Status.ISSUED, Action.REVOKE): Status.REVOKED,
        (Status.DELIVERED, Action.REVOKE): Status.REVOKED,
        (Status.ACTIVATED, Action.REVOKE): Status.REVOKED,
    }
)


_IS = {Status.DRAFT: "a draft", Status.CHANGES_REQUESTED: "sent back"}
_CANNOT: Mapping[Action, str] = MappingProxyType(
    {
        Action.SAVE: "be edited",
        Action.SUBMIT: "be submitted",
        Action.REVISE: "be revised",
        Action.RECORD_APPROVAL: "be approved",
        Action.APPROVE: "be approved",
        Action.REQUEST_CHANGES: "be sent back",
        Action.REJECT: "be rejected",
        Action.RESCIND: "have its approval taken back",
        Action.WITHDRAW: "be withdrawn",
        Action.ISSUE: "be issued",
        Action.DELIVER: "be delivered",
        Action.ACTIVATE: "be activated",
        Action.SUPERSEDE: "be superseded",
        Action.EXPIRE: "expire",
        Action.REVOKE: "be revoked",
    }
)


class IllegalMove(Conflict):
    """The table has no such move from this status."""

    code = "application.illegal_move"
    title = "That is not possible any more"

    def __init__(self, status: Status, action: Action) -> None:
        super().__init__(
            f"This application is {_IS.get(status, status.value)}, so it cannot {_CANNOT[action]}. "
            "Look at its page for what happened."
        )
        self.status = status
        self.action = action


def next_status(status: Status, action: Action) -> Status:
    """Where `action` leads from `status`. Raises IllegalMove when the table has no such move."""
    try:
        return TRANSITIONS[status, action]
    except KeyError:
        raise IllegalMove(status, action) from None


def allows(status: Status, action: Action) -> bool:
    """Whether the table has this move: for showing a button, never for deciding a write."""
    return (status, action) in TRANSITIONS
