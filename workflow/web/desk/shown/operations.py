"""What operators look at, in words: queues, jobs, processes, what ends, mail that did not arrive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from workflow.db.queries.queues import Queue
from workflow.db.tables import Delivery, Heartbeat, JobRow, Recipient, RevocationListRow, Tenant
from workflow.domain.delivery import KEY_NAMES, DeliveryState, KeyKind
from workflow.domain.events import JobState
from workflow.domain.processes import ProcessKind, SignOfLife, missing_kinds
from workflow.services.operations import JOB_STATE_WORDS, JOB_WORDS
from workflow.web.desk.shown.states import Badge

MAIL_BADGES: Mapping[DeliveryState, Badge] = {
    DeliveryState.IN_DOUBT: Badge("Not known whether it arrived", "bad", "mail-question-mark"),
    DeliveryState.REFUSED: Badge("Refused", "bad", "mail-x"),
    DeliveryState.BOUNCED: Badge("Came back", "bad", "mail-x"),
}
JOB_BADGES: Mapping[str, Badge] = {
    JobState.PENDING: Badge(JOB_STATE_WORDS[JobState.PENDING], "", "clock"),
    JobState.RUNNING: Badge(JOB_STATE_WORDS[JobState.RUNNING], "info", "activity"),
    JobState.DONE: Badge(JOB_STATE_WORDS[JobState.DONE], "ok", "circle-check"),
    JobState.DEAD: Badge(JOB_STATE_WORDS[JobState.DEAD], "bad", "circle-x"),
    JobState.CANCELLED: Badge(JOB_STATE_WORDS[JobState.CANCELLED], "", "ban"),
}
PROCESS_WORDS: Mapping[ProcessKind, tuple[str, str]] = {
    ProcessKind.RELAY: ("Relay", "No job reaches a worker. Start it: licdesk relay"),
    ProcessKind.GENERAL: ("General worker", "No mail and no reminder goes out. Start one: licdesk worker general"),
    ProcessKind.SIGNING: ("Signing worker", "Approved applications stay unsigned. Start one: licdesk worker signing"),
    ProcessKind.BEAT: ("Scheduler", "Nobody looks for reminders that are due. Start it, once: licdesk beat"),
    ProcessKind.WITNESS: ("Witness", "Nobody signs checkpoints of the history. Start it: licdesk witness"),
}
SOON = timedelta(days=60)
VERY_SOON = timedelta(days=14)


@dataclass(frozen=True)
class QueueLine:
    """One kind of job."""

    what: str
    queue: Queue
    waited: float
    """seconds; 0 when nothing waits"""


@dataclass(frozen=True)
class JobLine:
    """One job."""

    id: UUID
    what: str
    badge: Badge
    attempts: int
    next_at: datetime
    done_at: datetime | None
    error: str
    number: str
    dead: bool
    waiting: bool


@dataclass(frozen=True)
class ProcessLine:
    """One process that has said that it lives, or a kind of which none does: `at` is None then."""

    name: str
    host: str
    said: str
    at: datetime | None
    badge: Badge


@dataclass(frozen=True)
class Ending:
    """Something that ends, and what to do before."""

    what: str
    whose: str
    ends_at: datetime
    left: str
    badge: Badge
    link: str = ""


@dataclass(frozen=True)
class MailLine:
    """One message that did not arrive, or may not have."""

    to: str
    address: str
    subject: str
    badge: Badge
    answer: str
    at: datetime
    job: UUID


def queue_lines(queues: Sequence[Queue], wall: datetime) -> list[QueueLine]:
    """Each kind of job in the order of the path, those with nothing to do left out."""
    order = list(JOB_WORDS)
    known = sorted(queues, key=lambda each: order.index(each.kind) if each.kind in order else len(order))
    return [QueueLine(JOB_WORDS.get(each.kind, each.kind), each, each.lag(wall).total_seconds()) for each in known]


def job_line(row: JobRow, numbers: Mapping[UUID, str]) -> JobLine:
    """A job in words. `numbers` are the applications' by id."""
    what = JOB_WORDS.get(row.kind, row.kind)
    return JobLine(
        id=row.id,
        what=f"{what}: {row.detail.replace('_', ' ')}" if row.detail else what,
        badge=JOB_BADGES[row.state],
        attempts=row.attempts,
        next_at=row.next_at,
        done_at=row.done_at,
        error=row.last_error or "",
        number=numbers.get(row.ref, "") if row.ref else "",
        dead=row.state == JobState.DEAD,
        waiting=row.state == JobState.PENDING,
    )


def process_lines(beats: Sequence[Heartbeat], wall: datetime) -> list[ProcessLine]:
    """Every process in the order of the path, and a line for each kind of which none lives."""
    heard = [SignOfLife(each.process, each.at, each.detail) for each in beats]
    lines = [(each.kind, _process_line(each, wall)) for each in heard]
    silent = {each.kind for each in heard}
    lines += [
        (kind, ProcessLine(PROCESS_WORDS[kind][0], "", PROCESS_WORDS[kind][1], None, Badge("Not running", "bad", "circle-x")))
        for kind in missing_kinds(heard, wall)
        if kind not in silent
    ]
    order = list(ProcessKind)
    return [line for _, line in sorted(lines, key=lambda each: order.index(each[0]) if each[0] else len(order))]


def _process_line(sign: SignOfLife, wall: datetime) -> ProcessLine:
    name, _, host = sign.process.partition("@")
    words = PROCESS_WORDS[sign.kind][0] if sign.kind else name
    lives = Badge("Alive", "ok", "activity")
    return ProcessLine(
        words, host, sign.detail, sign.at, Badge("Silent", "bad", "triangle-alert") if sign.is_silent(wall) else lives
    )


def missing_words(beats: Sequence[Heartbeat], wall: datetime) -> list[tuple[str, str]]:
    """Of each kind that nobody runs: its name, and what that means."""
    return [PROCESS_WORDS[kind] for kind in missing_kinds([SignOfLife(each.process, each.at) for each in beats], wall)]


def ending_lines(
    held: Mapping[str, datetime],
    keys: Sequence[tuple[Recipient, Tenant]],
    revocations: RevocationListRow | None,
    wall: datetime,
) -> list[Ending]:
    """What the processes hold, recipients' keys that end soon, and the revocation list, soonest first."""
    lines = [_ending(what, "This desk", ends, wall) for what, ends in held.items()]
    if revocations is not None:
        lines.append(_ending(f"Revocation list {revocations.sequence}", "This desk", revocations.next_update, wall))
    lines += [
        _ending(
            f"{KEY_NAMES[KeyKind(who.key_kind)]} of {who.name}",
            tenant.company,
            who.key_ends_at,
            wall,
            f"/customers/{tenant.tenant_id}",
        )
        for who, tenant in keys
        if who.key_ends_at is not None and who.key_kind is not None
    ]
    return sorted(lines, key=lambda each: each.ends_at)


def _ending(what: str, whose: str, ends_at: datetime, wall: datetime, link: str = "") -> Ending:
    left = ends_at - wall
    days = left.days
    if left < timedelta():
        return Ending(what, whose, ends_at, "ended", Badge("Ended", "bad", "circle-x"), link)
    words = "1 day left" if days == 1 else f"{days:,} days left"
    if left < VERY_SOON:
        return Ending(what, whose, ends_at, words, Badge("Ends soon", "bad", "triangle-alert"), link)
    if left < SOON:
        return Ending(what, whose, ends_at, words, Badge("Renew it now", "warn", "triangle-alert"), link)
    return Ending(what, whose, ends_at, words, Badge("Good", "ok", "circle-check"), link)


def mail_lines(messages: Sequence[Delivery]) -> list[MailLine]:
    """Messages in trouble, those in doubt first."""
    return [
        MailLine(
            to=each.name,
            address=each.address,
            subject=each.subject,
            badge=MAIL_BADGES[DeliveryState(each.state)],
            answer=" ".join(str(part) for part in (each.smtp_code, each.smtp_reply) if part),
            at=each.created_at,
            job=each.job,
        )
        for each in messages
    ]
