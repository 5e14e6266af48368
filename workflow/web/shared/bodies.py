"""A limit on the size of request bodies, counted while they arrive: the declared length may be a lie or missing."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workflow.license_file import say

DEFAULT_LIMIT = 256 * 1024


class BodyTooLarge(HTTPException):
    """More bytes than this address takes. An HTTPException because FastAPI lets only those out of its body parsing."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            413, say("This is larger than %(most)s KB, the most that is accepted here. Send less.", most=limit // 1024)
        )


class BodyLimit:
    """Stops reading a body after `default` bytes, or after the limit of the longest matching path in `limits`."""

    def __init__(self, app: ASGIApp, *, limits: Mapping[str, int], default: int = DEFAULT_LIMIT) -> None:
        self.app = app
        self.limits = sorted(limits.items(), key=lambda each: -len(each[0]))
        self.default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with a counted body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        limit = next((size for prefix, size in self.limits if path.startswith(prefix)), self.default)
        declared = Headers(scope=scope).get("content-length", "")
        too_large = declared.isdecimal() and int(declared) > limit
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if too_large or seen > limit:
                    raise BodyTooLarge(limit)
            return message

        await self.app(scope, counted, send)
