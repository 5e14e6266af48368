"""`licdesk console serve` as a process of its own, and an administrator's browser without JavaScript at it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.console import vendor
from tests.servers import wait_until
from tests.web.console_page import PATH, Visitor

START = 60
"""seconds that a process may take to start on a busy machine"""


def console_environ(origin: str) -> dict[str, str]:
    """A demo console on plain HTTP, whatever this process was told."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LICDESK_")} | {
        "LICDESK_MODE": "demo",
        "LICDESK_SECURE_COOKIES": "no",
        "LICDESK_CONSOLE_PUBLIC_URL": origin,
    }


@contextmanager
def served(directory: Path, port: int, origin: str) -> Iterator[None]:
    """The console of a directory, ready to answer."""
    command = [sys.executable, "-m", "workflow.cli.main", "console", "serve"]
    with running([*command, "--directory", str(directory), "--port", str(port)], console_environ(origin), f"{port}/health"):
        yield


@contextmanager
def running(command: list[str], environ: dict[str, str], ready: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server process; `ready` is the port and path on loopback that answers 200 once it is up."""
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: process.poll() is not None or is_up(ready), START, f"{command[2]} to be ready")
        assert process.poll() is None, f"{command} stopped with {process.returncode}"
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def is_up(address: str) -> bool:
    """Whether it answers 200."""
    try:
        return httpx.get(f"http://127.0.0.1:{address}", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def administrator_at(origin: str) -> Visitor:
    """A signed-in administrator."""
    client = httpx.Client(base_url=origin, headers={"Origin": origin}, follow_redirects=True, timeout=30)
    visitor = Visitor(client, client.get(PATH))
    visitor.post("/console/sign-in", email=vendor.ADMIN, password=vendor.PASSWORD, next=PATH)
    return visitor


def activate_at(visitor: Visitor, raw: bytes) -> None:
    """Uploads, agrees to what goes, and presses the button."""
    visitor.upload(raw)
    visitor.activate(acknowledged="yes")
    assert visitor.page.status_code == 200, visitor.text
