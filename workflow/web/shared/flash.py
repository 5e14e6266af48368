"""One message that survives a redirect: "Application submitted". It is shown on the next page and then forgotten."""

import base64
import json
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import Response

from workflow.web.shared.cookies import Cookies

LIFETIME = 300  # seconds; a message nobody came back for is not news any more
LONGEST = 600


class FlashKind(StrEnum):
    """How a message looks. The icon and the words carry the meaning, not the color."""

    OK = "ok"
    INFO = "info"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Flash:
    """A message for the next page. The text is escaped like any other value."""

    kind: FlashKind
    text: str


def leave(response: Response, cookies: Cookies, text: str, kind: FlashKind = FlashKind.OK) -> None:
    """Leaves a message for the next page this browser opens."""
    packed = json.dumps([kind.value, text[:LONGEST]], separators=(",", ":")).encode()
    cookies.put(response, cookies.flash, base64.urlsafe_b64encode(packed).decode(), max_age=LIFETIME)


def waiting(request: Request, cookies: Cookies) -> Flash | None:
    """The message left for this page, if there is one that can be read."""
    raw = request.cookies.get(cookies.flash)
    if not raw:
        return None
    try:
        kind, text = json.loads(base64.urlsafe_b64decode(raw))
        return Flash(FlashKind(kind), str(text)[:LONGEST])
    except (ValueError, TypeError, RecursionError):
        return None  # a cookie is the browser's to write: anything unreadable is no message
