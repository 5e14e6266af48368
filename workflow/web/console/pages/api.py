"""What programs ask: the license in force (with the console's token), and whether this process is alive."""

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from workflow.console import current
from workflow.console.store import generation
from workflow.database import reading
from workflow.times import utc_now
from workflow.web.console.access import Inside, require_token

router = APIRouter()


@router.get("/console/api/license", dependencies=[Depends(require_token)])
def license_in_force(house: Inside) -> Response:
    """State, License ID, version, validity, modules, model types, limits and the generation number."""
    with reading(house.console.engine) as session:
        situation = current.look(session, house.console, utc_now())
    return JSONResponse(current.summary(situation), headers={"ETag": f'"{situation.generation}-{situation.state}"'})


@router.get("/health")
def health(house: Inside) -> dict[str, str | int]:
    """Answers only when the database does."""
    with reading(house.console.engine) as session:
        return {"status": "ok", "generation": generation(session)}
