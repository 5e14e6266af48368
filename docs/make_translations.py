"""Brings the translation catalogues up to date with what the console's pages and the desk's letters say.

`python docs/make_translations.py` adds what is new (not translated yet) and drops what nobody says any more; with
`--check` it only compares, and says what is missing. The catalogues are workflow/locale/*.po, edited by hand.
"""

import ast
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import workflow
from workflow.catalogues import DIRECTORY, Entry, entries
from workflow.domain.content import TERM_NAMES
from workflow.errors import DeskError
from workflow.templating import environment, template_directories

ROOT = Path(workflow.__file__).resolve().parents[1]
TEMPLATES = (
    *("partials/base.html", "partials/door.html", "partials/ui.html", "pages/error.html"),
    *("partials/console/", "pages/console/", "letters/"),
)
MODULES = (
    *("workflow/license_file", "workflow/console", "workflow/web/console", "workflow/web/shared"),
    *("workflow/mail", "workflow/services", "workers"),
)
MARKS = {"say": 1, "_damaged": 1, "say_counted": 2}
"""functions whose first arguments are English for people, and how many of these there are"""


class NotALiteral(Exception):
    """A marked sentence that is put together at run time: no catalogue can have it."""


def messages() -> dict[tuple[str, str], None]:
    """Every message with its plural (or none), in the order in which they are found."""
    found = dict.fromkeys(_in_templates())
    found |= dict.fromkeys(_in_modules())
    found |= dict.fromkeys((title, "") for title in _titles())
    found |= dict.fromkeys((name, "") for name in TERM_NAMES.values())
    return found


def _in_templates() -> Iterator[tuple[str, str]]:
    made = environment()
    for name in sorted(made.list_templates()):
        if name.startswith(TEMPLATES):
            source = next(path for each in template_directories() if (path := each / name).exists()).read_text(encoding="utf-8")
            for _, _, message in made.extract_translations(source):  # type: ignore[attr-defined]  # of the i18n extension
                # Of `_("...", n=n)` the extraction gives the text and None, of ngettext both texts.
                yield (message, "") if isinstance(message, str) else (str(message[0]), message[1] or "")


def _in_modules() -> Iterator[tuple[str, str]]:
    for path in sorted(path for name in MODULES for path in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and (count := MARKS.get(node.func.id)):
                texts = [str(each.value) for each in node.args[:count] if isinstance(each, ast.Constant)]
                if len(texts) != count:
                    raise NotALiteral(f"{path}:{node.lineno}: {ast.unparse(node)}")
                yield texts[0], texts[1] if count == 2 else ""


def _titles() -> Iterator[str]:
    """The titles of the errors that a page of the console can show."""
    for name in ("console", "web.console", "web.shared"):
        package = importlib.import_module(f"workflow.{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in module.name:
                importlib.import_module(module.name)
    yield DeskError.title
    for each in sorted(_below(DeskError), key=lambda kind: kind.__qualname__):
        if each.__module__.startswith(("workflow.errors", "workflow.console", "workflow.web.console", "workflow.web.shared")):
            yield each.title


def _below(family: type[DeskError]) -> Iterator[type[DeskError]]:
    for each in family.__subclasses__():
        yield each
        yield from _below(each)


def untranslated(path: Path) -> list[str]:
    """What the catalogue lacks."""
    known = {(each.source, each.plural) for each in entries(path) if each.translation and not each.is_fuzzy}
    return [source for source, plural in messages() if (source, plural) not in known]


def unused(path: Path) -> list[str]:
    """What the catalogue has and nobody says any more."""
    said = messages()
    return [each.source for each in entries(path) if each.source and (each.source, each.plural) not in said]


def text_of(path: Path) -> str:
    """The catalogue as it should be: its header and translations kept, every message once."""
    held = list(entries(path))
    header = next(each for each in held if not each.source)
    known = {(each.source, each.plural): each for each in held if each.source}
    listed = [known.get(key) or Entry(*key) for key in messages()]
    return "\n".join(_lines(each) for each in (header, *listed))


def _lines(entry: Entry) -> str:
    lines = ["#, fuzzy"] if entry.is_fuzzy else []
    lines.append(f"msgid {_quoted(entry.source)}")
    if entry.plural:
        lines.append(f"msgid_plural {_quoted(entry.plural)}")
    if entry.source:
        lines.append(f"msgstr{'[0]' if entry.plural else ''} {_quoted(entry.translation)}")
    else:
        lines += ['msgstr ""', *(_quoted(line) for line in entry.translation.splitlines(keepends=True))]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def main(arguments: list[str]) -> int:
    """Writes the catalogues, or with --check says what is wrong with them. 0 when they are complete."""
    missing = 0
    for path in sorted(DIRECTORY.glob("*.po")):
        if "--check" not in arguments:
            path.write_text(text_of(path), encoding="utf-8")
        for problem, sources in (("not translated", untranslated(path)), ("not said any more", unused(path))):
            missing += len(sources)
            for source in sources:
                print(f"{path.name}: {problem}: {source}")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
