"""A published directory as the console writes it, without a console; and a clock that a test moves."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from tests.console import vendor
from tests.servers import wait_until
from workflow.license_gate import LicenseGate, Platform
from workflow.times import utc_now

DAY = timedelta(days=1)
HERE = Platform(vendor.pin(), vendor.TENANT, "PROD", "this-installation")
QUICK = 0.01


class Clock:
    """Seconds since 1970, moved by the test."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> float:
        return self.now.timestamp()


class Directory:
    """Writes generation after generation, each file replaced whole, the number last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        (path / "trust").mkdir(parents=True)
        self.put("trust/root-1.json", vendor.root())

    def put(self, name: str, content: bytes | None) -> None:
        """One file, or its removal."""
        if content is None:
            (self.path / name).unlink(missing_ok=True)
            return
        waiting = self.path / f"{name}.new"
        waiting.write_bytes(content)
        waiting.replace(self.path / name)

    def publish(
        self,
        current: bytes | None = None,
        following: bytes | None = None,
        revocations: bytes | None = None,
        seen: datetime | None = None,
    ) -> None:
        """The next generation."""
        self.put("current.lic", current)
        self.put("next.lic", following)
        self.put("revocations.lrl", revocations)
        self.put("seen", seen.strftime("%Y-%m-%dT%H:%M:%SZ\n").encode() if seen else None)
        self.generation += 1
        self.put("generation", b"%d\n" % self.generation)

    def gate(self, clock: Callable[[], float] | None = None) -> LicenseGate:
        """A gate that looks often."""
        if clock is None:
            return LicenseGate(self.path, platform=HERE, poll_seconds=QUICK)
        return LicenseGate(self.path, platform=HERE, poll_seconds=QUICK, clock=clock)


def follows(gate: LicenseGate, directory: Directory) -> None:
    """Waits until the gate has read what is published."""
    wait_until(lambda: gate.generation == directory.generation, 30, "the gate to follow")
