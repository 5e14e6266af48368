"""The office that service tests work in."""

import pytest
from sqlalchemy import Engine

from tests.builders import Office


@pytest.fixture
def office(engine: Engine) -> Office:
    """An office on an empty database; every test runs on SQLite and on PostgreSQL."""
    return Office.opened(engine)
