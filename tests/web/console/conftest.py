"""A console with people and an administrator who is signed in; or in life, with a browser and a desk that takes receipts."""

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import find_chromium
from tests.console import vendor
from tests.console.serving import served
from tests.web.console.browsing import Lic, in_a_thread
from tests.web.console_page import Visitor, application, settings_for
from workflow.cli.broker import free_port
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


@pytest.fixture(scope="module")
def receipts() -> Iterator[tuple[str, list[bytes]]]:
    """A desk that takes receipts: its address and what it got."""
    got: list[bytes] = []

    class Desk(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", got
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def directory(tmp_path: Path, receipts: tuple[str, list[bytes]]) -> Path:
    """An installed console with people, told where the desk is."""
    made = vendor.install_console(tmp_path / "console", desk_url=receipts[0])
    vendor.add_people(made)
    made.engine.dispose()
    return made.directory


@pytest.fixture
def process(directory: Path) -> Iterator[str]:
    """The address of a console that runs as a process of its own."""
    port = free_port()
    with served(directory, port, f"http://127.0.0.1:{port}"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def site(directory: Path) -> Iterator[str]:
    """The address of the same application in a thread."""
    with in_a_thread(directory) as origin:
        yield origin


@pytest.fixture
def lic(tmp_path: Path) -> Lic:
    """Writes a file to choose in the browser."""

    def write(name: str, raw: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(raw)
        return path

    return write


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()
