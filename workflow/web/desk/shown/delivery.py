"""How a message gets on, in words: accepted by the mail server is never "received"."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

from workflow.db.jobs import HELD
from workflow.db.tables import Attempt, BounceRow
from workflow.domain.bounces import PROOF_WORDS, VERDICT_WORDS, Proof, Verdict
from workflow.domain.delivery import (
    ATTEMPT_WORDS,
    CHANNEL_WORDS,
    SETTLED_WORDS,
    AttemptResult,
    Channel,
    DeliveryState,
    Settled,
)
from workflow.domain.events import JobState
from workflow.templating import instant
from workflow.web.desk.shown.states import Badge


class Message(Protocol):
    """What is read of a stored message."""

    channel: str
    state: str
    attempts: int
    smtp_code: int | None
    smtp_reply: str | None
    sent_at: datetime | None
    downloaded_at: datetime | None
    resolved_by: str | None


class Work(Protocol):
    """What is read of the job behind it."""

    id: UUID
    state: str
    attempts: int
    next_at: datetime
    last_error: str | None
    detail: str


@dataclass(frozen=True)
class ShownDelivery:
    """One recipient's line."""

    badge: Badge
    under: str
    channel: str
    answer: str
    waits: bool
    """waiting for its next try: it can be tried now"""
    held: bool
    """waiting for somebody to confirm the recipient, or for a key"""
    ended: bool
    """accepted, refused or given up: another round is possible"""


def shown_delivery(message: Message | None, job: Work, zone: str) -> ShownDelivery:
    """A delivery in words, from the message (once there is one) and the job that carries it."""
    held = job.state == JobState.DEAD and job.detail == HELD
    badge, under = (Badge("Held", "bad", "shield-alert"), "") if held else _state(message, job, zone)
    return ShownDelivery(
        badge=badge,
        under=under,
        channel=CHANNEL_WORDS[Channel(message.channel)] if message else "",
        answer=(job.last_error or "") if held else _answer(message, job),
        held=held,
        waits=job.state == JobState.PENDING and job.attempts > 0,
        ended=not held and job.state in (JobState.DONE, JobState.DEAD, JobState.CANCELLED),
    )


@dataclass(frozen=True)
class ShownAttempt:
    """One attempt in the ledger of a message."""

    at: datetime
    badge: Badge
    channel: str
    fingerprint: str
    answer: str


@dataclass(frozen=True)
class ShownReport:
    """What came back, in the ledger of a message."""

    at: datetime
    badge: Badge
    proof: str
    status: str
    reporter: str
    said: str


_ATTEMPT_BADGES: Mapping[AttemptResult, tuple[str, str]] = MappingProxyType(
    {
        AttemptResult.ACCEPTED: ("ok", "mail-check"),
        AttemptResult.PUT_OFF: ("warn", "mail-warning"),
        AttemptResult.REFUSED: ("bad", "mail-x"),
        AttemptResult.UNANSWERED: ("bad", "mail-question-mark"),
    }
)


def shown_attempt(row: Attempt) -> ShownAttempt:
    """One attempt in words."""
    result = AttemptResult(row.result)
    answer = f"{row.smtp_code or ''} {row.smtp_reply or ''}".strip()
    badge = Badge(ATTEMPT_WORDS[result], *_ATTEMPT_BADGES[result])
    return ShownAttempt(row.at, badge, CHANNEL_WORDS[Channel(row.channel)], row.fingerprint or "", answer)


def shown_report(row: BounceRow) -> ShownReport:
    """One report in words; a claim that proves nothing looks like none that does."""
    verdict, proof = Verdict(row.verdict), Proof(row.proof)
    kind = "" if not proof.counts else ("bad" if verdict is Verdict.FAILED else "warn")
    icon = "mail-x" if verdict is Verdict.FAILED else "clock"
    badge = Badge(VERDICT_WORDS[verdict], kind, icon)
    return ShownReport(row.received_at, badge, PROOF_WORDS[proof], row.status, row.reporter, row.said)


def _state(message: Message | None, job: Work, zone: str) -> tuple[Badge, str]:
    tried = _try_words(job.attempts)
    if message is None:
        if job.state == JobState.DEAD:
            return Badge("Given up", "bad", "mail-x"), tried
        if job.state == JobState.CANCELLED:
            return Badge("Cancelled by an operator", "", "ban"), ""
        if job.attempts > 0 and job.last_error:
            return Badge("Failed, will try again", "warn", "mail-warning"), _next_words(job, zone)
        return Badge("Being prepared", "", "clock"), ""
    match message.state:
        case DeliveryState.ACCEPTED:
            link = "Link accepted by mail server" if message.channel == Channel.PORTAL else "Accepted by mail server"
            when = instant(message.sent_at, zone) if message.sent_at else ""
            if message.downloaded_at:
                return Badge("Downloaded", "ok", "download"), instant(message.downloaded_at, zone)
            settled = SETTLED_WORDS[Settled(message.resolved_by)] if message.resolved_by else ""
            return Badge(link, "ok", "mail-check"), ", ".join(part for part in (when, tried, settled) if part)
        case DeliveryState.REFUSED:
            return Badge("Refused", "bad", "mail-x"), tried
        case DeliveryState.BOUNCED:
            return Badge(
                "Came back", "bad", "mail-x"
            ), f"accepted {instant(message.sent_at, zone)}" if message.sent_at else tried
        case DeliveryState.IN_DOUBT:
            return Badge("Not known whether it arrived", "bad", "mail-question-mark"), tried
        case DeliveryState.SENDING:
            return Badge("Being sent", "info", "send"), tried
        case _:
            if job.state == JobState.DEAD:
                return Badge("Given up", "bad", "mail-x"), tried
            if message.smtp_reply or job.last_error:
                return Badge("Refused, will try again", "warn", "mail-warning"), _next_words(job, zone)
            return Badge("Waiting to be sent", "", "clock"), ""


def _answer(message: Message | None, job: Work) -> str:
    if message is not None and message.smtp_reply:
        reply = message.smtp_reply
        return f"{message.smtp_code} {reply}" if message.smtp_code else reply
    return job.last_error or ""


def _next_words(job: Work, zone: str) -> str:
    return f"{_try_words(job.attempts)}, next at {instant(job.next_at, zone)}"


def _try_words(attempts: int) -> str:
    return "first try" if attempts <= 1 else f"try {attempts}"
