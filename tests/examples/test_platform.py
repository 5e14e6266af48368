"""The example platform beside a console, all as processes: what an administrator activates is what it allows, at once."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.console import vendor
from tests.console.acting import listed
from tests.console.serving import activate_at, administrator_at, served
from tests.examples.platforms import Platform, platform, unpacked_wheel
from tests.servers import wait_until
from tests.web.console_page import Visitor
from workflow.cli.broker import free_port
from workflow.console import publishing
from workflow.console.identity import open_console
from workflow.settings import ConsoleSettings, Mode

WAIT = 60
LOADED = """
import sys
before = set(sys.modules)
import serviceme_license
print(*{name.partition(".")[0] for name in sys.modules.keys() - before})
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The import path of a platform that installed the gate's wheel."""
    return unpacked_wheel(tmp_path_factory.mktemp("gate"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A console with an administrator and no license yet."""
    console = vendor.install_console(tmp_path / "console")
    vendor.add_people(console)
    console.engine.dispose()
    return console.directory


@pytest.fixture
def origin(directory: Path) -> Iterator[str]:
    """The console's address."""
    port = free_port()
    with served(directory, port, f"http://127.0.0.1:{port}"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def platforms(site: Path, directory: Path, origin: str) -> Iterator[tuple[Platform, ...]]:
    """One platform reads the directory, another the console's address."""
    over_http = {
        "PLATFORM_LICENSE_TOKEN_FILE": str(directory / "api-token"),
        "PLATFORM_LICENSE_IDENTITY": str(directory / "identity.json"),
    }
    with ExitStack() as stack:
        yield tuple(
            stack.enter_context(platform(site, source, **more))
            for source, more in ((directory / "published", {}), (origin, over_http))
        )


def follow(platforms: tuple[Platform, ...], state: str, generation: int) -> None:
    wanted = (state, generation)
    for each in platforms:
        wait_until(lambda each=each: (each.license()["state"], each.license()["generation"]) == wanted, WAIT, str(wanted))  # type: ignore[misc]


def all_answer(platforms: tuple[Platform, ...], status: int, method: str, path: str) -> None:
    assert [each.status(method, path) for each in platforms] == [status] * len(platforms)


def revoke(directory: Path, raw: bytes) -> None:
    """As `licdesk console revocations` does, in another process than the one that serves."""
    console = open_console(ConsoleSettings(mode=Mode.DEMO, console_dir=directory))
    assert listed(console, raw) is True
    assert publishing.publish(console)
    console.engine.dispose()


def test_modules_go_on_and_off_as_licenses_change_without_a_restart(
    platforms: tuple[Platform, ...], directory: Path, origin: str
) -> None:
    admin: Visitor = administrator_at(origin)
    all_answer(platforms, 403, "POST", "/agents/helper")
    all_answer(platforms, 403, "GET", "/agents")

    activate_at(admin, vendor.lic(1))
    follow(platforms, "active", 1)
    all_answer(platforms, 201, "POST", "/agents/helper")
    all_answer(platforms, 200, "POST", "/agents/helper/run?model=speech")
    all_answer(platforms, 403, "GET", "/public-api/agents")

    activate_at(admin, vendor.fewer(2))
    follow(platforms, "active", 2)
    all_answer(platforms, 200, "GET", "/public-api/agents")
    all_answer(platforms, 403, "POST", "/agents/helper/run?model=speech")

    revoke(directory, vendor.lrl(1, 2))
    follow(platforms, "revoked", 3)
    all_answer(platforms, 403, "GET", "/agents")

    activate_at(admin, vendor.lic(3))
    follow(platforms, "active", 4)
    all_answer(platforms, 200, "GET", "/agents")
    assert [each.license()["process"] for each in platforms] == [each.process for each in platforms]
    assert [each.license()["problem"] for each in platforms] == [None, None]


def test_a_platform_starts_and_answers_while_the_console_is_away(site: Path, directory: Path) -> None:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    over_http = {
        "PLATFORM_LICENSE_TOKEN_FILE": str(directory / "api-token"),
        "PLATFORM_LICENSE_IDENTITY": str(directory / "identity.json"),
    }
    with platform(site, origin, **over_http) as early:
        assert early.license()["state"] == "none"
        assert "cannot be reached" in str(early.license()["problem"])
        with served(directory, port, origin):
            activate_at(administrator_at(origin), vendor.lic(1))
            follow((early,), "active", 1)
        wait_until(lambda: early.license()["problem"] is not None, WAIT, "the console to be missed")
        assert early.status("POST", "/agents/helper") == 201
        with served(directory, port, origin):
            activate_at(administrator_at(origin), vendor.fewer(2))
            follow((early,), "active", 2)
            assert early.license()["problem"] is None


def test_the_wheel_holds_the_gate_and_the_format_and_needs_nothing_of_ours(site: Path) -> None:
    (wheel,) = (site.parent / "wheel").iterdir()
    names = [Path(name) for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.parts[0] for name in names} == {"serviceme_license"}
    assert {name.suffix for name in names} == {".py", ".typed"}
    typed = {name.parent.name for name in names if name.suffix == ".typed"}
    assert typed == {"serviceme_license", "license_file", "license_gate"}
    run = subprocess.run(
        [sys.executable, "-c", LOADED], env={"PYTHONPATH": str(site)}, cwd=site, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    foreign = {name for name in run.stdout.split() if not name.startswith("_sysconfigdata")} - set(sys.stdlib_module_names)
    assert foreign <= {"serviceme_license", "cryptography", "_cffi_backend", "_openssl"}
