"""What people choose for themselves: it changes how pages look to them, and nothing else."""

from sqlmodel import Session

from workflow.db.queries import people
from workflow.domain.roles import Actor
from workflow.services.accounts import require_time_zone


def choose_time_zone(session: Session, actor: Actor, time_zone: str) -> None:
    """Shows times in this zone from now on. Raises ZoneUnknown."""
    assert actor.person_id is not None, "only a person has a profile"
    require_time_zone(time_zone)
    people.get_person(session, actor.person_id).time_zone = time_zone
