"""A console with people, and an administrator who is signed in."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.console import vendor
from tests.web.console_page import Visitor, application, settings_for
from workflow.console.identity import Console, open_console


@pytest.fixture(scope="session")
def with_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a console with accounts, to be copied: hashing passwords takes its time."""
    made = vendor.install_console(tmp_path_factory.mktemp("with people") / "console")
    vendor.add_people(made)
    made.engine.dispose()
    return made.directory


@pytest.fixture
def console(tmp_path: Path, with_people: Path) -> Iterator[Console]:
    """A console without a license, with two administrators and a member."""
    shutil.copytree(with_people, tmp_path / "console")
    made = open_console(settings_for(tmp_path / "console"))
    yield made
    made.engine.dispose()


@pytest.fixture
def app(console: Console) -> FastAPI:
    return application(console)


@pytest.fixture
def admin(app: FastAPI) -> Visitor:
    return Visitor.signed_in(app)
