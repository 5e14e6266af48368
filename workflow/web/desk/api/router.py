"""Everything under /api/v1."""

from fastapi import APIRouter

from workflow.web.desk.api import receipts

router = APIRouter(prefix="/api/v1")
router.include_router(receipts.router)
