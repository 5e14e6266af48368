"""Reads gettext catalogues (`.po`) as translators edit them, so that no compiled copy can be out of date."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from gettext import NullTranslations
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent / "locale"


class CatalogueUnreadable(Exception):
    """A line that is not of the format; names the file and the line."""


@dataclass
class Entry:
    """One message: its English, the English of its plural, and its translation; `is_fuzzy` until a person confirmed that."""

    source: str = ""
    plural: str = ""
    translation: str = ""
    is_fuzzy: bool = False


class Catalogue(NullTranslations):
    """Translations into a language without plural forms, such as Chinese. What is not translated stays English."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        confirmed = (each for each in entries(path) if each.source and each.translation and not each.is_fuzzy)
        self.messages = {each.source: each.translation for each in confirmed}

    def gettext(self, message: str) -> str:
        """The translation of a message."""
        return self.messages.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The translation of a message about a number of things; the number changes nothing but itself."""
        return self.messages.get(msgid1) or super().ngettext(msgid1, msgid2, n)


def entries(path: Path) -> Iterator[Entry]:
    """The messages of a catalogue in their order, the header (an empty source) among them. Raises CatalogueUnreadable."""
    entry, target = Entry(), ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line:
            if target:
                yield entry
            entry, target = Entry(), ""
        elif line.startswith("#"):
            entry.is_fuzzy |= line.startswith("#,") and "fuzzy" in line
        else:
            keyword, _, quoted = line.partition('"')
            target = keyword.strip() or target
            _add(entry, target, _text(f'"{quoted}', path, number), f"{path.name}:{number}")
    if target:
        yield entry


def _add(entry: Entry, target: str, text: str, place: str) -> None:
    match target:
        case "msgid":
            entry.source += text
        case "msgid_plural":
            entry.plural += text
        case "msgstr" | "msgstr[0]":
            entry.translation += text
        case _:
            raise CatalogueUnreadable(f"{place}: {target!r} is not known here.")


def _text(quoted: str, path: Path, number: int) -> str:
    try:
        text = ast.literal_eval(quoted)
    except (SyntaxError, ValueError):
        text = None
    if not isinstance(text, str):
        raise CatalogueUnreadable(f"{path.name}:{number}: this is not a quoted text.")
    return text
