"""Everything under /api/v1."""

from typing import NoReturn

from fastapi import APIRouter, Depends

from workflow.errors import NotFound
from workflow.web.desk.api import (
    about,
    applications,
    audit,
    customers,
    history,
    jobs,
    licenses,
    metrics,
    openapi,
    receipts,
    reminders,
    revocations,
    votes,
)
from workflow.web.desk.api.guard import require_sound
from workflow.web.desk.api.shapes import BASE

router = APIRouter(prefix=BASE)
router.include_router(receipts.router)  # its body is whatever arrives, and every sender gets the same answer
for each in (applications, votes, history, licenses, revocations, customers, reminders, jobs, audit, about, metrics, openapi):
    router.include_router(each.router, dependencies=[Depends(require_sound)])


@router.get("/{path:path}", include_in_schema=False, response_model=None)
def nothing(path: str) -> NoReturn:
    """An address that the API does not have must not be answered by a page."""
    raise NotFound(f"There is nothing at this address. {BASE}/openapi.json lists what there is.")
