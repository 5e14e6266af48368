"""What every request must pass before a resource looks at it: text that a database can hold."""

import json
from typing import Any

from starlette.requests import Request

from workflow.errors import Invalid, NotFound, Problem

NUL = "\0"
DEEPEST = 16
"""levels of objects and lists; no body that is described has more than three"""


class Malformed(Invalid):
    """The body is no JSON, or holds text that cannot be stored."""

    code = "request.malformed"


async def require_sound(request: Request) -> None:
    """Refuses what PostgreSQL cannot store (U+0000) and UTF-8 cannot write (lone surrogates), wherever it stands.

    Raises NotFound for an address, Malformed for a query or a body.
    """
    if NUL in request.url.path:
        raise NotFound("There is nothing at this address.")
    for name, value in request.query_params.multi_items():
        if NUL in name or NUL in value:
            raise _malformed(name.replace(NUL, ""), "Remove the NUL character from this value.")
    raw = await request.body()
    if not raw:
        return
    try:
        document = json.loads(raw, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        raise _malformed("", "The body is no JSON. Send an object in UTF-8.") from None
    _check(document, [])


def _without_repeats(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object as it was sent. A name sent twice is refused: two readers could take two different values from it."""
    found = dict(members)
    if len(found) != len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise _malformed(twice if twice.isprintable() else "", "This member is sent twice. Send it once.", "repeated")
    return found


def _check(value: Any, path: list[str]) -> None:
    if len(path) > DEEPEST:
        raise _malformed("", f"The body is nested too deeply. Use at most {DEEPEST} levels.", "too_deep")
    if isinstance(value, dict):
        for name, member in value.items():
            _check(name, path)
            _check(member, [*path, name])
    elif isinstance(value, list):
        for position, member in enumerate(value):
            _check(member, [*path, str(position)])
    elif isinstance(value, str) and (NUL in value or any("\ud800" <= character <= "\udfff" for character in value)):
        raise _malformed(".".join(path), "Remove the characters that are no text (U+0000, lone surrogates).")


def _malformed(field: str, message: str, code: str = "not_text") -> Malformed:
    return Malformed("This request cannot be read.", [Problem(field, code, message)])
