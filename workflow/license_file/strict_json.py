"""The JSON profile of everything that is signed: one reading for every reader, or none.

Two parsers that understand one text differently are how a signed document comes to mean two things, so whatever
parsers are known to disagree about is refused here.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn
from unicodedata import is_normalized

from .errors import MalformedLicense
from .wording import say

MAX_DEPTH: Final = 8
MAX_INTEGER: Final = 2**53 - 1
MAX_STRING: Final = 4_096

#: Code points that no string may hold: they are invisible, reorder what a person reads, or are not characters.
#: Fixed ranges rather than Unicode categories, which change with the Unicode version of the reader.
FORBIDDEN_RANGES: Final = (
    (0x0000, 0x001F),  # C0 controls
    (0x007F, 0x009F),  # DEL, C1 controls
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # Arabic letter mark
    (0x115F, 0x1160),  # Hangul fillers
    (0x180E, 0x180E),  # Mongolian vowel separator
    (0x200B, 0x200F),  # zero-width characters, direction marks
    (0x2028, 0x202E),  # line and paragraph separators, bidi embeddings and overrides
    (0x2060, 0x206F),  # word joiner, invisible operators, bidi isolates
    (0x3164, 0x3164),  # Hangul filler
    (0xD800, 0xDFFF),  # surrogates
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFA0, 0xFFA0),  # halfwidth Hangul filler
    (0xFFF9, 0xFFFB),  # interlinear annotation
    (0xE0000, 0xE007F),  # tags
)
_FORBIDDEN: Final = frozenset(chr(point) for first, last in FORBIDDEN_RANGES for point in range(first, last + 1))
_ASCII: Final = bytes(range(128))
_SPACE: Final = " \t\r\n"
#: The marks that compose with a letter of ASCII before them. (No other character does.)
COMPOSING_RANGE: Final = (0x0300, 0x036F)
_ODD: Final = _FORBIDDEN.union(map(chr, range(COMPOSING_RANGE[0], COMPOSING_RANGE[1] + 1)))


def decode(raw: bytes, *, longest_string: int = MAX_STRING) -> dict[str, Any]:
    """The one JSON object that `raw` holds: dict, list, str, int, bool and None, nothing else.

    Raises `MalformedLicense` for anything outside the profile (docs/license-file.md, "JSON profile").
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedLicense(say("The content is not UTF-8 text (byte %(place)s).", place=error.start)) from None
    if text.startswith("\ufeff"):
        raise MalformedLicense(say("The content starts with a byte order mark."))
    plain = len(text) <= longest_string and _is_plain(raw, text)
    try:
        value, end = (_PLAIN_DECODER if plain else _DECODER).raw_decode(text, len(text) - len(text.lstrip(_SPACE)))
    except json.JSONDecodeError as error:
        raise _not_json(text, error.pos) from None
    except RecursionError:
        raise MalformedLicense(say("The content is nested deeper than %(most)s levels.", most=MAX_DEPTH)) from None
    if rest := text[end:].lstrip(_SPACE):
        raise _not_json(text, len(text) - len(rest))
    if type(value) is not dict:
        raise MalformedLicense(say("The content is not a JSON object."))
    if not plain:
        _require_profile(value, longest_string)
    elif 2 * _strings_in(value) != raw.count(b'"'):
        # Each string of a plain text has two quotes there: what is left over belongs to a name that stood twice.
        raise _name_twice()
    return value


def canonical(value: object) -> bytes:
    """The one encoding of `value` that digests are made of: names sorted by code point, no spaces, UTF-8.

    Takes str, int, bool, None, lists or tuples, and mappings with str names. Raises `MalformedLicense` for what the
    profile forbids, so nothing can be written that the reader would refuse.
    """
    _require_profile(value, MAX_STRING)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _name_twice()
    return members


def _not_json(text: str, place: int) -> MalformedLicense:
    if place >= len(text.rstrip()):
        return MalformedLicense(say("The content is not JSON: it ends too early."))
    return MalformedLicense(say("The content is not JSON: character %(place)s is not what JSON has there.", place=place + 1))


def _name_twice() -> MalformedLicense:
    # Of two equal names some parsers keep the first, some the last.
    return MalformedLicense(say("The content uses one name twice in one object."))


def _integer(digits: str) -> int:
    # Checked before int(): its cost grows with the square of the length.
    if len(digits) > 17 or digits == "-0" or not -MAX_INTEGER <= (number := int(digits)) <= MAX_INTEGER:
        raise MalformedLicense(
            say("The content holds the number %(number)s, which readers may understand differently.", number=digits[:20])
        )
    return number


def _no_fraction(digits: str) -> NoReturn:
    raise MalformedLicense(say("The content holds the number %(number)s; only whole numbers are allowed.", number=digits[:20]))


def _is_plain(raw: bytes, text: str) -> bool:
    """Whether one look at a whole JSON text shows that each string in it is plain; False when only a look at each can tell.

    Without a backslash the strings stand in the text as they are, and the parser refuses raw controls in them. Where no
    mark could compose with what is before it, the text is normalized if what is not ASCII in it is.
    """
    if "\\" in text or "\x7f" in text:
        return False
    if text.isascii():
        return True
    foreign = raw.translate(None, _ASCII).decode()
    return _ODD.isdisjoint(foreign) and is_normalized("NFC", foreign)


def _strings_in(value: dict[str, Any]) -> int:
    """How many names and texts the parser has made, counted level by level. Raises `MalformedLicense` below `MAX_DEPTH`."""
    strings = 0
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for container in level:
            if type(container) is dict:
                strings += len(container)
                container = container.values()
            for member in container:
                kind = type(member)
                if kind is str:
                    strings += 1
                elif kind is dict or kind is list:
                    below.append(member)
        if not below:
            return strings
        level = below
    raise MalformedLicense(say("The content is nested deeper than %(most)s levels.", most=MAX_DEPTH))


_CONTAINERS: Final = (dict, list, tuple)
_PLAIN_DECODER: Final = json.JSONDecoder(parse_int=_integer, parse_float=_no_fraction, parse_constant=_no_fraction)
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_no_fraction, parse_constant=_no_fraction
)


def _require_profile(value: object, longest_string: int) -> None:
    """Depth, strings and numbers, level by level: no recursion and no regular expression over hostile input."""
    texts: list[str] = []
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for container in level:
            if isinstance(container, dict):
                texts.extend(container)
                container = container.values()
            for member in container:
                if isinstance(member, str):
                    texts.append(member)
                elif isinstance(member, _CONTAINERS):
                    below.append(member)
                elif not (member is None or (isinstance(member, int) and -MAX_INTEGER <= member <= MAX_INTEGER)):
                    raise MalformedLicense(
                        say("The content holds a %(kind)s that the format does not know.", kind=type(member).__name__)
                    )
        if not below:
            return _require_plain(texts, longest_string)
        level = below
    raise MalformedLicense(say("The content is nested deeper than %(most)s levels.", most=MAX_DEPTH))


def _require_plain(texts: list[str], longest: int) -> None:
    # All texts at once, because a call for each costs more than the check.
    try:
        together = "".join(texts)
    except TypeError:
        raise MalformedLicense(say("The content holds a name that is not text.")) from None
    if max(map(len, texts), default=0) > longest:
        raise MalformedLicense(say("The content holds a text longer than %(most)s characters.", most=longest))
    if not together.isascii():
        # Nothing composes with the separator: the texts are normalized together exactly when each of them is.
        foreign = "|".join(text for text in texts if not text.isascii())
        if not _FORBIDDEN.isdisjoint(foreign):
            raise MalformedLicense(say("The content holds an invisible or direction-changing character."))
        if not is_normalized("NFC", foreign):
            raise MalformedLicense(say("The content holds a text that is not in Unicode normalization form C."))
        together = "".join(text for text in texts if text.isascii())
    # Of ASCII, exactly the controls are forbidden, and exactly they are not printable.
    if not together.isprintable():
        raise MalformedLicense(say("The content holds a control character."))
