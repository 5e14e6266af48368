"""How a run's processes share the tests: file by file, the longest first, and all tests in one house in one process."""

import re
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.scheduler.protocol import Scheduling

HERE = Path(__file__).parent
HOUSE = re.compile(r"\b(fragile_house|house|running_desk): ")
"""Fixtures that start every process of an installation, which costs more than most files do: only one process has each."""
LONGEST, SHORTEST = ("e2e", "cli", "workers", "web", "db", "services"), ("domain", "license_file")


class FileByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist says nothing of its types
    """Hands out the tests of one file on one kind of database at a time, in the order they were collected in."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return house_of(file) or (f"{file} on PostgreSQL" if "postgres" in nodeid.partition("[")[2] else file)


@cache
def house_of(file: str) -> str:
    """The house that a test file uses; empty when it needs none."""
    found = HOUSE.search((HERE.parent / file).read_text(encoding="utf-8"))
    return found[1] if found else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """What `-n` does unless it was told another way."""
    if config.getvalue("dist") != "load":
        return None
    config.option.loadscopereorder = False
    return FileByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long starts first, and what takes no time comes last: so all processes end at the same time."""
    order = {name: number for number, name in enumerate((*LONGEST, "", *SHORTEST))}

    def place(item: pytest.Item) -> tuple[bool, int]:
        file = item.path.relative_to(HERE)
        return not house_of(str(item.path.relative_to(HERE.parent))), order.get(file.parts[0], order[""])

    items.sort(key=place)
