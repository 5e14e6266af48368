"""A letter as bytes: MIME parts and header fields in their final form, 7-bit, CRLF, no line above 998 octets.

Written directly rather than through `email.*`: what is signed must never be serialised a second time, and the standard
library's writer is a hundred times slower.
"""

import base64
import binascii
import hashlib
import re
import secrets
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from workflow.errors import Invalid

CRLF = b"\r\n"
MIME_VERSION = ("MIME-Version", b"1.0")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ATOM_TEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_ADDRESS = re.compile(r"[!#-'*+/-9=?A-Z^-~.-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_MESSAGE_ID = re.compile(r"<[!#-'*+/-9=?A-Z^-~.-]+@[A-Za-z0-9.-]+>")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+(; [a-z]+=[A-Za-z0-9.-]+)*")

# A line with an encoded word may hold 76 characters (RFC 2047): the longest field name and `=?utf-8?B?` `?=` leave 52.
_WORD_OCTETS = 39


class UnsafeHeader(Invalid):
    """A value that would break out of its header field, or that older mail servers cannot carry."""

    code = "mail.unsafe_header"
    title = "This mail cannot be written"


@dataclass(frozen=True)
class Mailbox:
    """One mailbox, checked: the address is plain ASCII, neither part can start another header field."""

    address: str
    name: str = ""

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address) or len(self.address) > 254:
            raise UnsafeHeader(f"Enter a mail address like name@example.com instead of {self.address!r}.")
        if _CONTROL.search(self.name):
            raise UnsafeHeader(f"Remove the control characters from the name {self.name!r}.")

    @classmethod
    def parse(cls, text: str) -> "Mailbox":
        """Reads `name@example.com` or `License Desk <name@example.com>`. Raises UnsafeHeader."""
        name, opening, rest = text.strip().rpartition("<")
        if not opening:
            return cls(rest)
        return cls(rest.removesuffix(">").strip(), name.strip().strip('"'))

    @property
    def domain(self) -> str:
        """What follows the @."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True)
class Attachment:
    """A file in a letter. Its name comes from our own identifiers, so it is plain ASCII without path or blanks."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        if not _FILE_NAME.fullmatch(self.name):
            raise UnsafeHeader(f"Name the attachment with letters, digits, dots and dashes instead of {self.name!r}.")
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise UnsafeHeader(f"Write the media type like application/octet-stream instead of {self.media_type!r}.")


@dataclass(frozen=True)
class Letter:
    """What a person reads: subject, the same words as plain text and as HTML, and the files that come with them."""

    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...] = ()
    language: str = "en"


@dataclass(frozen=True)
class OuterHeaders:
    """The fields every mail server on the way can read. `date` is the machine's time at which the message is built.

    `subject` stands outside an encrypted message in place of the letter's own; a message that is only signed shows the
    letter's own subject.
    """

    sender: Mailbox
    recipient: Mailbox
    message_id: str
    date: datetime
    subject: str = "Encrypted message from the license desk"

    def __post_init__(self) -> None:
        if not _MESSAGE_ID.fullmatch(self.message_id) or len(self.message_id) > 250:
            raise UnsafeHeader(f"Write the Message-ID like <name@example.com> instead of {self.message_id!r}.")
        if self.date.tzinfo is None:
            raise UnsafeHeader("Give the date of the message with its zone.")

    def fields(self, subject: str) -> tuple[tuple[str, bytes], ...]:
        """Names and encoded values of all fields that are not about the MIME structure, with the given subject."""
        return (
            ("From", mailbox_value("From", self.sender)),
            ("To", mailbox_value("To", self.recipient)),
            ("Subject", text_value("Subject", subject)),
            ("Date", format_datetime(self.date).encode("ascii")),
            ("Message-ID", self.message_id.encode("ascii")),
            # RFC 3834: nobody's absence notice shall answer a letter of this desk.
            ("Auto-Submitted", b"auto-generated"),
        )


def message_id_for(key: str, domain: str) -> str:
    """The Message-ID derived from a job's dedupe key: the same for every rebuilding of the same message."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def write_fields(fields: Iterable[tuple[str, bytes]]) -> bytes:
    """Header lines; the values are already encoded and folded."""
    return b"".join(name.encode("ascii") + b": " + value + CRLF for name, value in fields)


def write_body(letter: Letter) -> tuple[bytes, bytes]:
    """The letter's MIME body: the value of its Content-Type, and what follows the empty line."""
    alternative_type, alternative = _multipart(
        "alternative", [_text_part("plain", letter.text), _text_part("html", letter.html)]
    )
    if not letter.attachments:
        return alternative_type, alternative
    first = b"Content-Type: " + alternative_type + CRLF + CRLF + alternative
    return _multipart("mixed", [first, *(_file_part(each) for each in letter.attachments)])


def protected_payload(letter: Letter, headers: OuterHeaders, outer: tuple[tuple[str, bytes], ...] | None) -> bytes:
    """What is signed: the letter under its true header fields. `outer` is what an encrypted message shows outside.

    RFC 9788: hp="cipher" says that the fields here were hidden or changed outside, and one HP-Outer line for each outer
    field lets the reader's program tell which of them travelled in clear; hp="clear" says that none was. Programs from
    before look for protected-headers="v1" and then show the same subject.
    """
    content_type, body = write_body(letter)
    protection = b';\r\n hp="cipher"; protected-headers="v1"' if outer else b';\r\n hp="clear"'
    shown = tuple(("HP-Outer", name.encode("ascii") + b": " + value) for name, value in outer or ())
    fields = (*headers.fields(letter.subject), *shown, ("Content-Type", content_type + protection))
    return write_fields(fields) + CRLF + body


def base64_lines(content: bytes) -> bytes:
    """base64 in lines of 76 characters, each ended by CRLF."""
    encoded = binascii.b2a_base64(content, newline=False)
    whole, rest = divmod(len(encoded), 76)
    # One call that cuts them all: base64.encodebytes() goes line by line and takes twice as long.
    lines = struct.unpack("76s" * whole + f"{rest}s", encoded)
    return CRLF.join(lines) + (CRLF if rest else b"")


def text_value(name: str, value: str) -> bytes:
    """An unstructured field's value: ASCII folded at blanks, anything else as encoded words. Raises UnsafeHeader."""
    if _CONTROL.search(value):
        raise UnsafeHeader(f"Remove the line breaks and control characters from the {name} line {value!r}.")
    if value.isascii() and "=?" not in value and all(len(word) < 900 for word in value.split(" ")):
        return _fold(len(name) + 2, value.split(" "))
    return CRLF.join(_encoded_words(value)).replace(CRLF, CRLF + b" ")


def mailbox_value(name: str, mailbox: Mailbox) -> bytes:
    """`Name <address>`, the name as plain words, quoted, or encoded, whichever it needs."""
    address = f"<{mailbox.address}>".encode("ascii")
    if not mailbox.name:
        return mailbox.address.encode("ascii")
    if not mailbox.name.isascii() or "=?" in mailbox.name or len(mailbox.name) > 200:
        words = list(_encoded_words(mailbox.name))
        return (CRLF + b" ").join([*words[:-1], words[-1] + b" " + address])
    if _ATOM_TEXT.fullmatch(mailbox.name):
        return _fold(len(name) + 2, [*mailbox.name.split(" "), address.decode("ascii")])
    quoted = mailbox.name.replace("\\", "\\\\").replace('"', '\\"')
    return b'"' + quoted.encode("ascii") + b'" ' + address


def _fold(used: int, words: list[str]) -> bytes:
    lines: list[str] = []
    line = words[0]
    for word in words[1:]:
        # A line of nothing but blanks would end the header for some readers: empty words never start a new line.
        if word and line.strip() and used + len(line) + 1 + len(word) > 78:
            lines.append(line)
            line, used = word, 1
        else:
            line += " " + word
    return (CRLF + b" ").join(each.encode("ascii") for each in [*lines, line])


def _encoded_words(value: str) -> Iterable[bytes]:
    piece = b""
    for character in value:
        octets = character.encode("utf-8", "replace")  # a lone surrogate cannot travel
        if len(piece) + len(octets) > _WORD_OCTETS:
            yield b"=?utf-8?B?" + base64.b64encode(piece) + b"?="
            piece = b""
        piece += octets
    yield b"=?utf-8?B?" + base64.b64encode(piece) + b"?="


def _text_part(subtype: str, text: str) -> bytes:
    content = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").replace(b"\n", CRLF)
    head = b"Content-Type: text/" + subtype.encode("ascii") + b"; charset=utf-8" + CRLF
    if _travels_unchanged(content):
        return head + b"Content-Transfer-Encoding: 7bit" + CRLF + CRLF + content
    return head + b"Content-Transfer-Encoding: base64" + CRLF + CRLF + base64_lines(content)


def _travels_unchanged(content: bytes) -> bool:
    """Whether mail servers leave it alone: ASCII, short lines, no "From " (mbox escapes it), no trailing blanks."""
    return (
        content.isascii()
        and b"\x00" not in content
        and not content.startswith(b"From ")
        and not any(mark in content for mark in (b"\nFrom ", b" \r\n", b"\t\r\n"))
        and max(map(len, content.split(CRLF))) <= 200
    )


def _file_part(attachment: Attachment) -> bytes:
    name = attachment.name.encode("ascii")
    return (
        b"Content-Type: " + attachment.media_type.encode("ascii") + b';\r\n name="' + name + b'"\r\n'
        b"Content-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment;\r\n filename="' + name + b'"\r\n\r\n' + base64_lines(attachment.content)
    )


def _multipart(subtype: str, parts: list[bytes]) -> tuple[bytes, bytes]:
    boundary = new_boundary()
    content_type = b"multipart/" + subtype.encode("ascii") + b';\r\n boundary="' + boundary + b'"'
    return content_type, join_parts(parts, boundary)


def new_boundary() -> bytes:
    """A boundary that nobody can foresee, so no content can be written to contain it."""
    return b"=_" + secrets.token_hex(20).encode("ascii")


def join_parts(parts: Iterable[bytes], boundary: bytes) -> bytes:
    """The body of a multipart entity. The CRLF before each boundary belongs to the boundary (RFC 2046)."""
    delimiter = b"--" + boundary
    return b"".join(delimiter + CRLF + part + CRLF for part in parts) + delimiter + b"--" + CRLF
