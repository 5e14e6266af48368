"""Reads an upload while it arrives: at most what a license file can have is kept, the rest is counted and dropped."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from workflow.errors import Invalid, Problem
from workflow.license_file import MAX_ENVELOPE, say
from workflow.web.shared import csrf
from workflow.web.shared.site import site_of

DRAINED = 16 * 1024 * 1024
"""bytes read to the end before the answer: a browser that is cut off shows a broken connection instead of our words"""
MAX_PARTS = 8
ONE_AT_A_TIME = say("Send one license at a time: one file, or one pasted text.")
CUT_OFF = say("The upload was cut off on its way. Send it again.")
PASTED = "pasted license"


class UploadUnusable(Invalid):
    """Not an upload as our page sends it: no file, several files, or another kind of request."""

    code = "console.upload"

    def __init__(self, message: str) -> None:
        super().__init__(message, [Problem("file", self.code, message)])


@dataclass(frozen=True)
class Sent:
    """One license file as it came. `content` is cut one byte above the limit, `size` counts everything."""

    name: str
    content: bytes
    size: int

    @property
    def is_too_large(self) -> bool:
        """Whether only the beginning was kept."""
        return self.size > MAX_ENVELOPE


async def sent_license(request: Request) -> Sent:
    """The one file, or the pasted text, of this request.

    Raises ForeignOrigin or StaleForm for a form that is not ours, UploadUnusable when there is not exactly one license.
    """
    site = site_of(request)
    csrf.check_origin(request, site.scheme)
    parts = await _parts_of(request)
    token = next((part for part in parts if part.name == csrf.FIELD), None)
    csrf.check_token(request, site.cookies, token.text if token else "")
    files = [part for part in parts if part.is_file and (part.size or part.file_name)]
    pasted = next((part for part in parts if part.name == "text" and not part.is_file and part.text.strip()), None)
    if len(files) > 1 or (files and pasted):
        raise UploadUnusable(ONE_AT_A_TIME)
    if files:
        return Sent(files[0].file_name, bytes(files[0].kept), files[0].size)
    if pasted:
        content = bytes(pasted.kept).strip()
        return Sent(PASTED, content, pasted.size if pasted.is_cut else len(content))
    raise UploadUnusable(say("Choose the .lic file from the e-mail, or paste its text."))


Uploaded = Annotated[Sent, Depends(sent_license)]
"""Parameter type of the handler that takes a license file."""


@dataclass
class _Part:
    name: str = ""
    file_name: str = ""
    is_file: bool = False
    size: int = 0
    kept: bytearray = field(default_factory=bytearray)

    @property
    def is_cut(self) -> bool:
        return self.size > len(self.kept)

    @property
    def text(self) -> str:
        return self.kept.decode("utf-8", errors="replace")

    def take(self, data: bytes) -> None:
        self.size += len(data)
        self.kept += data[: MAX_ENVELOPE + 1 - len(self.kept)]


class _Collector:
    """The callbacks of the parser."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.complete = False
        self._header, self._value = bytearray(), bytearray()

    def on_part_begin(self) -> None:
        if len(self.parts) >= MAX_PARTS:
            raise UploadUnusable(ONE_AT_A_TIME)
        self.parts.append(_Part())

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            part = self.parts[-1]
            part.name = options.get(b"name", b"").decode("utf-8", errors="replace")
            part.is_file = b"filename" in options
            part.file_name = options.get(b"filename", b"").decode("utf-8", errors="replace")
        self._header.clear()
        self._value.clear()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].take(data[start:end])

    def on_end(self) -> None:
        self.complete = True


async def _parts_of(request: Request) -> list[_Part]:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise UploadUnusable(say("Send the license from the form of License Management, as multipart/form-data."))
    collector = _Collector()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": collector.on_part_begin,
                "on_header_field": collector.on_header_field,
                "on_header_value": collector.on_header_value,
                "on_header_end": collector.on_header_end,
                "on_part_data": collector.on_part_data,
                "on_end": collector.on_end,
            },
        )
        async for chunk in request.stream():
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise UploadUnusable(CUT_OFF) from error
    if not collector.complete:
        raise UploadUnusable(CUT_OFF)
    return collector.parts
