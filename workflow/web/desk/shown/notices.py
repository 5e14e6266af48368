"""What needs somebody's eyes on an application: said on top of its page, with what is still true and what to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from workflow.domain.application import Status
from workflow.domain.events import ApplicationRejected, ChangesRequested, Job, JobState, LicenseNotActivated
from workflow.templating import instant
from workflow.web.desk.shown.activity import StoredEvent, entry
from workflow.web.desk.shown.checks import Licensed
from workflow.web.desk.shown.delivery import ShownDelivery


class Subject(Protocol):
    """What is read of the application."""

    status: str
    attention: str | None


class Owed(Protocol):
    """What is read of its jobs."""

    kind: str
    state: str
    attempts: int
    next_at: datetime
    last_error: str | None


@dataclass(frozen=True)
class Notice:
    """One notice. `action` names the button the page puts beside it: edit, operations, or none."""

    kind: str
    icon: str
    title: str
    text: str = ""
    quote: str = ""
    action: str = ""


def notices_of(
    application: Subject,
    deliveries: Sequence[tuple[str, str, ShownDelivery]],
    jobs: Sequence[Owed],
    *,
    in_the_way: Licensed | None,
    waiting_installations: int,
    facts: Sequence[StoredEvent],
    zone: str,
) -> tuple[Notice, ...]:
    """The notices of an application, the most pressing first."""
    return (
        *_words_of_approvers(application, facts),
        *_licensed_meanwhile(in_the_way),
        *_signing(application, jobs, zone),
        *_delivering(deliveries),
        *_letters(jobs),
        *_activating(application, waiting_installations, facts),
    )


def _words_of_approvers(application: Subject, facts: Sequence[StoredEvent]) -> Iterable[Notice]:
    wanted = {
        Status.CHANGES_REQUESTED: (ChangesRequested.type, "warn", "undo-2", "edit"),
        Status.REJECTED: (ApplicationRejected.type, "bad", "circle-x", ""),
    }.get(Status(application.status))
    if wanted is None:
        return
    kind_of_event, kind, icon, action = wanted
    last = next((each for each in reversed(facts) if each.type == kind_of_event), None)
    if last is not None:
        said = entry(last)
        yield Notice(kind, icon, said.title, quote=said.quote, action=action)


def _licensed_meanwhile(issued: Licensed | None) -> Iterable[Notice]:
    if issued is not None:
        text = (
            f"{issued.license_id} version {issued.version} was issued through another application, so this cannot be approved "
            "as a new license. Choose change, and look at the difference."
        )
        yield Notice("warn", "triangle-alert", "This platform has a license meanwhile", text, action="edit")


def _signing(application: Subject, jobs: Sequence[Owed], zone: str) -> Iterable[Notice]:
    if application.attention:
        text = f"{application.attention} The approval still stands."
        yield Notice("bad", "triangle-alert", "This application needs attention", text, action="operations")
        return
    for job in jobs:
        if job.kind == Job.SIGN.value and job.state == JobState.PENDING and job.attempts > 0:
            text = f"Tried {job.attempts} times. The next try is at {instant(job.next_at, zone)}. The approval still stands."
            yield Notice("warn", "triangle-alert", "The license is not signed yet", text, quote=job.last_error or "")


def _delivering(deliveries: Sequence[tuple[str, str, ShownDelivery]]) -> Iterable[Notice]:
    has_it = [name for name, _, shown in deliveries if shown.badge.kind == "ok"]
    reached = f"{' and '.join(has_it)} can activate the license." if has_it else ""
    for name, address, shown in deliveries:
        if shown.badge.kind == "warn":
            text = f"The file for {address} did not get through: {shown.under}. {reached}".strip()
            yield Notice("warn", "mail-warning", f"{name} has not received the file yet", text, shown.answer)
        elif shown.held:
            title = f"The file for {name} waits for somebody to look at it"
            yield Notice("warn", "shield-alert", title, shown.answer, action="customer")
        elif shown.badge.kind == "bad":
            text = (
                f"{shown.badge.text}: {address}. {reached or 'Nobody has the file yet.'} "
                "Correct the address, send again, or choose another recipient below."
            )
            yield Notice("bad", "mail-x", f"{name} has not received the file", text, shown.answer)


def _letters(jobs: Sequence[Owed]) -> Iterable[Notice]:
    dead = [job for job in jobs if job.state == JobState.DEAD and job.kind not in (Job.SIGN.value, Job.DELIVER.value)]
    if dead:
        letters = "1 letter" if len(dead) == 1 else f"{len(dead)} letters"
        text = "The application goes on without them. An operator can send them again."
        yield Notice("warn", "mail-x", f"{letters} about this application could not be sent", text, action="operations")


def _activating(application: Subject, waiting: int, facts: Sequence[StoredEvent]) -> Iterable[Notice]:
    if waiting:
        text = "It counts as soon as an operator has compared and confirmed the installation's fingerprint."
        yield Notice("info", "inbox", "A platform nobody has confirmed yet sent a receipt", text, action="operations")
    if Status(application.status) is Status.DELIVERED:
        late = [each for each in facts if each.type == LicenseNotActivated.type]
        if late:
            said = entry(late[-1])
            text = "The administrators were written to again. Ask them to upload the file in License Management."
            yield Notice("warn", "hourglass", said.title, text)
