"""How the API writes: one transaction for each request, and with an Idempotency-Key the same answer to the same request."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import transaction
from workflow.db.queries import idempotency, moves
from workflow.db.tables import Application
from workflow.errors import Conflict, Invalid, Problem, Stale
from workflow.times import wall_now
from workflow.web.desk.api.caller import Inside, Known

KEPT_FOR = timedelta(hours=24)
LONGEST_KEY = 200
REPLAYED = "Idempotency-Replayed"


class KeyReused(Invalid):
    """The Idempotency-Key belongs to another request of the same person."""

    code = "request.key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another request. Take a new key for each request.")


class KeyUnusable(Invalid):
    """The Idempotency-Key is not one."""

    code = "request.key_unusable"


class Collided(Conflict):
    """Two requests made the same thing at the same moment; this one came second and did nothing."""

    code = "request.collided"

    def __init__(self) -> None:
        super().__init__("Another request did the same at the same moment. Look at what is there, then send this again.")


class VersionMoved(Stale):
    """If-Match names a version of the application that is not the current one."""

    code = "application.version_moved"


class VersionMissing(HTTPException):
    """Replacing something without saying what one has read would undo what somebody else wrote."""

    def __init__(self) -> None:
        super().__init__(428, "Send If-Match with the ETag you read, so that nobody's work is undone.")


@dataclass(frozen=True)
class Answer:
    """What a request is answered with: a document, its status and further headers."""

    document: BaseModel
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The document as JSON."""
        return self.document.model_dump_json()


@dataclass(frozen=True)
class Writer:
    """Does what one request asks for, once."""

    house: Inside
    who: Known
    key: str | None
    digest: str
    if_match: int | None

    def once(self, effect: Callable[[Session], Answer]) -> Response:
        """Commits `effect` and gives its answer; a repeated request gets the first one's answer and does nothing.

        Raises KeyReused, and Collided when the database saw another request make the same thing first.
        """
        try:
            with transaction(self.house.engine) as session:
                return self._answered(session, effect)
        except IntegrityError as error:
            raise Collided from error

    def _answered(self, session: Session, effect: Callable[[Session], Answer]) -> Response:
        if self.key is None:
            answer = effect(session)
            return _json(answer.text(), answer.status, answer.headers)
        wall, person = wall_now(), self.who.person_id
        if not idempotency.take(session, person, self.key, self.digest, until=wall + KEPT_FOR, wall=wall):
            known = idempotency.answer_of(session, person, self.key)
            if known.body_sha256 != self.digest:
                raise KeyReused
            assert known.answer is not None, "key and answer are committed together"
            assert known.status is not None, "key and answer are committed together"
            kept = json.loads(known.answer)
            return _json(kept["document"], known.status, {**kept["headers"], REPLAYED: "true"})
        answer = effect(session)
        kept_answer = json.dumps({"document": answer.text(), "headers": dict(answer.headers)})
        idempotency.keep(session, person, self.key, answer.status, kept_answer)
        return _json(answer.text(), answer.status, answer.headers)

    def require_match(self, session: Session, application: Application, *, always: bool = False) -> None:
        """Raises VersionMoved, saying who was quicker, unless If-Match names the application's version or is not sent.

        With `always` it must be sent: raises VersionMissing.
        """
        if self.if_match is None:
            if always:
                raise VersionMissing
            return
        if self.if_match != application.version:
            raise VersionMoved(str(moves.already_moved(session, application)))


async def writer(
    request: Request,
    house: Inside,
    who: Known,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="A new value for each request (a UUID). The same request again within 24 hours gets the same answer.",
        ),
    ] = None,
    if_match: Annotated[
        str | None, Header(alias="If-Match", description="The application's ETag. Refused with 412 when it has changed since.")
    ] = None,
) -> Writer:
    """How this request writes. Raises KeyUnusable, VersionMoved for an If-Match that no application ever had."""
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        message = f"Use 1 to {LONGEST_KEY} printable ASCII characters, for example a UUID."
        raise KeyUnusable(message, [Problem("Idempotency-Key", "unusable", message)])
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + await request.body()
    return Writer(house, who, key, hashlib.sha256(asked).hexdigest(), _version(if_match))


Writing = Annotated[Writer, Depends(writer)]


def etag(application: Application) -> dict[str, str]:
    """The header that If-Match is made of."""
    return {"ETag": f'"{application.version}"'}


def _version(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    given = if_match.strip().removeprefix('"').removesuffix('"')
    if given.isascii() and given.isdecimal() and len(given) < 10:
        return int(given)
    raise VersionMoved("If-Match is not an ETag of this application. Read it again and send its ETag.")


def _json(text: str, status: int, headers: Mapping[str, str]) -> Response:
    return Response(text, status, dict(headers), media_type="application/json")
