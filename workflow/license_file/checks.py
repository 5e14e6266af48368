"""What a person is shown about one verification: each check in order, with its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

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


class CheckList:
    """Collects the results in the order of `PLAN` and hands them to the refusal that ends the verification.

    A platform verifies much oftener than somebody reads the list, so the words are only made by `all`.
    """

    def __init__(self) -> None:
        self.claims: LicenseClaims | None = None
        self.payload_sha256: str | None = None
        self._begun: list[str] = []
        self._details: dict[str, Detail] = {}
        self._skipped: set[str] = set()
        self._notes: list[Check] = []

    def begin(self, name: str) -> None:
        """From here on `name` is checked; it passes unless a refusal comes before the next one begins."""
        self._begun.append(name)

    def end(self, refused: LicenseRefused) -> None:
        """The check that was begun last has failed: the refusal carries the whole list."""
        refused.checks = self._listed(refused)
        refused.claims, refused.payload_sha256 = self.claims, self.payload_sha256

    def passed(self, name: str, detail: Detail) -> None:
        """Say what was found when the check passed."""
        self._details[name] = detail

    def skip(self, name: str, detail: Detail) -> None:
        """A check that does not apply here, with the reason."""
        self._skipped.add(name)
        self._details[name] = detail

    def note(self, name: str, title: str, detail: str) -> None:
        """Something the reader should know, listed after the checks."""
        self._notes.append(Check(name, Result.NOTE, title, detail))

    def all(self) -> tuple[Check, ...]:
        """Every check of the plan, then the notes."""
        return self._listed(None)

    def _listed(self, refused: LicenseRefused | None) -> tuple[Check, ...]:
        listed = []
        for name, title in PLAN.items():
            if refused is not None and name == self._begun[-1]:
                listed.append(Check(name, Result.FAILED, title, sentence_of(refused)))
            else:
                passed = name in self._begun and name not in self._skipped
                detail = self._details[name]() if name in self._details else ""
                listed.append(Check(name, Result.PASSED if passed else Result.NOT_CHECKED, title, detail))
        return (*listed, *self._notes)
