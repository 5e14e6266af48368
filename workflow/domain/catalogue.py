"""The catalogue: which modules, model types and usage restrictions a license can name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workflow.errors import Misconfigured


class CatalogueUnusable(Misconfigured):
    """catalogue.toml is not what it must be."""

    code = "catalogue.unusable"


@dataclass(frozen=True)
class Entry:
    """One thing that can be licensed. `text` is shown beside the choice, or written into the file for a restriction."""

    code: str
    name: str
    text: str = ""


@dataclass(frozen=True)
class Catalogue:
    """All that can be chosen, in the order of the file."""

    modules: tuple[Entry, ...]
    model_types: tuple[Entry, ...]
    restrictions: tuple[Entry, ...]

    def name_of(self, code: str) -> str:
        """The display name of a code, or the code itself when the catalogue has dropped it."""
        for entry in (*self.modules, *self.model_types, *self.restrictions):
            if entry.code == code:
                return entry.name
        return code


def catalogue_from(document: Mapping[str, Any]) -> Catalogue:
    """Reads a parsed catalogue.toml. Raises CatalogueUnusable, naming the table and entry."""
    return Catalogue(
        modules=_entries(document, "module"),
        model_types=_entries(document, "model_type"),
        restrictions=_entries(document, "restriction"),
    )


def _entries(document: Mapping[str, Any], table: str) -> tuple[Entry, ...]:
    rows = document.get(table, [])
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise CatalogueUnusable(f"Write each {table} as a table of its own that starts with [[{table}]].")
    entries: list[Entry] = []
    for position, row in enumerate(rows, start=1):
        code, name = row.get("code"), row.get("name")
        if not (isinstance(code, str) and code and isinstance(name, str) and name):
            raise CatalogueUnusable(f"[[{table}]] number {position} needs a code and a name.")
        if any(entry.code == code for entry in entries):
            raise CatalogueUnusable(f"[[{table}]] lists {code!r} twice.")
        entries.append(Entry(code=code, name=name, text=str(row.get("text", ""))))
    if not entries and table != "restriction":
        raise CatalogueUnusable(f"The catalogue has no [[{table}]]. Add at least one.")
    return tuple(entries)
