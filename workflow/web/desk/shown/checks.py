"""What is worth knowing about an application before it is submitted or decided: passed, or needs attention."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Protocol

from workflow.domain.reminders import due_at
from workflow.domain.terms import LicenseTerms
from workflow.errors import Problem
from workflow.templating import day, instant
from workflow.web.desk.shown.reaching import Reached
from workflow.web.desk.shown.terms import ShownDifference, days_word, period, zone_words


class CheckKind(StrEnum):
    """How a check came out."""

    PASS = "pass"  # noqa: S105  (a word for a result)
    FAIL = "fail"
    NOTE = "note"


@dataclass(frozen=True)
class Check:
    """One line of the list of checks."""

    kind: CheckKind
    title: str
    detail: str = ""


class Licensed(Protocol):
    """What is read of a license."""

    license_id: str
    version: int


@dataclass(frozen=True)
class InForce:
    """The license an application is compared with."""

    license_id: str
    version: int
    terms: LicenseTerms
    number: str = ""


@dataclass(frozen=True)
class Beside:
    """Another application for the same platform that has led to no license yet."""

    number: str
    owner: str
    state: str


def checks_of(
    terms: LicenseTerms,
    recipients: Sequence[Reached],
    current: InForce | None,
    difference: ShownDifference | None,
    beside: Sequence[Beside],
) -> tuple[Check, ...]:
    """The checks of an application whose answers are complete."""
    return (*_continuity(terms, current), *_rivals(beside), *_losses(difference), *_reach(recipients))


def already_licensed(issued: Licensed) -> Check:
    """A first license is asked for, and the platform has one by now."""
    return Check(
        CheckKind.FAIL,
        f"{issued.license_id} has version {issued.version} already",
        "This asks for a first license, so it cannot be approved. Send it back: the liaison makes it a change.",
    )


def failed(count: int) -> Check:
    """Answers that are missing or cannot be used."""
    answers = "1 answer needs" if count == 1 else f"{count} answers need"
    return Check(CheckKind.FAIL, f"{answers} fixing", "See the list at the top of the page.")


def still_open(problems: Sequence[Problem]) -> Check:
    """The same before anybody pressed Continue: not a reproach yet."""
    missing = sum(1 for each in problems if each.code == "missing")
    wrong = len(problems) - missing
    said = []
    if missing:
        said.append("1 answer is missing" if missing == 1 else f"{missing} answers are missing")
    if wrong:
        said.append("1 answer needs fixing" if wrong == 1 else f"{wrong} answers need fixing")
    return Check(CheckKind.NOTE, ", ".join(said))


def period_words(terms: LicenseTerms, current: InForce | None, hour: int) -> tuple[str, str]:
    """The validity in words, and when the reminder a week ahead goes out."""
    head = f"{period(terms.first_day, terms.last_day)}, {days_word(terms.days)}."
    if current is not None and terms.first_day <= current.terms.last_day + timedelta(days=1):
        head += f" Replaces version {current.version} without a gap."
    reminder = due_at(terms.last_day, 7, terms.time_zone, hour)
    tail = (
        f"Last usable day {day(terms.last_day)}, {zone_words(terms.time_zone)}. "
        f"The 7-day reminder goes out on {instant(reminder, terms.time_zone)}."
    )
    return head, tail


def _continuity(terms: LicenseTerms, current: InForce | None) -> Iterable[Check]:
    if current is None:
        yield Check(CheckKind.PASS, "First license of this environment")
        return
    gap = (terms.first_day - current.terms.last_day).days - 1
    if gap > 0:
        after = day(current.terms.last_day)
        yield Check(
            CheckKind.NOTE,
            f"{days_word(gap)} without a license",
            f"Version {current.version} can be used until {after}, this one starts on {day(terms.first_day)}.",
        )
    else:
        yield Check(CheckKind.PASS, f"Replaces version {current.version} without a gap")


def _rivals(beside: Sequence[Beside]) -> Iterable[Check]:
    """Two people, or one in a hurry, applied for the same platform: each license would replace the one before."""
    for each in beside:
        yield Check(
            CheckKind.NOTE,
            f"{each.number} is open for the same platform",
            f"{each.state}, by {each.owner}. Of two licenses, the one signed last replaces the other.",
        )


def _losses(difference: ShownDifference | None) -> Iterable[Check]:
    if difference is None:
        return
    for change in difference.changed:
        if not change.loses:
            continue
        if change.removed:
            yield Check(CheckKind.NOTE, f"Removes {', '.join(change.removed)}", "It is in the current license.")
        elif change.term == "restrictions":
            yield Check(CheckKind.NOTE, f"Adds a restriction: {', '.join(change.added)}")
        elif change.term == "validity":
            yield Check(CheckKind.NOTE, "Ends earlier than the current license")
        else:
            yield Check(CheckKind.NOTE, f"{change.label} falls from {change.old} to {change.new}")


def _reach(recipients: Sequence[Reached]) -> Iterable[Check]:
    sealed = [each for each in recipients if each.reach.encrypted]
    if sealed:
        people = "1 recipient gets" if len(sealed) == 1 else f"{len(sealed)} recipients get"
        yield Check(CheckKind.PASS, f"{people} the file in encrypted mail")
    for each in recipients:
        if not each.reach.encrypted:
            why = each.reach.why or "No certificate or OpenPGP key is on file."
            yield Check(CheckKind.NOTE, f"{each.name} gets a link instead of the file", why)


def days_left(last_day: date, today: date) -> str:
    """ "12 days left", "last day today", "ended 3 days ago"."""
    left = (last_day - today).days
    if left > 0:
        return f"{days_word(left)} left"
    return "last day today" if left == 0 else f"ended {days_word(-left)} ago"
