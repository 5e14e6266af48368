"""The lock files: complete, hashed, without any address, and the same versions for tests and production."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def pins(path: Path) -> dict[str, str]:
    """Version by package."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]+\])?==(\S+)", path.read_text(), re.MULTILINE))


def names(lines: list[str]) -> set[str]:
    """Package names of requirement lines."""
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if not line.startswith(("-", "#")))
    return {match.group().lower() for match in found if match}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_lock_file_holds_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert not re.search(r"--(extra-)?index-url|--find-links|^-[if] ", text, re.MULTILINE)
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_tests_run_against_the_versions_of_production() -> None:
    run, test = pins(ROOT / "requirements" / "run.txt"), pins(ROOT / "requirements" / "test.txt")
    assert {name: version for name, version in run.items() if test.get(name) != version} == {}


def test_wheel_and_lock_file_ask_for_the_same_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = (ROOT / "requirements" / "run.in").read_text().splitlines()
    extras = [each for extra in project["optional-dependencies"].values() for each in extra]
    assert names([*project["dependencies"], *extras]) == names(asked)


def test_no_other_lock_file_is_committed() -> None:
    """Those of uv and of PEP 751 hold addresses."""
    assert not list(ROOT.glob("uv.lock")) + list(ROOT.glob("pylock*.toml"))
