"""What operators look after: jobs that gave up, installations to confirm, whether the machinery moves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.db.queries import deliveries, housekeeping, licenses, overview
from workflow.db.tables import JobRow
from workflow.domain.events import Job, JobState
from workflow.services import operations, policies, receipts
from workflow.times import utc_now, wall_now
from workflow.web.desk.access import Inside, Operator
from workflow.web.desk.shown.states import Badge
from workflow.web.shared.answers import go_on
from workflow.web.shared.forms import Posted
from workflow.web.shared.site import site_of

router = APIRouter()
JOB_WORDS: Mapping[str, str] = {
    Job.SIGN.value: "Sign a license",
    Job.DELIVER.value: "Deliver a license",
    Job.LETTER.value: "Send a letter",
    Job.PORTAL_CODE.value: "Send a portal code",
    Job.REMINDER.value: "Send an expiry reminder",
    Job.ONE_TIME_LINK.value: "Send a link to choose a password",
}
JOB_BADGES: Mapping[str, Badge] = {
    JobState.PENDING: Badge("Waiting", "", "clock"),
    JobState.RUNNING: Badge("Running", "info", "activity"),
    JobState.DONE: Badge("Done", "ok", "circle-check"),
    JobState.DEAD: Badge("Gave up", "bad", "circle-x"),
    JobState.CANCELLED: Badge("Cancelled", "", "ban"),
}
STATES = [("dead", "Gave up"), ("", "All states"), *((k, b.text) for k, b in JOB_BADGES.items() if k != "dead")]
SILENT = timedelta(minutes=2)
LATE = timedelta(minutes=1)


@dataclass(frozen=True)
class Line:
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


@router.get("/operations")
def show(request: Request, house: Inside, me: Operator, state: Annotated[str, Query()] = "dead") -> Response:
    """The page."""
    state = state if state in ("", *JOB_BADGES) else "dead"
    wall = wall_now()
    with reading(house.engine) as session:
        rows = deliveries.list_jobs(session, state=state)
        numbers = overview.numbers_of(session, [each.ref for each in rows if each.ref])
        oldest = deliveries.oldest_due(session, wall)
        beats = housekeeping.heartbeats(session)
        platforms = licenses.installations(session)
        counts = overview.count_jobs(session)
        gaps = policies.staffing_gaps(session, house.desk.policy, utc_now())
    return site_of(request).pages.page(
        request,
        "pages/desk/operations.html",
        rows=[_line(each, numbers) for each in rows],
        state=state,
        states=STATES,
        counts=counts,
        late=(wall - oldest.next_at) if oldest and wall - oldest.next_at > LATE else None,
        processes=[(each.process, each.at, each.detail, wall - each.at > SILENT) for each in beats],
        platforms=platforms,
        gaps=gaps,
        policy=house.desk.policy,
    )


@router.post("/operations/jobs/{job}/retry")
def retry(request: Request, house: Inside, me: Operator, job: UUID, form: Posted) -> Response:
    """Gives a dead job new attempts."""
    with transaction(house.engine) as session:
        operations.retry_job(session, me.actor, job, utc_now())
    return _back(request, "The job is tried again.")


@router.post("/operations/jobs/{job}/cancel")
def cancel(request: Request, house: Inside, me: Operator, job: UUID, form: Posted) -> Response:
    """Gives a dead job up for good."""
    with transaction(house.engine) as session:
        operations.cancel_job(session, me.actor, job, utc_now())
    return _back(request, "The job is given up. What it should have done stays undone.")


@router.post("/operations/installations/{installation}/confirm")
def confirm(request: Request, house: Inside, me: Operator, installation: UUID, form: Posted) -> Response:
    """Vouches for an installation's key; its receipts count from now on."""
    with transaction(house.engine) as session:
        confirmed = receipts.confirm_installation(session, me.actor, installation, utc_now())
        name = confirmed.installation_id
    return _back(request, f"Installation {name} is confirmed. What it has sent so far was applied.")


def _line(row: JobRow, numbers: Mapping[UUID, str]) -> Line:
    what = JOB_WORDS.get(row.kind, row.kind)
    return Line(
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


def _back(request: Request, message: str) -> Response:
    return go_on(request, "/operations", message)
