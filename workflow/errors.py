"""Error families: each error has a stable code and a sentence a person can act on. Nothing here knows HTTP."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field. `field` is a dotted path ("limits.agents"), `message` says what to do."""

    field: str
    code: str
    message: str


class DeskError(Exception):
    """Everything a person can be told. `code` is stable, `title` names the kind, `str()` says what to do."""

    code: ClassVar[str] = "desk.error"
    title: ClassVar[str] = "Something went wrong"

    def told(self, zone: str) -> str:
        """The sentence for somebody who reads times in `zone`; most sentences have none."""
        del zone
        said = self.args[0] if self.args else ""
        return said if isinstance(said, str) else str(self)  # as it was said: a page may know it in another language


class NotFound(DeskError):
    """What was asked for does not exist, or the asker may not know of it."""

    code = "not_found"
    title = "Not found"


class Unauthenticated(DeskError):
    """Nobody is signed in, or the credentials are wrong."""

    code = "unauthenticated"
    title = "Sign in first"


class Forbidden(DeskError):
    """The person is known and may not do this."""

    code = "forbidden"
    title = "Not allowed"


class Conflict(DeskError):
    """The state moved on since the asker looked, or a uniqueness was hit."""

    code = "conflict"
    title = "Someone was quicker"


class Stale(Conflict):
    """The asker named a version (If-Match) that is not the current one: nothing was done."""

    code = "stale"
    title = "Changed meanwhile"


class Invalid(DeskError):
    """Input that cannot be used. `problems` names the fields when there are any."""

    code = "invalid"
    title = "There is a problem"

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class TooMany(DeskError):
    """Too many attempts. `retry_after` is in seconds."""

    code = "too_many"
    title = "Too many attempts"

    def __init__(self, message: str, retry_after: int = 60) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(DeskError):
    """A part this needs is away; trying again later can work."""

    code = "unavailable"
    title = "Not available right now"


class Misconfigured(DeskError):
    """The set-up is wrong; an operator has to change it."""

    code = "misconfigured"
    title = "Check the settings"
