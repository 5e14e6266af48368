"""The example platform as a process, on the gate's own wheel: nothing of this repository's packages on its path."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.console.serving import running
from workflow.cli.broker import free_port

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "platform"


def unpacked_wheel(into: Path) -> Path:
    """Builds what a platform installs and unpacks it; returns the folder for its import path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(into / "wheel")]
    subprocess.run(command, cwd=ROOT / "packages" / "license-gate", check=True, capture_output=True, timeout=120)
    (wheel,) = (into / "wheel").glob("serviceme_license-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(into / "site")
    return into / "site"


@dataclass(frozen=True)
class Platform:
    """A running platform, asked over HTTP."""

    client: httpx.Client
    process: int

    def license(self) -> dict[str, object]:
        """What its own status page says."""
        facts: dict[str, object] = self.client.get("/license").json()
        return facts

    def status(self, method: str, path: str) -> int:
        """The status of one request."""
        return self.client.request(method, path).status_code


@contextmanager
def platform(site: Path, source: Path | str, **environ: str) -> Iterator[Platform]:
    """The example on `source`: a published directory or a console's address."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LICDESK_", "PYTHON"))}
    given = inherited | {"PYTHONPATH": str(site), "PLATFORM_LICENSE": str(source)} | environ
    command = [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", str(EXAMPLE), "--port", str(port)]
    with (
        running(command, given, f"{port}/license") as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        yield Platform(client, process.pid)
