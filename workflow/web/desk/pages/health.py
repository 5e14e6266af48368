"""Whether this process can do its work, for load balancers and the supervisor."""

from fastapi import APIRouter
from sqlalchemy import text
from starlette.responses import JSONResponse, Response

from workflow.database import reading
from workflow.web.desk.access import Inside

router = APIRouter()


@router.get("/health")
def health(house: Inside) -> Response:
    """200 while the database answers. Says nothing else to somebody who is not signed in."""
    with reading(house.engine) as session:
        session.execute(text("SELECT 1"))
    return JSONResponse({"status": "ok"})
