"""The published directory under attack and under bad luck: links, full disks, restored backups, changed files."""

import os
import resource
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, local
from types import FrameType

import pytest

from tests.console import vendor
from tests.console.acting import activate, activated, look, staged
from tests.console.vendor import setup
from workflow.console import identity, publishing, store
from workflow.console.identity import Console, KeyExposed, initialize, open_console
from workflow.console.rounds import Rounds
from workflow.console.store import Generation, InstalledLicense
from workflow.database import transaction
from workflow.license_gate import LicenseGate, State
from workflow.settings import ConsoleSettings, Mode
from workflow.times import set_clock, utc_now

FILES = ("current.lic", "generation", "trust/root-1.json")


def published(console: Console, raw: bytes) -> None:
    activated(console, raw)
    assert publishing.publish(console)


@pytest.mark.parametrize("name", FILES)
def test_a_link_laid_where_a_file_is_written_leads_nowhere(console: Console, tmp_path: Path, name: str) -> None:
    published(console, vendor.lic(1))
    precious = tmp_path / "precious"
    precious.write_text("mine")
    path = console.published / name
    path.with_name(f".{path.name}.new").symlink_to(precious)
    path.unlink()
    path.symlink_to(precious)
    published(console, vendor.fewer(2))
    assert precious.read_text() == "mine"
    assert not path.is_symlink()
    with LicenseGate(console.published) as gate:
        assert gate.allows("api-access")


def test_a_link_laid_where_the_lock_is_makes_publishing_fail_and_nothing_else(console: Console, tmp_path: Path) -> None:
    (console.published).mkdir()
    (console.published / ".lock").symlink_to(tmp_path / "elsewhere")
    activated(console, vendor.lic(1))
    assert not publishing.publish(console)
    assert not (tmp_path / "elsewhere").exists()
    (console.published / ".lock").unlink()
    assert publishing.publish(console)


def test_a_directory_in_the_place_of_a_file_is_told_and_made_good(console: Console) -> None:
    published(console, vendor.lic(1))
    (console.published / "generation").unlink()
    (console.published / "generation").mkdir()
    activated(console, vendor.fewer(2))
    assert not publishing.publish(console)
    (console.published / "generation").rmdir()
    Rounds(console, None).look_after()
    assert publishing.published_generation(console.published) == 2


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"half", b"\xff\xfe", None])
def test_files_that_were_changed_come_right_by_themselves(console: Console, name: str, content: bytes | None) -> None:
    published(console, vendor.lic(1))
    path = console.published / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    Rounds(console, None).look_after()
    with LicenseGate(console.published) as gate:
        assert (gate.state, gate.generation) == (State.ACTIVE, 1)


def test_files_can_be_read_by_the_platform_whatever_the_umask(console: Console) -> None:
    before = os.umask(0o077)
    try:
        published(console, vendor.lic(1))
    finally:
        os.umask(before)
    for name in FILES:
        assert stat.S_IMODE((console.published / name).stat().st_mode) == 0o644


def test_a_console_restored_from_a_backup_publishes_what_it_has(console: Console) -> None:
    published(console, vendor.lic(1))
    with transaction(console.engine) as session:  # the number of the day of the backup
        session.get_one(Generation, 1).number = 0
    assert publishing.publish(console)
    assert publishing.published_generation(console.published) == 0


def test_on_a_full_disk_the_license_counts_and_is_published_later(console: Console) -> None:
    activated(console, vendor.lic(1))
    publishing.publish(console)
    activated(console, vendor.fewer(2))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    program = f"""
import resource, signal, sys
from pathlib import Path
from workflow.console import publishing
from workflow.console.identity import Console, Identity, open_console
from workflow.settings import ConsoleSettings, Mode
console = open_console(ConsoleSettings(mode=Mode.DEMO, console_dir=Path({str(console.directory)!r})))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, {hard}))
print(publishing.publish(console))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == ["False"], run.stderr
    with LicenseGate(console.published) as gate:
        assert (gate.state, gate.generation) == (State.ACTIVE, 1), "the earlier one whole, not half of the new one"
    assert look(console).generation == 2
    assert publishing.publish(console)
    with LicenseGate(console.published) as gate:
        assert gate.allows("api-access")


def test_many_processes_publish_at_once_and_the_newest_stays(console: Console) -> None:
    for version in range(1, 6):
        activated(console, vendor.lic(version))
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(lambda _: publishing.publish(console), range(8)))
        assert publishing.published_generation(console.published) == version
    with LicenseGate(console.published) as gate:
        assert gate.claims is not None
        assert gate.claims.version == 5


def test_what_was_committed_is_published_though_the_round_fails(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activated(console, vendor.lic(1))
    activated(console, vendor.fewer(2, starts=timedelta(days=1)))
    set_clock(tmp_path / "clock", utc_now() + timedelta(days=2))
    monkeypatch.setenv("LICDESK_CLOCK_FILE", str(tmp_path / "clock"))
    (console.directory / "installation-key.pem").chmod(0o644)
    unsigned = Console(console.directory, console.engine, console.identity)
    with pytest.raises(KeyExposed):  # the receipt of the one that takes over
        Rounds(unsigned, None).look_after()
    assert publishing.published_generation(console.published) == 2


def test_a_row_that_was_tampered_with_is_refused_by_the_gate_as_well(console: Console) -> None:
    published(console, vendor.lic(1))
    with transaction(console.engine) as session:
        row = session.get_one(InstalledLicense, 1)
        row.raw = b"\xff\xfe broken"
        session.add(row)
        assert "broken" in publishing.feed(session)["licenses"][0]
    publishing.mend(console)
    with LicenseGate(console.published) as gate:
        assert gate.state is State.INVALID is look(console).state


def test_a_scheduled_license_that_is_no_longer_trusted_is_not_called_scheduled(console: Console) -> None:
    later = staged(console, vendor.lic(1, starts=timedelta(days=1)))
    activate(console, later.id)
    assert look(console).state is State.SCHEDULED
    with transaction(console.engine) as session:
        row = session.get_one(InstalledLicense, 1)
        row.raw = vendor.lic(1, key="a stranger", starts=timedelta(days=1))
        session.add(row)
    publishing.mend(console)
    with LicenseGate(console.published) as gate:
        assert gate.state is State.INVALID is look(console).state


def test_two_that_set_up_one_directory_at_once_make_one_installation(tmp_path: Path) -> None:
    """Each of them is held where it first writes: all have found nothing there, so each has an id of its own in hand."""
    directory = tmp_path / "console"
    together = Barrier(4)
    held = local()

    def hold(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is identity._write_once.__code__ and not hasattr(held, "once"):
            held.once = True
            together.wait(60)

    def init(_: int) -> str:
        sys.settrace(hold)
        try:
            console = initialize(directory, setup(), Mode.DEMO, utc_now())
        finally:
            sys.settrace(None)
        console.engine.dispose()
        return console.identity.installation_id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(init, range(4)))) == 1
    console = open_console(ConsoleSettings(mode=Mode.DEMO, console_dir=directory))
    console.engine.dispose()
    names = {each.name for each in directory.iterdir()}
    assert {name for name in names if not name.startswith("console.sqlite3")} == {
        "identity.json", "installation-key.pem", "api-token",
    }  # fmt: skip
    assert stat.S_IMODE((directory / "installation-key.pem").stat().st_mode) == 0o600
    assert store.DATABASE_FILE in names
