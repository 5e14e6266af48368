"""Sentences as the console's database keeps them: with template and facts, so that each reader gets their own language."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Dialect, TypeDecorator

from workflow.license_file import Sentence
from workflow.license_file.wording import Fact


def packed(text: str) -> Any:
    """A sentence as JSON; a plain text is its own JSON."""
    if not isinstance(text, Sentence):
        return text
    shape: dict[str, Any] = {"say": text.template, "facts": {name: _packed_fact(each) for name, each in text.facts.items()}}
    return shape | ({"plural": text.plural} if text.plural else {})


def unpacked(shape: Any) -> str:
    """The sentence that was packed."""
    if isinstance(shape, str):
        return shape
    facts = {name: _unpacked_fact(each) for name, each in shape["facts"].items()}
    return Sentence(shape["say"], facts, shape.get("plural", ""))


class Said(TypeDecorator[str]):
    """A column that holds one sentence."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """What is stored."""
        return None if value is None else packed(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        """What was stored."""
        return None if value is None else unpacked(value)


def _packed_fact(fact: Fact) -> Any:
    match fact:
        case str():
            return packed(fact)
        case datetime():
            return {"instant": fact.isoformat()}
        case date():
            return {"day": fact.isoformat()}
        case _:
            return fact


def _unpacked_fact(shape: Any) -> Fact:
    match shape:
        case {"instant": str(text)}:
            return datetime.fromisoformat(text)
        case {"day": str(text)}:
            return date.fromisoformat(text)
        case int():
            return shape
        case _:
            return unpacked(shape)
