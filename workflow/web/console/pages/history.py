"""What an auditor takes along: the exact bytes of a license, a receipt, the whole history as CSV."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from workflow.console import history, receipts
from workflow.database import reading
from workflow.license_file import file_name
from workflow.web.console.access import Administrator, House, Inside
from workflow.web.console.pages.license_page import PATH
from workflow.web.shared.paging import LARGEST_INTEGER
from workflow.web.shared.spreadsheets import csv_response

router = APIRouter()
RowNumber = Annotated[int, Path(le=LARGEST_INTEGER)]


@router.get(f"{PATH}/history.csv")
def export(house: Inside, me: Administrator) -> Response:
    """Installed and refused files, newest first."""
    return csv_response("license-history", history.CSV_COLUMNS, _rows(house))


@router.get(f"{PATH}/history/{{installed_id}}/file")
def download(house: Inside, me: Administrator, installed_id: RowNumber) -> Response:
    """The very bytes that were uploaded."""
    with reading(house.console.engine) as session:
        row = history.get_installed(session, installed_id)
    return _attachment(row.raw, file_name(row.license_id, row.version))


@router.get(f"{PATH}/receipts/{{sequence}}")
def receipt(house: Inside, me: Administrator, sequence: RowNumber) -> Response:
    """A receipt as a file, for a desk that this machine cannot reach."""
    with reading(house.console.engine) as session:
        found = receipts.get_receipt(session, sequence)
    return _attachment(found.raw, receipts.file_name(found))


def _rows(house: House) -> Iterator[tuple[str, ...]]:
    with reading(house.console.engine) as session:
        yield from history.rows(session)


def _attachment(content: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)
