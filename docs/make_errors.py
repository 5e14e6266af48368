"""Writes docs/errors.md from the error classes. `python docs/make_errors.py` writes, with `--check` it only compares."""

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import workflow
from workflow.errors import DeskError
from workflow.license_file import LicenseRefused, TrustError
from workflow.web.shared.problems import STATUS_OF_FAMILY

E = TypeVar("E", bound=Exception)

PAGE = Path(__file__).resolve().parent / "errors.md"

HEAD = """\
# Errors and their codes

Made by `python docs/make_errors.py` from the error classes; do not edit it by hand.

A code is stable: programs may act on it. The sentence beside it says what to do, and may become clearer with any release.
The API answers with problem details (RFC 9457, `application/problem+json`): `code`, `title`, `status`, `detail`, a
`reference` that the log has too, and `errors` with a `pointer`, a `code` and a `detail` for each field. Pages show the same
sentence. Commands print `code: sentence` on standard error and end with status 1.
"""

FROM_THE_FRAMEWORK = """\
## Anywhere

| code | status | when |
|---|---|---|
| `request.malformed` | 422 | The request has not the shape that is described; `errors` says where. |
| `request.*` under `errors` | 422 | What is wrong with one field, by the name of the check, such as `request.missing` or `request.extra_forbidden`. |
| `http.400` | 400 | The request cannot be read at all. |
| `http.404`, `http.405` | 404, 405 | There is no such address, or it does not take that kind of request. |
| `http.413` | 413 | The body is larger than this address takes. |
| `http.428` | 428 | Replacing needs `If-Match` with the ETag that was read. |
| `unexpected` | 500 | A fault of ours. Quote the reference; the log has the rest. |
"""

# Where people meet an error, by the package its class is in; the first that fits.
SECTIONS = (
    (
        "The desk: pages and API",
        ("workflow.domain", "workflow.db", "workflow.services", "workflow.web.desk", "workflow.web.shared"),
    ),
    (
        "Recipients' certificates and keys, and mail",
        ("workflow.certificates", "workflow.certificate_revocation", "workflow.openpgp_keys", "workflow.mail"),
    ),
    ("License Management", ("workflow.console", "workflow.web.console")),
    ("Commands, settings and set-up", ("workflow.cli", "workflow.settings", "workflow.signing_keys", "workflow.inbox")),
    ("Families", ("workflow.errors", "workflow.database")),
)


def page() -> str:
    """The whole page."""
    _import_everything()
    parts = [HEAD]
    known = sorted(_below(DeskError), key=lambda each: each.code)
    for title, packages in SECTIONS:
        rows = [each for each in known if _is_in(each, packages)]
        known = [each for each in known if each not in rows]
        parts.append(_table(title, [(each.code, str(_status_of(each)), each) for each in rows]))
    if known:
        raise SystemExit(f"Add a section for {known[0].__module__}, the module of {known[0].__name__}.")
    parts.append(FROM_THE_FRAMEWORK)
    refusals: set[type[LicenseRefused] | type[TrustError]] = {*_below(LicenseRefused), *_below(TrustError)}
    shown = [(each.code, "", each) for each in sorted(refusals, key=lambda each: each.code)]
    parts.append(_table("License files, receipts and trust roots", shown, head="| code | when |\n|---|---|"))
    return "\n".join(parts)


def _import_everything() -> None:
    for module in pkgutil.walk_packages(workflow.__path__, "workflow."):
        if ".migrations" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _below(family: type[E]) -> Iterator[type[E]]:
    for each in family.__subclasses__():
        yield each
        yield from _below(each)


def _is_in(error: type, packages: tuple[str, ...]) -> bool:
    return any(error.__module__ == package or error.__module__.startswith(f"{package}.") for package in packages)


def _status_of(error: type) -> int:
    return next((status for family, status in STATUS_OF_FAMILY if issubclass(error, family)), 500)


def _table(title: str, rows: Sequence[tuple[str, str, type]], head: str = "| code | status | when |\n|---|---|---|") -> str:
    lines = [f"## {title}", "", head]
    for code, status, error in rows:
        # Whole sentences on one line: a docstring's line ends mean nothing here.
        when = " ".join((error.__doc__ or "").split()).replace("|", "\\|")
        lines.append(f"| `{code}` | {status} | {when} |" if status else f"| `{code}` | {when} |")
    return "\n".join([*lines, ""])


def main(arguments: list[str]) -> int:
    """Writes the page, or with --check says whether it is current."""
    wanted = page()
    if arguments == ["--check"]:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted
        if not current:
            print("docs/errors.md is not current. Run: python docs/make_errors.py", file=sys.stderr)
        return 0 if current else 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
