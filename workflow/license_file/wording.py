"""Sentences for people that remember how they were made, so that a page can say them in another language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime

Fact = str | int | date
"""What a sentence tells: a text or another sentence, a number, a day, an instant in UTC."""


class Sentence(str):
    """An English sentence, and the template and facts it was made from.

    It is an ordinary `str` to whoever wants nothing else. `plural` is the template for any number but one; it is
    empty when the sentence counts nothing.
    """

    template: str
    plural: str
    facts: Mapping[str, Fact]

    def __new__(cls, template: str, facts: Mapping[str, Fact], plural: str = "") -> Sentence:
        """The sentence in English."""
        chosen = plural if plural and facts["num"] != 1 else template
        made = super().__new__(cls, chosen % {name: in_english(fact) for name, fact in facts.items()})
        made.template, made.plural, made.facts = template, plural, facts
        return made


def say(template: str, **facts: Fact) -> Sentence:
    """A sentence; `%(name)s` in the template stands for a fact, and `%%` for a percent sign."""
    return Sentence(template, facts)


def say_counted(one: str, many: str, num: int, **facts: Fact) -> Sentence:
    """A sentence about a number of things: `%(num)s` stands for the number."""
    return Sentence(one, {"num": num, **facts}, many)


def sentence_of(error: BaseException) -> str:
    """What an error says, as it was said. (`str(error)` would be a plain text that forgot its template.)"""
    return error.args[0] if error.args and isinstance(error.args[0], str) else str(error)


def in_english(fact: Fact) -> str:
    """12,000, 6 Dec 2026, or 2026-12-06 14:35 UTC."""
    if isinstance(fact, datetime):
        return f"{fact:%Y-%m-%d %H:%M} UTC"
    if isinstance(fact, date):
        return f"{fact.day} {fact:%b %Y}"
    return f"{fact:,}" if isinstance(fact, int) else fact


def joined(parts: Iterable[str]) -> Sentence:
    """Several sentences as one."""
    facts: dict[str, Fact] = {str(place): part for place, part in enumerate(parts)}
    return Sentence(" ".join(f"%({place})s" for place in facts), facts)
