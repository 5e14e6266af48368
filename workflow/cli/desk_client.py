"""The desk's API as its commands see it: one object per desk and token, and refusals as sentences."""

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import httpx

from workflow.errors import Conflict, Unavailable

BASE = "/api/v1"
TIMEOUT = 30.0
TRIES = 3


@dataclass(frozen=True)
class FieldProblem:
    """What the desk says about one field: a JSON pointer, a code, a sentence."""

    pointer: str
    code: str
    detail: str

    @property
    def field(self) -> str:
        """The field as people write it: validity.last_day."""
        return self.pointer.removeprefix("#/").replace("/", ".") or "the request"


class RefusedByDesk(Conflict):
    """The desk answered with a problem. `code`, `status` and the sentence are the desk's own."""

    code = "client.refused"

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        super().__init__(str(document.get("detail") or f"The desk answered {status}."))
        self.status = status
        self.desk_code = str(document.get("code", f"http.{status}"))
        self.reference = str(document.get("reference", ""))
        self.fields = tuple(
            FieldProblem(str(each["pointer"]), str(each["code"]), str(each["detail"])) for each in document.get("errors", ())
        )


class DeskUnreachable(Unavailable):
    """Nothing answers at the desk's address."""

    code = "client.unreachable"


class DeskClient:
    """Calls one desk with one person's token. A POST carries an Idempotency-Key, so trying it again does no harm."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=self.url + BASE, headers=headers, timeout=TIMEOUT)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""
        self._client.close()

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """The document at a path. Raises RefusedByDesk, DeskUnreachable."""
        found: dict[str, Any] = self._call("GET", path, params=query).json()
        return found

    def post(self, path: str, body: Mapping[str, Any], *, seen: int | None = None) -> dict[str, Any]:
        """The answer to a POST; `seen` is the application's version that was looked at. Raises RefusedByDesk."""
        headers = {"Idempotency-Key": str(uuid.uuid4())} | ({"If-Match": f'"{seen}"'} if seen is not None else {})
        made: dict[str, Any] = self._call("POST", path, json=dict(body), headers=headers).json()
        return made

    def file(self, address: str) -> bytes:
        """The bytes at an address that the desk gave. Raises RefusedByDesk, DeskUnreachable."""
        return self._call("GET", address.removeprefix(BASE)).content

    def pages(self, path: str, **query: str | int) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.get(path, **query, **({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page["next"]

    def now(self) -> datetime:
        """The desk's clock: in a demo it may be ahead of this machine's."""
        return datetime.fromisoformat(self.get("/health")["now"])

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        for tries_left in reversed(range(TRIES)):
            try:
                answer = self._client.request(method, path, **arguments)
                break
            except httpx.HTTPError as error:
                if not tries_left:
                    raise DeskUnreachable(
                        f"No desk answers at {self.url} ({type(error).__name__}). Check the address, or start it."
                    ) from error
                time.sleep(0.5)
        if answer.is_error:
            raise RefusedByDesk(answer.status_code, _problem(answer))
        return answer


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
