"""What comes back: the address and envelope id that each message gets, and what a report that names them says and proves."""

import hmac
from base64 import b32decode, b32encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

KEY_BYTES = 32
MAC_BYTES = 10
_TOKEN_LENGTH, _MAC_LENGTH = 26, 16


class Verdict(StrEnum):
    """What a report says became of the message."""

    FAILED = "failed"
    """a mail server has given it up"""
    DELAYED = "delayed"
    """a mail server goes on trying"""
    OTHER = "other"
    """nothing that could be read as either: an absence notice, a receipt, a stranger's letter"""


class Proof(StrEnum):
    """How a report was matched to a message, and so what whoever wrote it must have seen."""

    ENVELOPE = "envelope"
    """the envelope id (RFC 3461, 4.4), which carries our mark: only who handled the message on its way has it"""
    RETURN_PATH = "return_path"
    """the address it was sent back to, which carries the same mark: who handled the message, or who received it"""
    MESSAGE_ID = "message_id"
    """the Message-ID of what it returns: anybody to whom the letter was forwarded or quoted knows it, so it proves nothing"""

    @property
    def counts(self) -> bool:
        """Whether a report matched like this may change what the desk believes."""
        return self is not Proof.MESSAGE_ID


@dataclass(frozen=True)
class Tags:
    """Makes and reads the marks of one desk: `address` is where bounces come to, `key` is its secret."""

    address: str
    key: bytes = field(repr=False)

    def tag(self, job: UUID) -> str:
        """The mark of the message that this job sends: its id and a MAC over it (HMAC-SHA-256, 80 bits), letters and digits in
        one case, since mail servers may change the case of what they give back. Also its envelope id."""
        return f"{_base32(job.bytes)}.{_base32(self._mac(job))}"

    def return_path(self, job: UUID) -> str:
        """The address to which the message of this job comes back (a subaddress, RFC 5233)."""
        mailbox, _, domain = self.address.rpartition("@")
        return f"{mailbox}+{self.tag(job)}@{domain}"

    def job_of(self, tag: str) -> UUID | None:
        """The job of a mark; None when this desk did not make it."""
        token, _, given = tag.strip().lower().partition(".")
        if len(token) != _TOKEN_LENGTH or len(given) != _MAC_LENGTH:
            return None
        try:
            job = UUID(bytes=b32decode(token.upper() + "======"))
            mac = b32decode(given.upper())
        except ValueError:
            return None
        return job if hmac.compare_digest(mac, self._mac(job)) else None

    def job_at(self, address: str) -> UUID | None:
        """The job whose message comes back to this address; None for any other address."""
        mailbox, _, domain = self.address.lower().rpartition("@")
        local, _, at = address.strip().strip("<>").lower().rpartition("@")
        given, _, tag = local.partition("+")
        return self.job_of(tag) if (given, at) == (mailbox, domain) else None

    def is_ours(self, address: str) -> bool:
        """Whether bounces come to this address: the plain one, or a marked one."""
        return address.strip().strip("<>").lower() == self.address.lower() or self.job_at(address) is not None

    def _mac(self, job: UUID) -> bytes:
        return hmac.digest(self.key, b"licdesk bounce 1\0" + job.bytes, "sha256")[:MAC_BYTES]


def _base32(octets: bytes) -> str:
    return b32encode(octets).decode("ascii").rstrip("=").lower()


@dataclass(frozen=True)
class Report:
    """What a message that came back says, with everything of it that could be read, in bounded pieces.

    `envelope_id` and `addressed_to` are as they came; what they are worth is for `Tags` to say. `digest` is that of its body:
    the header fields change with every server that passes it on. `names` are the recipients that a report without fields was
    understood to be about; empty where the fields said it.
    """

    verdict: Verdict
    digest: str
    envelope_id: str = ""
    addressed_to: tuple[str, ...] = ()
    message_id: str = ""
    status: str = ""
    reporter: str = ""
    said: str = ""
    names: frozenset[str] = frozenset()


class Outcome(StrEnum):
    """What became of a report."""

    BOUNCED = "bounced"
    """a message that was accepted has come back: told to those who can help"""
    DELAYED = "delayed"
    """it is shown with its message"""
    NOTED = "noted"
    """it is shown with its message as a claim, and changes nothing"""
    KNOWN = "known"
    """it was taken in before"""
    DROPPED = "dropped"
    """it is about no message of this desk, says nothing, or is one too many"""
    LATER = "later"
    """it cannot be taken in now; whoever brought it keeps it and comes again"""


VERDICT_WORDS: Mapping[Verdict, str] = MappingProxyType(
    {Verdict.FAILED: "Not delivered", Verdict.DELAYED: "Delayed, is tried again", Verdict.OTHER: "Says nothing"}
)
PROOF_WORDS: Mapping[Proof, str] = MappingProxyType(
    {
        Proof.ENVELOPE: "Proven by the envelope",
        Proof.RETURN_PATH: "Proven by the return path",
        Proof.MESSAGE_ID: "A claim without proof, changes nothing",
    }
)
