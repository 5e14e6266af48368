"""What people choose for themselves: it changes how pages look to them, and nothing else."""

from zoneinfo import ZoneInfo

from sqlmodel import Session

from workflow.db.queries import people
from workflow.domain.roles import Actor
from workflow.errors import Invalid, Problem


class ZoneUnknown(Invalid):
    """Not a name of the time zone database."""

    code = "preferences.zone_unknown"


def choose_time_zone(session: Session, actor: Actor, time_zone: str) -> None:
    """Shows times in this zone from now on. Raises ZoneUnknown."""
    assert actor.person_id is not None, "only a person has a profile"
    try:
        ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError) as error:
        message = "Use a time zone name such as Asia/Shanghai or Europe/Berlin."
        raise ZoneUnknown(message, [Problem("time_zone", "unknown", message)]) from error
    people.get_person(session, actor.person_id).time_zone = time_zone
