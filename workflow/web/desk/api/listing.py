"""How the API lists: page by page with a cursor and a Link to the next page, or all of it as CSV."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Header, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from workflow.web.shared.paging import MAX_PAGE_SIZE
from workflow.web.shared.site import site_of
from workflow.web.shared.spreadsheets import csv_response

DEFAULT_LIMIT = 50
CSV = "text/csv"

Item = TypeVar("Item", bound=BaseModel)
Row = TypeVar("Row")


class Listing(BaseModel, Generic[Item]):
    """One page of a list. `next` is the cursor of the page after it, null on the last one."""

    items: list[Item]
    next: str | None = None


@dataclass(frozen=True)
class Slice:
    """Which page of a list is asked for, and how."""

    cursor: str
    limit: int
    as_csv: bool


def wanted(
    cursor: Annotated[str, Query(description="`next` of the page before.", max_length=1_000)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_LIMIT,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Slice:
    """The page that the query names."""
    return Slice(cursor, limit, _prefers_csv(accept))


Wanted = Annotated[Slice, Depends(wanted)]


@dataclass(frozen=True)
class Source(Generic[Row, Item]):
    """A list that can be read from any of its rows on.

    `read` gives the rows after a cursor, one more than asked for when there are more; `cursor` is made of a row's sort key.
    """

    name: str
    read: Callable[[str, int], Sequence[Row]]
    cursor: Callable[[Row], str]
    item: Callable[[Row], Item]
    head: Sequence[str]
    cells: Callable[[Item], Sequence[object]]

    def answer(self, request: Request, wanted: Slice, response: Response) -> Listing[Item] | Response:
        """The page as JSON with its Link header, or the list from there to its end as CSV."""
        if wanted.as_csv:
            first = self.read(wanted.cursor, MAX_PAGE_SIZE)  # before the answer begins: a refusal is still possible
            return csv_response(self.name, self.head, self._all_rows(first))
        rows = self.read(wanted.cursor, wanted.limit)
        shown, more = rows[: wanted.limit], len(rows) > wanted.limit
        following = self.cursor(shown[-1]) if more else None
        if following:
            query = request.url.include_query_params(cursor=following).query
            response.headers["Link"] = f'<{site_of(request).link(request.url.path)}?{query}>; rel="next"'
        response.headers["Vary"] = "Accept"
        return Listing(items=[self.item(each) for each in shown], next=following)

    def _all_rows(self, rows: Sequence[Row]) -> Iterator[Sequence[object]]:
        while True:
            for row in rows[:MAX_PAGE_SIZE]:
                yield self.cells(self.item(row))
            if len(rows) <= MAX_PAGE_SIZE:
                return
            rows = self.read(self.cursor(rows[MAX_PAGE_SIZE - 1]), MAX_PAGE_SIZE)


def _prefers_csv(accept: str) -> bool:
    """Whether CSV is named in Accept, and not after JSON."""
    names = [part.split(";")[0].strip().lower() for part in accept.split(",")]
    return CSV in names and "application/json" not in names[: names.index(CSV)]
