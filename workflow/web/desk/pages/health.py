"""Whether this process can do its work, for load balancers and the supervisor."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from workflow.database import reading
from workflow.db.queries import housekeeping
from workflow.web.desk.access import Inside

router = APIRouter()


@router.get("/health")
def health(house: Inside) -> Response:
    """200 while the database answers. Says nothing else to somebody who is not signed in."""
    with reading(house.engine) as session:
        housekeeping.answers(session)
    return JSONResponse({"status": "ok"})
