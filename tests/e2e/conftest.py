"""The whole system as a person starts it, in a data directory of its own, and what is read from its database."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine

from workflow.cli.installation import Process
from workflow.cli.stack import Stack
from workflow.database import create_engine

SETTINGS = {"lease_seconds": "5", "scan_seconds": "2"}
"""short, so that work of a killed process is taken over while a test waits"""


@dataclass(frozen=True)
class House:
    """A running stack and an engine on the desk's database."""

    stack: Stack
    engine: Engine

    @property
    def password(self) -> str:
        """Everyone's."""
        return self.stack.files.demo_password.read_text(encoding="ascii").strip()


def house_in(data: Path) -> Iterator[House]:
    """Starts everything, stops everything."""
    with Stack(data, settings=SETTINGS) as stack:
        engine = create_engine(stack.environ_for(Process.DESK)["LICDESK_DATABASE_URL"])
        yield House(stack, engine)
        engine.dispose()


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A whole system in which nothing is killed. Tests share it: each looks only at what it made itself."""
    yield from house_in(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def fragile_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A whole system whose processes are killed."""
    yield from house_in(tmp_path_factory.mktemp("fragile"))
