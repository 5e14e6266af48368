"""What people choose for themselves: how pages look to them and what language their letters are in, and nothing else."""

from sqlmodel import Session

from workflow.db.queries import people
from workflow.db.tables.base import LANGUAGES
from workflow.domain.roles import Actor
from workflow.errors import Invalid, Problem
from workflow.services.accounts import require_time_zone


class LanguageUnknown(Invalid):
    """A language that no letters are written in."""

    code = "accounts.language_unknown"

    def __init__(self) -> None:
        said = f"Choose one of these languages: {', '.join(LANGUAGES)}."
        super().__init__(said, [Problem("language", "unknown", said)])


def choose_time_zone(session: Session, actor: Actor, time_zone: str) -> None:
    """Shows times in this zone from now on. Raises ZoneUnknown."""
    assert actor.person_id is not None, "only a person has a profile"
    require_time_zone(time_zone)
    people.get_person(session, actor.person_id).time_zone = time_zone


def choose_language(session: Session, actor: Actor, language: str) -> None:
    """Letters are written in this language from now on: `en` or `zh`. Raises LanguageUnknown."""
    assert actor.person_id is not None, "only a person has a profile"
    if language not in LANGUAGES:
        raise LanguageUnknown
    people.get_person(session, actor.person_id).language = language
