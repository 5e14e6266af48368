"""The console's address as a feed: one kept connection, one cheap conditional request per look."""

import json
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from .feeds import FeedAway, Published, instant_from
from .platform import GateMisconfigured

FEED_PATH: Final = "/console/api/license/feed"
TIMEOUT: Final = 5.0
_ADVICE: Final = {
    400: " If it does not know this host name, add it to LICDESK_ALLOWED_HOSTS there.",
    401: " Give the gate the token in the console's file api-token.",
    404: " Is this the console's address?",
}
LARGEST: Final = 4 * 1024 * 1024


class HttpFeed:
    """The feed of the console at `address` (https://console.example, with a path before /console where there is one).

    `token` is the console's `api-token`. Certificates are checked as Python does by default (SSL_CERT_FILE names others).
    """

    def __init__(self, address: str, token: str) -> None:
        parts = urlsplit(address)
        try:
            self._place = (parts.hostname or "", parts.port)
        except ValueError:
            self._place = ("", None)
        if parts.scheme not in ("https", "http") or not self._place[0] or parts.query or parts.fragment:
            raise GateMisconfigured(f"{address} is not the address of a console, such as https://console.example.")
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._path = parts.path.rstrip("/") + FEED_PATH
        self._token = token.strip()
        self._connection: HTTPConnection | None = None
        self._tag: str | None = None

    def news(self) -> Published | None:
        """Asks for what differs from the last answer. Raises FeedAway when there is no usable answer."""
        try:
            answer = self._ask()
            body = answer.read(LARGEST + 1)
        except (OSError, HTTPException, ValueError) as error:
            self._hang_up()
            raise FeedAway(f"The console at {self._address} cannot be reached ({type(error).__name__}).") from error
        if answer.status == 304:
            return None
        if answer.status != 200 or len(body) > LARGEST:
            self._hang_up()
            raise FeedAway(f"The console at {self._address} answered {answer.status}.{_advice(answer.status)}")
        try:
            found = _published_in(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise FeedAway(f"What answers at {self._address} is not a console.") from None
        self._tag = answer.headers.get("ETag")
        return found

    def forget(self) -> None:
        """Reads everything again over a new connection."""
        self._tag = None
        self._hang_up()

    def _ask(self) -> HTTPResponse:
        if self._connection is None:
            host, port = self._place
            self._connection = self._kind(host, port, timeout=TIMEOUT)
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if self._tag is not None:
            headers["If-None-Match"] = self._tag
        self._connection.request("GET", self._path, headers=headers)
        return self._connection.getresponse()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _published_in(facts: dict[str, Any]) -> Published:
    generation = facts["generation"]
    if type(generation) is not int:
        raise TypeError("the generation is a whole number")
    revocations = facts["revocations"]
    seen = facts["seen"]
    return Published(
        generation=generation,
        licenses=tuple(each.encode() for each in facts["licenses"]),
        roots=tuple(each.encode() for each in facts["roots"]),
        revocations=revocations.encode() if revocations is not None else None,
        seen=instant_from(seen.encode() if seen is not None else None),
    )


def _advice(status: int) -> str:
    return _ADVICE.get(status, "")
