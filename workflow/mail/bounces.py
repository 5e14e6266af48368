"""Reads what came back: a delivery report (RFC 3464), or one of the many ways in which mail servers say it without one.

Whatever is handed in is somebody else's: it is read in bounded pieces, and nothing in it is an error of ours.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from typing import Any

from flufl.bounce import all_failures

from workflow.domain.bounces import Report, Verdict

LARGEST = 256 * 1024
"""octets that are looked at; what a report has to say comes first, what it returns after it"""
LONGEST_PROSE = 64 * 1024
MOST_PARTS, MOST_FIELDS = 50, 20
LONGEST_SAID, LONGEST_NAME = 1_000, 200

_ADDRESSED = ("Delivered-To", "X-Original-To", "Envelope-To", "To")
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_ACTIONS = {"failed": Verdict.FAILED, "delayed": Verdict.DELAYED}

# It writes down each of its tries, and a traceback for each that a hostile message makes fail.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)


def read(raw: bytes, addressed_to: Sequence[str] = ()) -> Report:
    """What a message says about one of ours. `addressed_to` are the addresses it was delivered to, where the envelope is known;
    else its header fields say. Never raises: a message without sense is a report without a verdict."""
    raw = raw[:LARGEST]
    digest = hashlib.sha256(raw[_end_of_header(raw) :]).hexdigest()
    if raw.lower().count(b"boundary") > 2 * MOST_PARTS:  # parts within parts: each level looks through all below it
        return Report(Verdict.OTHER, digest, addressed_to=tuple(addressed_to))
    try:
        message = BytesParser().parsebytes(raw)
        return _report(message, digest, tuple(addressed_to) or _addressed_to(message))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, AssertionError):
        return Report(Verdict.OTHER, digest, addressed_to=tuple(addressed_to))


def addressed_in(raw: bytes) -> tuple[str, ...]:
    """The addresses that the header fields of a message name, without a look at the rest."""
    try:
        return _addressed_to(BytesHeaderParser().parsebytes(raw[: min(LARGEST, _end_of_header(raw))]))
    except (ValueError, LookupError, TypeError, AttributeError):
        return ()


def _end_of_header(raw: bytes) -> int:
    found = _END_OF_HEADER.search(raw)
    return found.end() if found else len(raw)


def _report(message: Message, digest: str, addressed_to: tuple[str, ...]) -> Report:
    parts = list(_parts(message))
    said = [block for part in parts if part.get_content_type() == "message/delivery-status" for block in _blocks(part)]
    returned = next((found for found in map(_returned_id, parts) if found), "")
    envelope_id = next((found for block in said if (found := _text(block.get("Original-Envelope-Id")))), "")
    reporter = next((found for block in said if (found := _typed(block.get("Reporting-MTA")))), "")
    about = next(iter(sorted(filter(_is_verdict, said), key=_gravity)), None)
    if about is not None:
        verdict, names = _verdict(about), frozenset[str]()
        status, words = _text(about.get("Status")), _typed(about.get("Diagnostic-Code"), LONGEST_SAID)
    else:
        verdict, names = _by_experience(message, parts) if not said else (Verdict.OTHER, frozenset[str]())
        words = _first_words(parts)
        status = ""
    numbers = _STATUS.search(status) or _STATUS.search(words)
    return Report(
        verdict=verdict,
        digest=digest,
        envelope_id=envelope_id,
        addressed_to=addressed_to,
        message_id=returned,
        status=numbers[0] if numbers else "",
        reporter=reporter[:LONGEST_NAME],
        said=words,
        names=names,
    )


def _parts(message: Message) -> Iterator[Message]:
    """The parts of the report itself, not those of what it returns."""
    waiting, seen = [message], 0
    while waiting and seen < MOST_PARTS:
        part = waiting.pop(0)
        seen += 1
        yield part
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            waiting += _blocks(part)


def _blocks(part: Message) -> list[Message]:
    """What a part consists of: of a delivery status the groups of fields, about the message and then for each recipient."""
    content = part.get_payload()
    return [each for each in content[:MOST_PARTS] if isinstance(each, Message)] if isinstance(content, list) else []


def _is_verdict(block: Message) -> bool:
    return _verdict(block) is not Verdict.OTHER


def _gravity(block: Message) -> int:
    return 0 if _verdict(block) is Verdict.FAILED else 1


def _verdict(block: Message) -> Verdict:
    """By the action; without one (some servers leave it out) by the class of the status."""
    action = _text(block.get("Action")).lower().partition(" ")[0]
    if action:
        return _ACTIONS.get(action, Verdict.OTHER)
    return {"5": Verdict.FAILED, "4": Verdict.DELAYED}.get(_text(block.get("Status"))[:1], Verdict.OTHER)


def _by_experience(message: Message, parts: Sequence[Message]) -> tuple[Verdict, frozenset[str]]:
    """What the collected habits of mail servers make of a message without a delivery status, and whom it is about."""
    if sum(len(part.as_bytes()) for part in parts if not part.is_multipart()) > LONGEST_PROSE:
        return Verdict.OTHER, frozenset()
    try:
        temporary, permanent = all_failures(message)
    except Exception:  # noqa: BLE001  (rules of thumb of others, on bytes of strangers)
        return Verdict.OTHER, frozenset()
    if permanent:
        return Verdict.FAILED, _names(permanent)
    return (Verdict.DELAYED, _names(temporary)) if temporary else (Verdict.OTHER, frozenset())


def _names(found: Any) -> frozenset[str]:
    return frozenset(each.decode("utf-8", "replace").lower() for each in list(found)[:MOST_FIELDS])


def _returned_id(part: Message) -> str:
    """The Message-ID of the message that a part returns, whole or its header alone."""
    match part.get_content_type():
        case "message/rfc822" | "message/global":
            content = part.get_payload()
            inner = content[0] if isinstance(content, list) and content else None
            return _text(inner.get("Message-ID")) if isinstance(inner, Message) else ""
        case "text/rfc822-headers" | "message/rfc822-headers" | "message/global-headers":
            return _text(BytesHeaderParser().parsebytes(_decoded(part)).get("Message-ID"))
        case _:
            return ""


def _first_words(parts: Sequence[Message]) -> str:
    """What a report without fields has to say: the beginning of its text."""
    text = next((each for each in parts if each.get_content_type() == "text/plain"), None)
    return _text(_decoded(text).decode("utf-8", "replace"), LONGEST_SAID) if text is not None else ""


def _decoded(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _addressed_to(message: Message) -> tuple[str, ...]:
    found = [
        _text(each)
        for name in _ADDRESSED
        for value in (message.get_all(name) or [])[:MOST_FIELDS]
        for each in str(value).split(",")
    ]
    return tuple(each.rpartition("<")[2].rstrip("> ") for each in found[: 2 * MOST_FIELDS])


def _typed(value: object, longest: int = LONGEST_NAME) -> str:
    """A field like `dns; mx.example.com` or `smtp; 550 5.1.1 …` without its type."""
    kind, divider, rest = _text(value, longest).partition(";")
    return rest.strip() if divider and kind.isascii() and kind.replace("-", "").isalnum() else f"{kind}{divider}{rest}"


def _text(value: object, longest: int = LONGEST_NAME) -> str:
    """Visible characters on one line, so many at most."""
    if value is None:
        return ""
    text = str(value)[: 4 * longest].encode("utf-8", "replace").decode("utf-8")
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:longest]
