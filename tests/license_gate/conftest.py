"""An empty published directory for each test."""

from pathlib import Path

import pytest

from tests.license_gate.published import Directory


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """A published directory with trust root version 1 and nothing else."""
    return Directory(tmp_path / "published")
