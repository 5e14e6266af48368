"""The conditional write behind every move of an application."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import CursorResult, bindparam, update
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.dml import ReturningUpdate
from sqlmodel import Session, col, select

from workflow.db.tables import Application, EventRow, table_of
from workflow.domain.application import Action, Status, allows, next_status
from workflow.errors import Conflict

_APPLICATION = table_of(Application)
_MOVE = (
    update(_APPLICATION)
    .where(
        _APPLICATION.c.id == bindparam("moved"),
        _APPLICATION.c.status == bindparam("read_status"),
        _APPLICATION.c.version == bindparam("read_version"),
    )
    .values(status=bindparam("to"), version=bindparam("next_version"), updated_at=bindparam("at"))
)

_SAID = {
    "application.submitted": "submitted it",
    "application.revised": "revised it",
    "application.approval_recorded": "approved it",
    "application.approved": "approved it",
    "application.changes_requested": "sent it back",
    "application.rejected": "rejected it",
    "application.withdrawn": "withdrew it",
    "application.approval_rescinded": "took an approval back",
    "application.handed_over": "handed it over",
    "license.issued": "signed the license",
    "license.delivered": "delivered the license",
    "license.activated": "activated the license",
    "license.superseded": "activated a newer version",
    "license.expired": "let the license end",
    "license.revoked": "revoked the license",
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


def move(session: Session, application: Application, action: Action, now: datetime, *then: Action) -> Status:
    """Moves the application as the table says, if it still is as it was read; `then` are moves of the same instant.

    One UPDATE that names the status and the version read. Raises IllegalMove when the table has no such move, AlreadyMoved
    when another writer was quicker. The object follows the row.
    """
    target = Status(application.status)
    for each in (action, *then):
        target = next_status(target, each)
    session.flush()  # what the object was given before belongs to the row that is moved
    if not _write(session, [(application, target)], now):
        raise already_moved(session, application)
    return target


def move_all(session: Session, applications: Sequence[Application], action: Action, now: datetime) -> None:
    """Moves several applications, all or none. Raises what `move` raises; among several, AlreadyMoved does not say which."""
    targets = [(each, next_status(Status(each.status), action)) for each in applications]
    session.flush()
    if not _write(session, targets, now):
        raise already_moved(session, applications[0]) if len(applications) == 1 else AlreadyMoved()


class Moved(NamedTuple):
    """An application that was moved unread: what the history and the letters want to know of it."""

    id: UUID
    revision: int
    owner: UUID


def move_if_allowed(session: Session, application: UUID, action: Action, now: datetime) -> Moved | None:
    """Moves an application from whatever status it is in, in one statement; None when the table has no such move from there.

    Goes past the session's bookkeeping: an object read before does not follow.
    """
    row = session.connection().execute(_from_any(action), {"at": now, "moved": application}).one_or_none()
    return Moved(row.id, row.revision, row.owner) if row is not None else None


@cache
def _from_any(action: Action) -> ReturningUpdate[tuple[UUID, int, UUID]]:
    sources = [status for status in Status if allows(status, action)]
    (target,) = {next_status(status, action) for status in sources}
    return (
        update(_APPLICATION)
        .where(_APPLICATION.c.id == bindparam("moved"), _APPLICATION.c.status.in_(sources))
        .values(status=target.value, version=_APPLICATION.c.version + 1, updated_at=bindparam("at"))
        .returning(_APPLICATION.c.id, _APPLICATION.c.revision, _APPLICATION.c.owner)
    )


def _write(session: Session, targets: Sequence[tuple[Application, Status]], now: datetime) -> bool:
    """Whether every application still was as it was read; the objects follow their rows."""
    values = [
        {
            "moved": application.id,
            "read_status": application.status,
            "read_version": application.version,
            "to": target.value,
            "next_version": application.version + 1,
            "at": now,
        }
        for application, target in targets
    ]
    moved: CursorResult[Any] = session.connection().execute(_MOVE, values)
    if moved.rowcount != len(targets):
        return False
    for application, target in targets:
        set_committed_value(application, "status", target.value)
        set_committed_value(application, "version", application.version + 1)
        set_committed_value(application, "updated_at", now)
    return True


def touch(session: Session, application: Application, now: datetime) -> None:
    """Says that something else about the application changed: whoever read it before cannot move it any more.

    Raises AlreadyMoved when another writer was quicker.
    """
    if not _write(session, [(application, Status(application.status))], now):
        raise already_moved(session, application)


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
