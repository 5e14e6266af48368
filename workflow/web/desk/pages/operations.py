"""What operators look after: jobs that gave up, installations to confirm, whether the machinery moves. Auditors may look."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.db.queries import deliveries, housekeeping, licenses, overview, queues, revocations, troubles
from workflow.services import operations, policies, receipts
from workflow.services.operations import ReasonMissing
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import House, Inside, OperationsReader, Operator
from workflow.web.desk.shown import operations as shown
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import Posted
from workflow.web.shared.site import site_of

router = APIRouter()
STATES = [("dead", "Gave up"), ("", "All states"), *((k, b.text) for k, b in shown.JOB_BADGES.items() if k != "dead")]
LATE = timedelta(minutes=1)
RECENT = timedelta(days=7)
"""How far back refused messages are listed; those in doubt stay until somebody decides."""


@router.get("/operations")
def show(request: Request, house: Inside, me: OperationsReader, state: Annotated[str, Query()] = "dead") -> Response:
    """The page."""
    return _page(request, house, state)


@router.post("/operations/jobs/{job}/retry")
def retry(request: Request, house: Inside, me: Operator, job: UUID, form: Posted) -> Response:
    """Gives a dead job new attempts."""
    with transaction(house.engine) as session:
        operations.retry_job(session, me.actor, job, utc_now())
    return _back(request, "The job is tried again.")


@router.post("/operations/jobs/{job}/cancel")
def cancel(request: Request, house: Inside, me: Operator, job: UUID, form: Posted) -> Response:
    """Gives a dead job up for good, with the reason that was typed."""
    try:
        with transaction(house.engine) as session:
            operations.cancel_job(session, me.actor, job, form.text("reason"), utc_now())
    except ReasonMissing as error:
        return _page(request, house, "dead", refused=(job, str(error)))
    return _back(request, "The job is given up. What it should have done stays undone.")


@router.post("/operations/installations/{installation}/confirm")
def confirm(request: Request, house: Inside, me: Operator, installation: UUID, form: Posted) -> Response:
    """Vouches for an installation's key; its receipts count from now on."""
    with transaction(house.engine) as session:
        confirmed = receipts.confirm_installation(session, me.actor, installation, utc_now())
        name = confirmed.installation_id
    return _back(request, f"Installation {name} is confirmed. What it has sent so far was applied.")


def _page(request: Request, house: House, state: str, refused: tuple[UUID, str] | None = None) -> Response:
    state = state if state in ("", *shown.JOB_BADGES) else "dead"
    wall = wall_now()
    with reading(house.engine) as session:
        rows = deliveries.list_jobs(session, state=state)
        numbers = overview.numbers_of(session, [each.ref for each in rows if each.ref])
        owed = queues.all_queues(session)
        beats = housekeeping.heartbeats(session)
        mail = troubles.troubled_mail(session, wall - RECENT)
        certificates = troubles.keys_ending(session, wall + shown.SOON)
        newest = revocations.newest_list(session)
        platforms = licenses.installations(session)
        gaps = policies.staffing_gaps(session, house.desk.policy, utc_now())
    total = queues.totals(owed)
    return site_of(request).pages.page(
        request,
        "pages/desk/operations.html",
        status=422 if refused else 200,
        rows=[shown.job_line(each, numbers) for each in rows],
        state=state,
        states=STATES,
        owed=total,
        queues=shown.queue_lines(owed, wall),
        late=total.lag(wall).total_seconds() if total.lag(wall) > LATE else 0.0,
        missing=shown.missing_words(beats, wall),
        processes=shown.process_lines(beats, wall),
        endings=shown.ending_lines(housekeeping.endings_of(beats), certificates, newest, wall),
        mail=shown.mail_lines(mail),
        platforms=platforms,
        gaps=gaps,
        refused=refused,
    )


def _back(request: Request, message: str) -> Response:
    return go_on(request, "/operations", message)
