"""What programs ask: the license in force (with the console's token), and whether this process is alive."""

from typing import Any

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from workflow.console import publishing, usage
from workflow.console.store import generation
from workflow.database import reading, transaction
from workflow.times import utc_now
from workflow.web.console.access import House, Inside, require_token
from workflow.web.console.live import tag_of, told_now

LICENSE = "/console/api/license"

router = APIRouter()
for_programs = APIRouter(dependencies=[Depends(require_token)])


@for_programs.get(LICENSE)
def license_in_force(request: Request, house: Inside) -> Response:
    """State, what is allowed in it, License ID, version, validity, modules, model types, limits, generation number."""
    told = told_now(house.console)
    return _tagged(request, told.tag, told.facts)


@for_programs.get(f"{LICENSE}/events")
async def events(request: Request, house: Inside) -> Response:
    """The same as server-sent events: at once, and at each change. `Last-Event-ID` leaves out what is known."""
    stream = house.watcher.changes(request.headers.get("last-event-id"))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@for_programs.get(f"{LICENSE}/feed")
def feed(request: Request, house: Inside) -> Response:
    """The signed files themselves, for a gate that verifies them: licenses, trust roots, revocations."""
    with reading(house.console.engine) as session:
        facts = publishing.feed(session)
    # The clock runs on; it alone is no news.
    return _tagged(request, tag_of({name: value for name, value in facts.items() if name != "seen"}), facts)


@for_programs.put("/console/api/usage", status_code=204)
async def report_use(request: Request, house: Inside) -> Response:
    """Takes what is in use: agents, users, and how many agents work with each module and model type.

    A report older than the one before is dropped without a word.
    """
    use = usage.read(await request.body(), utc_now())
    await run_in_threadpool(_keep, house, use)
    return Response(status_code=204)


@router.get("/health")
def health(house: Inside) -> dict[str, str | int]:
    """Answers only when the database does."""
    with reading(house.console.engine) as session:
        return {"status": "ok", "generation": generation(session)}


def _keep(house: House, use: usage.Use) -> None:
    with transaction(house.console.engine) as session:
        usage.keep(session, use)


def _tagged(request: Request, tag: str, facts: dict[str, Any]) -> Response:
    headers = {"ETag": tag}
    known = request.headers.get("if-none-match", "")
    if tag in (each.strip() for each in known.split(",")):
        return Response(status_code=304, headers=headers)
    return JSONResponse(facts, headers=headers)
