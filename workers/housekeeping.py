"""What the clock asks for: the scan for reminders and ends, and sweeping up."""

import logging

from workers.app import general
from workers.runtime import Runtime, runtime
from workflow.database import transaction
from workflow.db.queries import housekeeping, throttle
from workflow.db.queries.moves import AlreadyMoved
from workflow.domain.processes import ProcessKind
from workflow.services import escalations, notices, reminders
from workflow.times import utc_now, wall_now

log = logging.getLogger("workers.housekeeping")

BATCH = 200


def _escalate(here: Runtime) -> None:
    """Each step in a transaction of its own: whoever decides at this moment holds up no other application."""
    try:
        looked_at = 1
        while looked_at:
            with transaction(here.engine) as session:
                looked_at = escalations.take_due(session, here.desk, utc_now(), 1)
    except AlreadyMoved as error:
        log.info("an approval came while its reminder was due; the next scan looks again: %s", error)


@general.task(name="housekeeping.scan")  # type: ignore[untyped-decorator]  # Celery has no types
def scan() -> None:
    """What is due by the clock, as this process."""
    look_around(runtime())


def look_around(here: Runtime) -> None:
    """Owes every reminder that is due, in batches of their own transactions; running twice owes nothing twice."""
    while True:
        with transaction(here.engine) as session:
            looked_at = reminders.queue_due(session, here.desk, utc_now(), BATCH)
        if looked_at < BATCH:
            break
    _escalate(here)
    with transaction(here.engine) as session:
        notices.tell_operators(session, utc_now())
    with transaction(here.engine) as session:
        reminders.ask_about_unused(session, utc_now())
        housekeeping.forget_ended(session, wall_now())
        throttle.forget_ended(session, wall_now())
        housekeeping.beat(session, ProcessKind.BEAT.value, "woke the scan", wall_now())
