"""Plain text in columns, as a terminal or a mailbox shows it: a Chinese character takes two, and a line may end after any.

What stands at the begin and at the end of a line follows W3C's Requirements for Chinese Text Layout, section 3.1.4.
"""

import re
from collections.abc import Iterator
from unicodedata import combining, east_asian_width

TEXT_WIDTH = 74

_NEVER_FIRST = frozenset("，。、；：？！）》」』】”’…,.;:?!)%")
_NEVER_LAST = frozenset("（《「『【“‘(")

# What the second line of a paragraph stands under: nothing, an indent, the words of a numbered step, the value of a row.
_HANGING = re.compile(r" +(?:\d+\. |[^:：]{1,18}(?:: +|： *))?")


def width(text: str) -> int:
    """How many columns the text takes."""
    return sum(0 if combining(each) else 2 if _is_wide(each) else 1 for each in text)


def padded(text: str, columns: int) -> str:
    """The text with blanks behind it, up to so many columns."""
    return text + " " * (columns - width(text))


def wrapped(text: str) -> str:
    """Paragraphs at 74 columns; lines with an address in them stay whole, so that it can be clicked."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        if width(line) <= TEXT_WIDTH or "://" in line:
            lines.append(line.rstrip())
        else:
            lines += _lines(line)
    return "\n".join(_single_spaced(lines)) + "\n"


def _lines(line: str) -> Iterator[str]:
    lead = _HANGING.match(line)
    indent = width(lead[0]) if lead else 0
    current = line[: len(line) - len(line.lstrip())]
    start = len(current)
    for piece in _pieces(line.lstrip()):
        if width((current + piece).rstrip()) > TEXT_WIDTH and len(current) > start:
            yield current.rstrip()
            current, start = " " * indent, indent
        current += piece.lstrip() if len(current) == start else piece
    yield current.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """The parts between which a line may end, blanks kept before the word they part."""
    piece = ""
    for before, after in zip(" " + text, text, strict=False):
        if piece and _may_part(before, after):
            yield piece
            piece = ""
        piece += after
    yield piece


def _may_part(before: str, after: str) -> bool:
    if after == " ":
        return before != " "
    if after in _NEVER_FIRST or before in _NEVER_LAST or before == " ":
        return False
    return _is_wide(before) or _is_wide(after)


def _is_wide(character: str) -> bool:
    return east_asian_width(character) in "WF"


def _single_spaced(lines: list[str]) -> list[str]:
    return [line for index, line in enumerate(lines) if line or (index and lines[index - 1])]
