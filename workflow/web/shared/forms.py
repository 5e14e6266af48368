"""Reads what a form sent. Every page form goes through `posted_form`, which checks where it came from first."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from workflow.errors import Problem
from workflow.web.shared import csrf
from workflow.web.shared.site import site_of

MAX_FIELDS = 400


@dataclass(frozen=True)
class Upload:
    """A file as it was sent. The name is what the browser said and proves nothing."""

    name: str
    content: bytes


@dataclass(frozen=True)
class PostedForm:
    """The fields of a form that came from our own page."""

    data: FormData
    files: dict[str, Upload] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The last value of a field without surrounding blanks and with plain line ends; empty when it is missing."""
        value = self.data.get(name)
        return value.replace("\r\n", "\n").strip() if isinstance(value, str) else ""

    def secret(self, name: str) -> str:
        """The value exactly as typed, for passwords."""
        value = self.data.get(name)
        return value if isinstance(value, str) else ""

    def many(self, name: str) -> tuple[str, ...]:
        """All non-empty values of a field that may be sent several times."""
        return tuple(each.strip() for each in self.data.getlist(name) if isinstance(each, str) and each.strip())

    def integer(self, name: str) -> int | None:
        """The whole number a field holds ("1,200" and "1 200" too), or None when it holds none."""
        digits = self.text(name).replace(",", "").replace(" ", "").replace("\N{NO-BREAK SPACE}", "")
        return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 12 else None

    def checked(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.text(name))

    def upload(self, name: str) -> Upload | None:
        """The file sent in a field, or None when nothing was chosen."""
        return self.files.get(name)


async def posted_form(request: Request) -> PostedForm:
    """The form of this request. Raises ForeignOrigin or StaleForm before anything in it is used."""
    site = site_of(request)
    csrf.check_origin(request, site.scheme)
    _require_utf8(request)
    data = await request.form(max_files=8, max_fields=MAX_FIELDS)
    submitted = data.get(csrf.FIELD) or request.headers.get(csrf.HEADER, "")
    csrf.check_token(request, site.cookies, submitted if isinstance(submitted, str) else "")
    files: dict[str, Upload] = {}
    for name, value in data.multi_items():
        if isinstance(value, str) and "\0" in value:
            raise HTTPException(400, "This form holds a NUL character, which is no text. Remove it and send the form again.")
        if isinstance(value, UploadFile) and value.filename:
            files[name] = Upload(value.filename, await value.read())
    return PostedForm(data, files)


def _require_utf8(request: Request) -> None:
    """Browsers send what the page is written in. Another character set could smuggle in what is no text at all."""
    _, options = parse_options_header(request.headers.get("content-type", ""))
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        raise HTTPException(400, "Send the form in UTF-8, as the page does.")


Posted = Annotated[PostedForm, Depends(posted_form)]
"""Parameter type of every handler that takes a form."""


@dataclass(frozen=True)
class FieldErrors:
    """The problems of one submission, found by field: for the summary on top and the words beside each field."""

    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> "FieldErrors":
        """Keeps the first problem of each field: a second sentence on one field is noise."""
        first: dict[str, Problem] = {}
        for each in problems:
            first.setdefault(each.field, each)
        return cls(tuple(first.values()))

    def __bool__(self) -> bool:
        return bool(self.problems)

    def __len__(self) -> int:
        return len(self.problems)

    def on(self, *fields: str) -> str:
        """The sentence for the first of these fields that has one, else empty."""
        return next((each.message for name in fields for each in self.problems if each.field == name), "")
