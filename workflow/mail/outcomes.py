"""What became of an attempt to send: accepted, or a failure with its meaning for the job that sends."""

import re
from dataclasses import dataclass
from enum import StrEnum

_MAILBOX_FULL = re.compile(r"\b[45]\.2\.2\b")


class Failure(StrEnum):
    """What a failed attempt means."""

    TEMPORARY = "temporary"
    """not sent; try again with a growing pause"""
    MAILBOX_FULL = "mailbox_full"
    """not sent; worth trying for three days"""
    PERMANENT = "permanent"
    """not sent; the same message to the same recipient will be refused again"""
    CONFIGURATION = "configuration"
    """not sent; no message will go out until an operator changes the mail settings"""
    OUTCOME_UNKNOWN = "outcome_unknown"
    """the server was given the message and did not say what became of it"""


@dataclass(frozen=True)
class Accepted:
    """The server's answer that took responsibility for the message. It says nothing about anyone having read it."""

    code: int
    reply: str


class TransportError(Exception):
    """A message that was not accepted. `code` and `reply` are the server's, verbatim; code 0 when it gave no answer."""

    def __init__(self, failure: Failure, code: int, reply: str) -> None:
        super().__init__(f"{code} {reply}" if code else reply)
        self.failure = failure
        self.code = code
        self.reply = reply

    @property
    def permanent(self) -> bool:
        """Whether trying again is useless."""
        return self.failure is Failure.PERMANENT

    @property
    def outcome_unknown(self) -> bool:
        """Whether the message may have been accepted: look it up before sending it again."""
        return self.failure is Failure.OUTCOME_UNKNOWN


def refusal(code: int, reply: str, *, of_this_desk: bool = False) -> TransportError:
    """The error for a server's negative answer. `of_this_desk`: it was given before any message was named, so a lasting
    refusal concerns the settings and not one recipient."""
    if code in (530, 534, 535, 538):  # authentication required, too weak, failed, needs encryption
        return TransportError(Failure.CONFIGURATION, code, reply)
    if _MAILBOX_FULL.search(reply):
        return TransportError(Failure.MAILBOX_FULL, code, reply)
    if 500 <= code <= 599:
        return TransportError(Failure.CONFIGURATION if of_this_desk else Failure.PERMANENT, code, reply)
    return TransportError(Failure.TEMPORARY, max(code, 0), reply)


def no_answer(reply: str) -> TransportError:
    """The error for a connection that failed before the message was handed over."""
    return TransportError(Failure.TEMPORARY, 0, reply)
