"""The conditional write behind every move of an application."""

from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import CursorResult, update
from sqlmodel import Session, col, select

from workflow.db.tables import Application, EventRow
from workflow.domain.application import Action, Status, next_status
from workflow.errors import Conflict

_SAID = {
    "application.submitted": "submitted it",
    "application.revised": "revised it",
    "application.approval_recorded": "approved it",
    "application.approved": "approved it",
    "application.changes_requested": "sent it back",
    "application.rejected": "rejected it",
    "application.withdrawn": "withdrew it",
    "application.approval_rescinded": "took an approval back",
    "license.issued": "signed the license",
    "license.delivered": "delivered the license",
    "license.activated": "activated the license",
    "license.superseded": "activated a newer version",
    "license.expired": "let the license end",
}


class AlreadyMoved(Conflict):
    """The application changed since it was read. Says who did what, and when: in UTC, or in the reader's zone."""

    code = "application.already_moved"
    title = "This page is out of date"

    def __init__(self, deed: str = "", at: datetime | None = None) -> None:
        self.deed = deed
        self.at = at
        super().__init__(self._sentence(ZoneInfo("UTC"), " UTC"))

    def told(self, zone: str) -> str:
        """Pages name the reader's zone once, at their foot."""
        return self._sentence(ZoneInfo(zone), "")

    def _sentence(self, zone: ZoneInfo, suffix: str) -> str:
        if self.at is None:
            return "This page is out of date: the application was changed meanwhile. Look at it again."
        when = f"{self.at.astimezone(zone):%-d %b %Y at %H:%M}{suffix}"
        return f"{self.deed} on {when}, after you opened this page. Look at the application again."


def move(session: Session, application: Application, action: Action, now: datetime) -> Status:
    """Moves the application as the table says, if it still is as it was read.

    One UPDATE that names the status and the version read. Raises IllegalMove when the table has no such move, AlreadyMoved
    when another writer was quicker. The object follows the row.
    """
    target = next_status(Status(application.status), action)
    read_version = application.version
    result = session.execute(
        update(Application)
        .where(
            col(Application.id) == application.id,
            col(Application.status) == application.status,
            col(Application.version) == read_version,
        )
        .values(status=target.value, version=read_version + 1, updated_at=now)
        .execution_options(synchronize_session="evaluate")
    )
    if cast(CursorResult[Any], result).rowcount != 1:
        raise already_moved(session, application)
    return target


def require_version(session: Session, application: Application, seen: int) -> None:
    """Raises AlreadyMoved unless the person looked at the application as it is now."""
    if application.version != seen:
        raise already_moved(session, application)


def already_moved(session: Session, application: Application) -> AlreadyMoved:
    """The conflict in words: who did what to the application last, and when. Saving a draft is no event, and nobody is
    named for it."""
    last = session.exec(
        select(EventRow)
        .where(EventRow.stream == str(application.id), col(EventRow.type).in_(_SAID))
        .order_by(col(EventRow.sequence).desc())
        .limit(1)
    ).first()
    changed_at = session.exec(select(Application.updated_at).where(Application.id == application.id)).one()
    if last is None or last.at < changed_at:
        return AlreadyMoved()
    return AlreadyMoved(f"{last.actor_name} {_SAID[last.type]}", last.at)
