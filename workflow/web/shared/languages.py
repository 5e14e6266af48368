"""Who gets a page in which language: what a person chose, else what the browser asks for."""

from collections.abc import Sequence

from starlette.requests import Request

from workflow.languages import Language, find

COOKIE = "language"
LONGEST_HEADER = 200


def language_of(request: Request, languages: Sequence[Language]) -> Language:
    """What this person chose, else the first language the browser asks for that there is, else the first there is."""
    chosen = request.cookies.get(COOKIE)
    wanted = [chosen] if chosen else []
    wanted += _asked_for(request.headers.get("accept-language", "")[:LONGEST_HEADER])
    return next((each for tag in wanted if (each := find(tag, languages)) is not None), languages[0])


def _asked_for(header: str) -> list[str]:
    """The tags of an Accept-Language header, best first (RFC 9110, section 12.5.4); what cannot be read is left out."""
    weighed: list[tuple[float, str]] = []
    for part in header.split(","):
        tag, _, weight = part.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if tag.strip() and 0 < quality <= 1:
            weighed.append((quality, tag.strip()))
    return [tag for _, tag in sorted(weighed, key=lambda each: -each[0])]
