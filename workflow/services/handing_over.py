"""Putting another liaison in charge of an application, when somebody left or is away. Nothing changes hands by itself."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import applications, moves, people
from workflow.db.tables import Application
from workflow.domain.events import ApplicationHandedOver
from workflow.domain.roles import Actor, Permission, Role, require
from workflow.errors import Conflict


class NotALiaison(Conflict):
    """Only liaisons who can sign in are in charge of applications."""

    code = "application.not_a_liaison"


def hand_over(session: Session, actor: Actor, application: Application, to: UUID, now: datetime) -> None:
    """Puts another liaison in charge; the history names both. In charge already is fine.

    Raises MissingRole, NotALiaison, AlreadyMoved when the application changed meanwhile.
    """
    require(actor, Permission.OPERATE)
    before, after = people.get_person(session, application.owner), people.get_person(session, to)
    if before.id == after.id:
        return
    if after.disabled_at is not None or Role.LIAISON not in people.roles_of(session, after.id, now):
        raise NotALiaison(f"{after.name} is no liaison here. Choose somebody who is.")
    if not applications.set_owner(session, application, after.id, now):
        raise moves.already_moved(session, application)
    outbox.record(session, ApplicationHandedOver(before.name, after.name), actor, now, application=application)
