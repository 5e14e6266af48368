"""What a person is shown about one verification: each check in order, with its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from .errors import LicenseRefused
from .wording import say, sentence_of

if TYPE_CHECKING:
    from .claims import LicenseClaims


class Result(StrEnum):
    """How a check ended; `note` is something to know that refuses nothing."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not_checked"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the list of checks. `name` is stable, `title` and `detail` are for people."""

    name: str
    result: Result
    title: str
    detail: str = ""


#: The checks in the order in which they are made; a refusal leaves the later ones "not checked".
PLAN: dict[str, str] = {
    "container": say("The file is complete"),
    "type": say("It is a license this platform can read"),
    "trust_roots": say("The trust root is genuine"),
    "key": say("The signing key is trusted"),
    "signature": say("The signature is good"),
    "content": say("The content is well formed"),
    "tenant": say("It was issued to this customer"),
    "environment": say("It is for this environment"),
    "license_id": say("It continues the license of this environment"),
    "installation": say("It is for this installation"),
    "revocation": say("It has not been revoked"),
    "version": say("It is newer than the license in force"),
    "validity": say("It has not ended"),
}


Detail = Callable[[], str]
"""Makes the words about one check."""

_PASSED: Final = (Result.PASSED, None)
_NOT_CHECKED: Final = (Result.NOT_CHECKED, None)


class Step:
    """The block of one check; see `CheckList.step`."""

    __slots__ = ("_checks", "_name")

    def __init__(self, checks: CheckList, name: str) -> None:
        self._checks = checks
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None or isinstance(error, LicenseRefused):
            self._checks.end(self._name, error)


class CheckList:
    """Collects the results in the order of `PLAN` and hands them to the refusal that ends the verification.

    A platform verifies much oftener than somebody reads the list, so the words are only made by `all`.
    """

    def __init__(self) -> None:
        self.claims: LicenseClaims | None = None
        self.payload_sha256: str | None = None
        self._results: dict[str, tuple[Result, Detail | None]] = {}
        self._notes: list[Check] = []

    def step(self, name: str) -> Step:
        """Run one check: it passes unless the block is left by a refusal, which then carries the whole list."""
        return Step(self, name)

    def end(self, name: str, refused: LicenseRefused | None) -> None:
        """Record how a step ended."""
        if refused is None:
            if name not in self._results:
                self._results[name] = _PASSED
            return
        self._results[name] = Result.FAILED, lambda: sentence_of(refused)
        refused.checks = self.all()
        refused.claims, refused.payload_sha256 = self.claims, self.payload_sha256

    def passed(self, name: str, detail: Detail) -> None:
        """Say what was found when the check passed."""
        self._results[name] = Result.PASSED, detail

    def skip(self, name: str, detail: Detail) -> None:
        """A check that does not apply here, with the reason."""
        self._results[name] = Result.NOT_CHECKED, detail

    def note(self, name: str, title: str, detail: str) -> None:
        """Something the reader should know, listed after the checks."""
        self._notes.append(Check(name, Result.NOTE, title, detail))

    def all(self) -> tuple[Check, ...]:
        """Every check of the plan, then the notes."""
        listed = []
        for name, title in PLAN.items():
            result, detail = self._results.get(name, _NOT_CHECKED)
            listed.append(Check(name, result, title, detail() if detail else ""))
        return (*listed, *self._notes)
