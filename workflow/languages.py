"""The languages that people are spoken to in, on pages and in letters: the sentences, days and numbers of each.

English is the language of the source. The others are gettext catalogues in workflow/locale, read once at start.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from gettext import NullTranslations

from workflow import templating
from workflow.catalogues import DIRECTORY, Catalogue
from workflow.license_file import Sentence
from workflow.license_file.wording import Fact


@dataclass(frozen=True)
class Language:
    """One language of the pages. `tag` is that of BCP 47, `name` is what its speakers call it."""

    tag: str
    name: str
    translations: NullTranslations = field(default_factory=NullTranslations, compare=False)

    def say(self, text: str) -> str:
        """A sentence in this language. One that is not in the catalogue (a name, an answer of another machine) stays."""
        if not isinstance(text, Sentence):
            return self.translations.gettext(text) if text else ""
        number = text.facts.get("num")
        if text.plural and isinstance(number, int):
            template = self.translations.ngettext(text.template, text.plural, number)
        else:
            template = self.translations.gettext(text.template)
        return template % {name: self._fact(fact) for name, fact in text.facts.items()}

    def day(self, value: date) -> str:
        """6 Dec 2026"""
        return templating.day(value)

    def instant(self, value: datetime, zone: str = "UTC") -> str:
        """6 Dec 2026, 14:35 in the given zone."""
        return templating.instant(value, zone)

    def file_size(self, value: int) -> str:
        """2.1 KB"""
        return templating.file_size(value)

    def _fact(self, fact: Fact) -> str:
        match fact:
            case Sentence():
                return self.say(fact)
            case str():
                return fact
            case datetime():
                return f"{self.instant(fact)} UTC"
            case date():
                return self.day(fact)
            case _:
                return templating.number(fact)


@dataclass(frozen=True)
class Chinese(Language):
    """Simplified Chinese, with its own days."""

    def day(self, value: date) -> str:
        """2026年12月6日"""
        return f"{value.year}年{value.month}月{value.day}日"

    def instant(self, value: datetime, zone: str = "UTC") -> str:
        """2026年12月6日 14:35 in the given zone."""
        local = templating.in_zone(value, zone)
        return f"{self.day(local.date())} {local:%H:%M}"

    def file_size(self, value: int) -> str:
        """2.1 KB"""
        return f"{value} 字节" if value < 1024 else super().file_size(value)


ENGLISH = Language("en", "English")


@cache
def chinese() -> Chinese:
    """Simplified Chinese with its catalogue."""
    return Chinese("zh-Hans", "中文", Catalogue(DIRECTORY / "zh_Hans.po"))


def find(tag: str, languages: Iterable[Language]) -> Language | None:
    """The language of a tag such as zh-CN: the same primary language is near enough."""
    primary = tag.partition("-")[0].lower()
    return next((each for each in languages if each.tag.partition("-")[0] == primary), None)
