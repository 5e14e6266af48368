"""The gate: nanoseconds for one answer, and milliseconds from an administrator's click to the platform's changed answer."""

import statistics
import tempfile
import time
import timeit
from contextlib import ExitStack
from pathlib import Path

import httpx
from rich.console import Console as Terminal

from tests.console import vendor
from tests.console.serving import administrator_at, served
from tests.examples.platforms import Platform, platform, unpacked_wheel
from tests.license_gate.published import HERE, Directory
from tests.web.console_page import Visitor
from workflow.cli.broker import free_port
from workflow.license_gate import LicenseGate

CLICKS = 10
ROUNDS = 200_000


def measured(home: Path) -> dict[str, object]:
    """Measures, prints, and returns the figures. Beside `allows` stands a lookup in a plain set, the least it could cost."""
    home.mkdir()
    figures: dict[str, object] = {**answers(home / "feed"), **clicks(home)}
    terminal = Terminal(width=100)
    terminal.print(f"LicenseGate.allows takes {figures['allows_ns']} ns, a bare set lookup {figures['set_lookup_ns']} ns.")
    for name in ("directory", "address"):
        terminal.print(f"From the click to the changed answer, reading the {name}: {figures[f'click_to_answer_{name}_ms']} ms.")
    return figures


def answers(home: Path) -> dict[str, float]:
    """One answer from memory, in nanoseconds (the least of five rounds)."""
    directory = Directory(home)
    directory.publish(vendor.lic())
    modules = frozenset({"agent-studio", "knowledge-base"})
    with LicenseGate(home, platform=HERE) as gate:
        if not gate.allows("agent-studio"):
            raise RuntimeError("the gate should allow this")
        return {
            "allows_ns": _nanoseconds("ask(name)", ask=gate.allows, name="agent-studio"),
            "set_lookup_ns": _nanoseconds("name in modules", modules=modules, name="agent-studio"),
        }


def clicks(home: Path) -> dict[str, dict[str, float]]:
    """Console and platforms as processes; each click activates a license that switches a module on or off."""
    console = vendor.install_console(home / "console")
    vendor.add_people(console)
    console.engine.dispose()
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    secrets = {
        "PLATFORM_LICENSE_TOKEN_FILE": str(console.directory / "api-token"),
        "PLATFORM_LICENSE_IDENTITY": str(console.directory / "identity.json"),
    }
    found: dict[str, dict[str, float]] = {}
    version = 0
    with ExitStack() as stack:
        stack.enter_context(served(console.directory, port, origin))
        site = unpacked_wheel(home)
        admin = administrator_at(origin)
        for name, source, more in (("directory", console.published, {}), ("address", origin, secrets)):
            with platform(site, source, **more) as running:
                times = []
                for _ in range(CLICKS):
                    version += 1
                    times.append(_one_click(admin, running, version))
                found[f"click_to_answer_{name}_ms"] = {
                    "median": round(statistics.median(times)),
                    "most": round(max(times)),
                }
    return found


def _one_click(admin: Visitor, running: Platform, version: int) -> float:
    grants = version % 2 == 0
    admin.upload(vendor.fewer(version) if grants else vendor.lic(version))
    wanted = httpx.codes.OK if grants else httpx.codes.FORBIDDEN
    if version > 1 and running.status("GET", "/public-api/agents") == wanted:
        raise RuntimeError("the answer should differ before the click")
    begin = time.perf_counter()
    admin.activate(acknowledged="yes")
    while running.status("GET", "/public-api/agents") != wanted:
        if time.perf_counter() - begin > 60:
            raise RuntimeError(f"the platform did not follow: {admin.text}")
    return (time.perf_counter() - begin) * 1000


def _nanoseconds(statement: str, **names: object) -> float:
    # The thread's own time: other work on the machine is not the gate's.
    least = min(timeit.repeat(statement, globals=names, number=ROUNDS, repeat=5, timer=time.thread_time))
    return round(least / ROUNDS * 1e9)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="licdesk-bench-") as folder:
        measured(Path(folder) / "gate")
