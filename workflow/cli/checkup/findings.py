"""What one check found."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands with one thing. `skip` says that this environment does not name it."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, how it stands, and what to do about it."""

    check: str
    verdict: Verdict
    said: str
    remedy: str = ""


Environ = Mapping[str, str]
"""The LICDESK_ variables of the process that a check puts itself in the place of."""


def ok(check: str, said: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Verdict.OK, said)


def warn(check: str, said: str, remedy: str) -> Finding:
    """It works, and somebody should do something."""
    return Finding(check, Verdict.WARN, said, remedy)


def fail(check: str, said: str, remedy: str) -> Finding:
    """It does not work, or is not safe."""
    return Finding(check, Verdict.FAIL, said, remedy)


def skip(check: str, said: str) -> Finding:
    """Not named here: it is looked at where the process runs that needs it."""
    return Finding(check, Verdict.SKIP, said)
