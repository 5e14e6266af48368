"""The steps of the path at which a kill matters. A process of the fleet stops at one once a test has asked for it there.

Nothing of this is known to the product: the functions are wrapped in the fleet's processes, which run the real programs.
"""

import os
import time
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Any

from workflow.domain.events import Job

DIRECTORY = "CRASH_STEPS"
"""The environment variable that names where a test and the fleet meet."""
LONGEST = 120.0


class Step(StrEnum):
    """Where a process is, in the order of the path."""

    WEB_VOTED = "web: the vote is written, not committed"
    WEB_COMMITTED = "web: the vote is committed, not answered"
    RELAY_MARKED = "relay: jobs are marked, not committed"
    RELAY_COMMITTED = "relay: jobs are marked and committed, not published"
    RELAY_PUBLISHED = "relay: one message is published, others are not"
    SIGNING_RECEIVED = "signing: the message is taken, nothing claimed"
    SIGNING_CLAIMED = "signing: the job is claimed"
    SIGNING_SIGNED = "signing: the license and the move are written, not committed"
    SIGNING_COMMITTED = "signing: committed, the message not acknowledged"
    GENERAL_RECEIVED = "general: the message is taken, nothing claimed"
    GENERAL_CLAIMED = "general: the job is claimed"
    GENERAL_MARKED = "general: the mark is set, no byte sent"
    GENERAL_ANSWERED = "general: the mail server has answered, nothing recorded"
    GENERAL_RECORDED = "general: answer and move are written, not committed"
    GENERAL_COMMITTED = "general: committed, the message not acknowledged"
    SCAN_OWED = "general: what is due by the clock is owed, not committed"
    SCAN_COMMITTED = "general: the scan is committed, the message not acknowledged"
    BEAT_WAKING = "beat: the time has come, nothing published"
    BEAT_WOKE = "beat: the scan is woken"

    @property
    def process(self) -> str:
        """Which process stands there."""
        return self.value.partition(":")[0]


class Steps:
    """A test's side: asks for a stop, waits until a process stands there, lets it go on."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self._asked = 0

    def ask(self, step: Step) -> None:
        """The next process that comes there stops."""
        self._asked += 1
        (self.directory / f"{self._asked}.new").write_text(str(self._asked))
        (self.directory / f"{self._asked}.new").rename(self.directory / f"{step.name}.asked")

    def reached(self) -> int | None:
        """The process that stands where one was asked to last; None while none does."""
        try:
            return int((self.directory / f"{self._asked}.reached").read_text())
        except FileNotFoundError:
            return None

    def go_on(self) -> None:
        """Whoever stands anywhere goes on, if it lives."""
        for reached in self.directory.glob("*.reached"):
            reached.with_suffix(".go").touch()


def stop_at(step: Step) -> None:
    """A process's side: stands still here when a test has asked for it, until it may go on or is killed."""
    directory = Path(os.environ[DIRECTORY])
    taken = directory / f"{os.getpid()}.taken"
    try:
        (directory / f"{step.name}.asked").rename(taken)  # one of all processes succeeds
    except FileNotFoundError:
        return
    number = taken.read_text()
    taken.write_text(str(os.getpid()))
    taken.rename(directory / f"{number}.reached")
    until = time.monotonic() + LONGEST
    while not (directory / f"{number}.go").exists() and time.monotonic() < until:
        time.sleep(0.005)


_kind: list[str] = [""]
"""The kind of job that this process does now."""


def _doing(*kinds: Job) -> Callable[..., bool]:
    return lambda *_: _kind[0] in kinds


def _before(place: Any, name: str, step: Step, when: Callable[..., bool] = lambda *_: True) -> None:
    real = getattr(place, name)

    @wraps(real)
    def stopping(*given: Any, **named: Any) -> Any:
        if when(*given):
            stop_at(step)
        return real(*given, **named)

    setattr(place, name, stopping)


def _after(place: Any, name: str, step: Step, when: Callable[..., bool] = lambda *_: True) -> None:
    real = getattr(place, name)

    @wraps(real)
    def stopping(*given: Any, **named: Any) -> Any:
        result = real(*given, **named)
        if when(result):
            stop_at(step)
        return result

    setattr(place, name, stopping)


def install() -> None:
    """Wraps what the steps are between. Called once, in the process that all others are forked from."""
    import celery.beat

    import workers.app
    import workers.claims
    import workers.housekeeping
    import workers.mailing
    import workers.relay
    import workers.signing
    from workflow.mail.transport import MailTransport
    from workflow.services import decisions, delivery, issuing, reminders

    remember = workers.claims._try

    def remembering(job: Any, *given: Any) -> None:
        _kind[0] = job.kind
        try:
            remember(job, *given)
        finally:
            _kind[0] = ""

    workers.claims._try = remembering  # type: ignore[assignment]
    _after(decisions, "vote", Step.WEB_VOTED)
    _after(workers.relay, "take_due", Step.RELAY_MARKED, bool)
    _before(workers.relay, "messages", Step.RELAY_COMMITTED, bool)
    _after(workers.app.publisher, "send_task", Step.RELAY_PUBLISHED)
    for kind, received, claimed in (
        (Job.SIGN, Step.SIGNING_RECEIVED, Step.SIGNING_CLAIMED),
        (Job.DELIVER, Step.GENERAL_RECEIVED, Step.GENERAL_CLAIMED),
    ):
        _before(workers.claims, "_claim", received, lambda of, *_, kind=kind: of is kind)
        _after(workers.claims, "_claim", claimed, lambda jobs, kind=kind: bool(jobs) and jobs[0].kind == kind)
    _after(issuing, "record_issued", Step.SIGNING_SIGNED)
    _after(workers.signing, "sign_together", Step.SIGNING_COMMITTED)
    _after(workers.signing, "sign", Step.SIGNING_COMMITTED)
    _stop_around_data(MailTransport)
    _after(delivery, "record_accepted", Step.GENERAL_RECORDED, _doing(Job.DELIVER))
    _after(workers.mailing, "_record_accepted", Step.GENERAL_COMMITTED, _doing(Job.DELIVER))
    _after(reminders, "ask_about_unused", Step.SCAN_OWED)
    _after(workers.housekeeping, "look_around", Step.SCAN_COMMITTED)
    _before(celery.beat.Scheduler, "apply_async", Step.BEAT_WAKING)
    _after(celery.beat.Scheduler, "apply_async", Step.BEAT_WOKE)


def _stop_around_data(transport: Any) -> None:
    real = transport.send

    def send(*given: Any, before_data: Callable[[], None], **named: Any) -> Any:
        def mark() -> None:
            before_data()
            if _kind[0] == Job.DELIVER:
                stop_at(Step.GENERAL_MARKED)

        accepted = real(*given, before_data=mark, **named)
        if _kind[0] == Job.DELIVER:
            stop_at(Step.GENERAL_ANSWERED)
        return accepted

    transport.send = send
