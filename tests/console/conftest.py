"""A console on a real SQLite file, freshly set up for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console import vendor
from workflow.console.identity import Console


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    """An installed console without a license."""
    made = vendor.install_console(tmp_path / "console")
    yield made
    made.engine.dispose()
