"""The text of a policy file and where in it everything stands, so that each fault can name its line.

`tomllib` decides what the text says. It does not tell positions, so a second look at the accepted text finds them.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workflow.errors import Misconfigured

Path = tuple[str | int, ...]
"""Where a value stands in the document: ("rule", 0, "require", 1, "count")."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_POSITION = re.compile(r" \(at line (\d+), column \d+\)$")
_AT_END = " (at end of document)"


@dataclass(frozen=True)
class Fault:
    """Something that cannot stand in a policy, and the line it stands on."""

    line: int
    reason: str


class PolicyBroken(Misconfigured):
    """The policy file cannot be used. One line of text for each fault: file, line, reason."""

    code = "policy.broken"

    def __init__(self, name: str, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults), key=lambda each: (each.line, each.reason)))
        super().__init__("\n".join(f"{name}, line {each.line}: {each.reason}" for each in self.faults))


class Source:
    """A parsed file that knows its lines."""

    def __init__(self, text: str, name: str) -> None:
        """Raises PolicyBroken when the text is not TOML."""
        self.name = name
        try:
            self.document: Mapping[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise PolicyBroken(name, [_syntax_fault(str(error), text)]) from error
        self._lines = _Positions(text.replace("\r\n", "\n")).found

    def line(self, path: Path) -> int:
        """The line of a value, or of the nearest thing around it that has one; 1 when there is none."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


def _syntax_fault(message: str, text: str) -> Fault:
    found = _POSITION.search(message)
    line = int(found[1]) if found else text.count("\n") + 1
    return Fault(line, f"This is not TOML: {_POSITION.sub('', message).removesuffix(_AT_END)}.")


class _Positions:
    """Walks text that is known to be TOML and notes the line on which each key, element and table begins."""

    def __init__(self, text: str) -> None:
        self.found: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._arrays: dict[Path, int] = {}
        self._document()

    def _document(self) -> None:
        table: Path = ()
        while self._skip_blank(lines=True):
            line = self._line()
            if self._takes("[["):
                path = self._inside(self._keys())
                self._arrays[path] = self._arrays.get(path, -1) + 1
                table = (*path, self._arrays[path])
                self._at += 2
            elif self._takes("["):
                table = self._inside(self._keys())
                self._at += 1
            else:
                self._pair(table)
                continue
            for depth in range(1, len(table) + 1):
                self.found.setdefault(table[:depth], line)

    def _inside(self, keys: Path) -> Path:
        """The path of a header: below an array of tables it means the array's last one."""
        path: Path = ()
        for position, key in enumerate(keys):
            path = (*path, key)
            if path in self._arrays and position < len(keys) - 1:
                path = (*path, self._arrays[path])
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self.found.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip_blank()
        if self._takes("["):
            for position in range(len(self._text)):
                self._skip_blank(lines=True)
                if self._takes("]"):
                    return
                self.found[*path, position] = self._line()
                self._value((*path, position))
                self._skip_blank(lines=True)
                self._takes(",")
        elif self._takes("{"):
            while True:
                self._skip_blank(lines=True)
                if self._takes("}"):
                    return
                self._pair(path)
                self._skip_blank(lines=True)
                self._takes(",")
        elif self._text[self._at] in "\"'":
            self._string()
        else:
            while self._at < len(self._text) and self._text[self._at] not in ",]}#\n":
                self._at += 1

    def _keys(self) -> Path:
        keys: list[str] = []
        while True:
            self._skip_blank()
            start = self._at
            if self._text[self._at] in "\"'":
                keys.append(str(next(iter(tomllib.loads(f"{self._string()} = 0")))))
            else:
                found = _BARE.match(self._text, start)
                assert found is not None, "tomllib has read this key"
                self._at = found.end()
                keys.append(found[0])
            self._skip_blank()
            if not self._takes("."):
                return tuple(keys)

    def _string(self) -> str:
        start, quote = self._at, self._text[self._at]
        closing = quote * 3 if self._text.startswith(quote * 3, start) else quote
        self._at += len(closing)
        while not self._text.startswith(closing, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(closing)
        while len(closing) == 3 and self._text.startswith(
            quote, self._at
        ):  # up to two quotes may stand before the closing ones
            self._at += 1
        return self._text[start : self._at]

    def _skip_blank(self, *, lines: bool = False) -> bool:
        """Goes on to what comes next; False at the end of the text."""
        blank = " \t\n" if lines else " \t"
        while self._at < len(self._text):
            if self._text[self._at] in blank:
                self._at += 1
            elif lines and self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = end if end >= 0 else len(self._text)
            else:
                return True
        return False

    def _takes(self, token: str) -> bool:
        if self._text.startswith(token, self._at):
            self._at += len(token)
            return True
        return False

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1
