"""The API's description (OpenAPI 3.1), made from the routes themselves, with the problems that each can answer."""

from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workflow.web.desk.api.shapes import BASE

router = APIRouter()
VERSION = "1"
PROBLEM_TYPE = "application/problem+json"

DESCRIPTION = """\
Applications, approvals and licenses, by the same rules as the pages.

**Who calls.** `Authorization: Bearer TOKEN` with a personal token, or the session cookie together with its form token in
`X-CSRF-Token`. **Errors** are problem details (RFC 9457) with a stable `code`; `errors` names the fields. **Repeating** a
POST is safe with an `Idempotency-Key`. **Versions:** a read gives an `ETag`, `If-Match` refuses (412) what somebody else
has changed meanwhile. **Lists** have `limit` and `cursor`, a `Link` to the next page, and CSV for `Accept: text/csv`.
Times are RFC 3339 in UTC; dates are calendar days in the license's time zone.
"""

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457). docs/errors.md lists the codes.",
    "required": ["type", "title", "status", "detail", "code", "reference"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What to do."},
        "code": {"type": "string", "description": "Stable; made for programs."},
        "reference": {"type": "string", "description": "Quote it: the desk's log has it, too."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "Where in the body (JSON Pointer)."},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}

_TERMS_REFUSED = {
    "type": "urn:licdesk:error:application.terms_refused",
    "title": "There is a problem",
    "status": 422,
    "detail": "1 answer needs fixing. Nothing was submitted.",
    "code": "application.terms_refused",
    "reference": "7Q2M-4TBK",
    "errors": [
        {
            "pointer": "#/validity/last_day",
            "code": "in_the_past",
            "detail": "The last day has passed. Choose a day from today on.",
        }
    ],
}

# What any operation can answer: by whether it needs somebody, names something, takes a body, changes something.
_UNREADABLE = (400, "Unreadable", "The body is not JSON.")
_NOBODY = (401, "Nobody", "No token and no session, or one that has ended.")
_ROLE = (403, "MissingRole", "The person's roles do not allow it; the detail names the roles that would.")
_UNKNOWN = (404, "Unknown", "There is no such thing, or the caller may not know of it.")
_MOVED = (409, "Conflict", "Somebody was quicker; the detail says who did what.")
_STALE = (412, "Stale", "If-Match names a version that is not the current one.")
_TOO_LARGE = (413, "TooLarge", "The body is larger than any that is needed; the detail says how large it may be.")
_FIELDS = (422, "Fields", "Something sent cannot be used; `errors` names the fields.")
_UNCONDITIONAL = (428, "Unconditional", "If-Match was not sent, and this would undo what somebody else wrote.")
_AWAY = (503, "Away", "The database does not take the request now. Nothing of it was kept; Retry-After says when to try again.")
_RESPONSES = (
    *(_UNREADABLE, _NOBODY, _ROLE, _UNKNOWN, _MOVED, _STALE),
    *(_TOO_LARGE, _FIELDS, _UNCONDITIONAL, _AWAY),
)


@router.get("/openapi.json", include_in_schema=False)
def show(request: Request) -> Response:
    """The description."""
    return JSONResponse(document(list(iter_route_contexts(request.app.routes))))


def document(routes: list[RouteContext]) -> dict[str, Any]:
    """The description of those of the routes that belong to the API."""
    made = get_openapi(
        title="License Desk",
        version=VERSION,
        openapi_version="3.1.0",
        summary="An approval in front of the license signature.",
        description=DESCRIPTION,
        routes=[each for each in routes if (each.path or "").startswith(f"{BASE}/")],
    )
    components = made.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    for name in ("HTTPValidationError", "ValidationError"):  # ours are problem details
        components["schemas"].pop(name, None)
    components["responses"] = {name: _response(status, words) for status, name, words in _RESPONSES}
    for operations in made["paths"].values():
        for method, operation in operations.items():
            _add_problems(method, operation)
    return made


def _response(status: int, words: str) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if status == 422:
        content["example"] = _TERMS_REFUSED
    return {"description": words, "content": {PROBLEM_TYPE: content}}


def _add_problems(method: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    answers.pop("422", None)
    places = {each["in"] for each in operation.get("parameters", [])}
    typed = any(each["in"] == "path" and _is_typed(each["schema"]) for each in operation.get("parameters", []))
    due = [_AWAY]
    if "security" in operation:
        due += [_NOBODY, _ROLE]
    takes = "application/json" in operation.get("requestBody", {}).get("content", {})
    if "path" in places or ("security" in operation and takes):  # a body can name something, too
        due.append(_UNKNOWN)
    if method in ("post", "put") and "security" in operation:
        due += [_MOVED, _STALE]
    if takes:
        due += [_UNREADABLE, _TOO_LARGE]
    if method == "put":
        due.append(_UNCONDITIONAL)
    if "query" in places or typed or takes:
        due.append(_FIELDS)
    for status, name, _ in due:
        answers[str(status)] = {"$ref": f"#/components/responses/{name}"}


def _is_typed(schema: dict[str, Any]) -> bool:
    """Whether a part of an address can be of the wrong kind: a number, an id."""
    return schema.get("type") != "string" or "format" in schema
