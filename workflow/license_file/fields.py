"""Reading the members of a signed object one by one: each has its type and its bounds, and none is left over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from string import ascii_letters, digits, hexdigits
from typing import Any, Final, TypeVar

from .errors import MalformedLicense
from .strict_json import MAX_INTEGER
from .wording import say

_Choice = TypeVar("_Choice", bound=StrEnum)

_ABSENT: Final = object()
_LOWER_HEX: Final = frozenset(hexdigits.lower())
_LONGEST_CODE: Final = 64
_CODE: Final = frozenset(ascii_letters + digits + "-_.:/+@")


class Members:
    """One decoded object, which is emptied: every member is taken once by name; `end()` refuses what nobody asked for.

    All methods raise `MalformedLicense` with the path of the member, for example `limits.users.max`.
    """

    __slots__ = ("_left", "_name", "_within")

    def __init__(self, value: object, name: str = "", within: Members | None = None) -> None:
        self._name = name
        self._within = within
        if type(value) is not dict:
            raise MalformedLicense(say("%(member)s is not an object.", member=self.path() or say("The content")))
        self._left: dict[str, Any] = value

    def path(self, name: str = "") -> str:
        """The full path of a member, or of the object itself: for sentences, and only made for them."""
        within = self._within.path() if self._within else ""
        return ".".join(filter(None, (within, self._name, name)))

    def take(self, name: str) -> Any:
        """The member as decoded, whatever it is."""
        return self._present(name, self._left.pop(name, _ABSENT))

    def has(self, name: str) -> bool:
        """Whether an optional member is there and not taken yet."""
        return name in self._left

    def names(self) -> tuple[str, ...]:
        """The names of the members not taken yet."""
        return tuple(self._left)

    def end(self) -> None:
        """Refuse members that the table does not know: ignoring one could mean ignoring a restriction."""
        for name in self._left:
            raise MalformedLicense(say("%(member)s is not known to this version of the format.", member=self.path(name)[:100]))

    def text(self, name: str, *, longest: int, least: int = 1) -> str:
        """A string of `least` to `longest` characters."""
        value = self._left.pop(name, _ABSENT)
        if type(value) is str and least <= len(value) <= longest:
            return value
        if not isinstance(self._present(name, value), str):
            raise MalformedLicense(say("%(member)s is not text.", member=self.path(name)))
        raise MalformedLicense(
            say("%(member)s must have %(least)s to %(most)s characters.", member=self.path(name), least=least, most=longest)
        )

    def fixed(self, name: str, expected: str | int) -> None:
        """A member with only one possible value; `True` is not 1."""
        value = self._left.pop(name, _ABSENT)
        if type(value) is not type(expected) or value != expected:
            self._present(name, value)
            raise MalformedLicense(say("%(member)s is not %(value)s.", member=self.path(name), value=repr(expected)))

    def integer(self, name: str, *, least: int, most: int = MAX_INTEGER) -> int:
        """A whole number from `least` to `most`; JSON's true and false are not numbers."""
        value = self._left.pop(name, _ABSENT)
        if type(value) is int and least <= value <= most:
            return value
        return whole_number(self._present(name, value), self.path(name), least, most)

    def code(self, name: str) -> str:
        """A short machine-readable name, see `plain_code`."""
        value = self._left.pop(name, _ABSENT)
        if type(value) is str and _is_code(value):
            return value
        return plain_code(self._present(name, value), self.path(name))

    def digest(self, name: str) -> str:
        """64 lowercase hexadecimal digits."""
        value = self._left.pop(name, _ABSENT)
        if type(value) is str and len(value) == 64 and _LOWER_HEX.issuperset(value):
            return value
        return lower_hex(self._present(name, value), self.path(name), 64)

    def instant(self, name: str) -> datetime:
        """The aware UTC instant that `YYYY-MM-DDTHH:MM:SSZ` names; no other spelling is accepted."""
        value = self._left.pop(name, _ABSENT)
        # fromisoformat takes many spellings; with these six in their places, one is left.
        if type(value) is str and len(value) == 20 and value[4::3] == "--T::Z":
            try:
                return datetime.fromisoformat(value)
            except ValueError:
                value = None
        self._present(name, value)
        raise MalformedLicense(say("%(member)s is not an instant like 2027-03-31T16:00:00Z.", member=self.path(name)))

    def choice(self, name: str, kinds: type[_Choice]) -> _Choice:
        """One of the values of `kinds`."""
        value = self._left.pop(name, _ABSENT)
        chosen: _Choice | None = _by_value(kinds).get(value) if type(value) is str else None
        if chosen is None:
            self._present(name, value)
            raise MalformedLicense(say("%(member)s is not one of %(values)s.", member=self.path(name), values=", ".join(kinds)))
        return chosen

    def object(self, name: str) -> Members:
        """A nested object."""
        value = self._left.pop(name, _ABSENT)
        if value is _ABSENT:
            self._present(name, value)
        return Members(value, name, self)

    def items(self, name: str, *, most: int, least: int = 0) -> list[Any]:
        """A list of `least` to `most` items, as decoded."""
        value: Any = self._left.pop(name, _ABSENT)
        if type(value) is list and least <= len(value) <= most:
            return value
        if not isinstance(self._present(name, value), list):
            raise MalformedLicense(say("%(member)s is not a list.", member=self.path(name)))
        raise MalformedLicense(
            say("%(member)s must have %(least)s to %(most)s entries.", member=self.path(name), least=least, most=most)
        )

    def objects(self, name: str, *, most: int, least: int = 0) -> list[Members]:
        """A list of nested objects."""
        items = self.items(name, most=most, least=least)
        return [Members(item, f"{name}.{index}", self) for index, item in enumerate(items)]

    def codes(self, name: str, *, most: int, least: int = 0) -> tuple[str, ...]:
        """A list of different codes."""
        items = self.items(name, most=most, least=least)
        for index, item in enumerate(items):
            if type(item) is not str or not _is_code(item):
                plain_code(item, self.path(f"{name}.{index}"))
        if len(set(items)) != len(items):
            require_distinct(items, self.path(name))
        return tuple(items)

    def _present(self, name: str, value: Any) -> Any:
        if value is _ABSENT:
            raise MalformedLicense(say("%(member)s is missing.", member=self.path(name)))
        return value


@cache
def _by_value(kinds: type[_Choice]) -> dict[str, _Choice]:
    return {kind.value: kind for kind in kinds}


def whole_number(value: object, path: str, least: int, most: int) -> int:
    """`value` if it is an int (not a bool) within the bounds."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise MalformedLicense(say("%(member)s is not a whole number.", member=path))
    if not least <= value <= most:
        raise MalformedLicense(say("%(member)s must be from %(least)s to %(most)s.", member=path, least=least, most=most))
    return value


def plain_code(value: object, path: str) -> str:
    """`value` if it is 1 to 64 of A-Z a-z 0-9 - _ . : / + @ (so never a wildcard)."""
    if not isinstance(value, str) or not _is_code(value):
        raise MalformedLicense(say("%(member)s is not a code of 1 to 64 letters, digits and -_.:/+@.", member=path))
    return value


def _is_code(text: str) -> bool:
    return 1 <= len(text) <= _LONGEST_CODE and _CODE.issuperset(text)


def lower_hex(value: object, path: str, length: int) -> str:
    """`value` if it is exactly `length` lowercase hexadecimal digits."""
    if not isinstance(value, str) or len(value) != length or not _LOWER_HEX.issuperset(value):
        raise MalformedLicense(say("%(member)s is not %(length)s lowercase hexadecimal digits.", member=path, length=length))
    return value


def instant_text(instant: datetime) -> str:
    """`instant` as the format writes it. Raises `ValueError` for a naive one or a fraction of a second."""
    if instant.tzinfo is None or instant.microsecond:
        raise ValueError(f"{instant!r} must be aware and whole seconds")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def require_distinct(values: Sequence[str], path: str) -> None:
    """Refuse a list that names something twice."""
    if len(set(values)) != len(values):
        raise MalformedLicense(say("%(member)s names one entry twice.", member=path))
