"""The history of everything: filtered, page by page, and as CSV or JSON Lines. Nothing here changes anything."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from workflow.database import reading
from workflow.db.queries import applications, checkpoints, events, housekeeping
from workflow.db.queries.trail import Asked
from workflow.domain.terms import start_of_day
from workflow.errors import NotFound
from workflow.services import trail, witnessing
from workflow.times import wall_now
from workflow.web.desk.access import AuditReader, House, Inside
from workflow.web.desk.shown.audit import Word, kinds, row, word_of_a_chain, word_of_the_witness
from workflow.web.shared.paging import PAGE_SIZE, address, cursor_for, day, row_id, searched
from workflow.web.shared.site import site_of
from workflow.web.shared.spreadsheets import csv_response

router = APIRouter()


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to; values that cannot be used narrow nothing."""

    person: str = ""
    application: str = ""
    kind: str = ""
    since: date | None = None
    until: date | None = None

    def values(self) -> dict[str, str]:
        """As query values."""
        return {
            "person": self.person,
            "application": self.application,
            "type": self.kind,
            "since": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "",
        }

    def asked(self, zone: str) -> Asked:
        """As a question to the database: from the first moment of one day to the last of the other, in the reader's zone."""
        return Asked(
            person=self.person,
            application=self.application,
            kind=self.kind,
            since=start_of_day(self.since, zone) if self.since else None,
            until=start_of_day(self.until + timedelta(days=1), zone) if self.until else None,
        )


def filters(
    person: Annotated[str, Query()] = "",
    application: Annotated[str, Query()] = "",
    kind: Annotated[str, Query(alias="type")] = "",
    since: Annotated[str, Query()] = "",
    until: Annotated[str, Query()] = "",
) -> Filters:
    """The filters in the address."""
    return Filters(
        searched(person),
        searched(application),
        kind if kind in dict(kinds()) else "",
        day(since),
        day(until),
    )


Chosen = Annotated[Filters, Depends(filters)]


@router.get("/audit")
def show(request: Request, house: Inside, me: AuditReader, chosen: Chosen, cursor: Annotated[str, Query()] = "") -> Response:
    """One page of events, newest first."""
    before = row_id(cursor) if cursor else None
    with reading(house.engine) as session:
        found = trail.lines(session, chosen.asked(me.zone), before=before, limit=PAGE_SIZE + 1)
        word = _word(session, chosen)
    rows = found[:PAGE_SIZE]
    more = len(found) > PAGE_SIZE
    values = chosen.values()
    return site_of(request).pages.page(
        request,
        "pages/desk/audit.html",
        rows=[row(each) for each in rows],
        chosen=chosen,
        filtered=chosen != Filters(),
        word=word,
        kinds=kinds(),
        first=address("/audit", values) if cursor else None,
        next=address("/audit", {**values, "cursor": cursor_for((str(rows[-1].event.id),))}) if more else None,
        csv=address("/audit.csv", values),
        jsonl=address("/audit.jsonl", values),
    )


@router.get("/audit.csv")
def as_csv(house: Inside, me: AuditReader, chosen: Chosen) -> Response:
    """Everything that is asked for as CSV."""
    return csv_response("audit", trail.HEAD, (trail.cells(each) for each in _all(house, chosen.asked(me.zone))))


@router.get("/audit.jsonl")
def as_json_lines(house: Inside, me: AuditReader, chosen: Chosen) -> Response:
    """Everything that is asked for as JSON Lines: one event a line, with all that its hash covers."""
    lines = _all(house, chosen.asked(me.zone))
    return StreamingResponse(
        (json.dumps(trail.document(each), ensure_ascii=False) + "\n" for each in lines),
        media_type="application/jsonl; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="audit.jsonl"'},
    )


def _all(house: House, asked: Asked) -> Iterator[trail.Line]:
    """The first part is read before the answer begins: a refusal is still possible."""
    return trail.from_part_on(house.engine, asked, trail.part(house.engine, asked))


def _word(session: Session, chosen: Filters) -> Word:
    """Of the application that was asked for, if it is one; else of the whole."""
    if chosen.application:
        try:
            application = applications.get_application(session, chosen.application.upper())
        except NotFound:
            pass
        else:
            chain = events.chain_of(session, str(application.id))
            return word_of_a_chain(application.number, len(chain.told), chain.broken)
    beat = next((each for each in housekeeping.heartbeats(session) if each.process == witnessing.PROCESS), None)
    return word_of_the_witness(beat, checkpoints.last_at(session), wall_now())
