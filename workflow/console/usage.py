"""What the platform says is in use: agents, users, and which modules and model types how many agents work with.

The platform reports it, over HTTP or in a file; this console never counts anything itself. Shown with its time, used by
the preview of a new license, and never a reason to refuse one.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import Session

from workflow.console.store import ReportedUse
from workflow.database import transaction
from workflow.errors import Invalid, Problem
from workflow.license_file import MalformedLicense, say, sentence_of, strict_json
from workflow.license_file.fields import Members, plain_code, whole_number

LARGEST = 64 * 1024
"""bytes of one report"""
OLD_AFTER = timedelta(days=1)
AHEAD = timedelta(minutes=5)
"""how far the platform's clock may be ahead of this one"""
MOST = 10**9
LIMITS = ("agents", "users")
CODES = ("modules", "model_types")

log = logging.getLogger("licdesk.console.usage")


class UsageUnusable(Invalid):
    """A report of use that does not have the form described in docs/platform.md."""

    code = "console.usage"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, [Problem("usage", self.code, sentence)])


@dataclass(frozen=True)
class Use:
    """One report. A limit that is not in `limits` was not counted; the codes map to how many agents use them."""

    taken_at: datetime
    limits: Mapping[str, int] = field(default_factory=dict)
    modules: Mapping[str, int] = field(default_factory=dict)
    model_types: Mapping[str, int] = field(default_factory=dict)

    def is_old(self, now: datetime) -> bool:
        """Whether it says little about today."""
        return now - self.taken_at > OLD_AFTER


def read(raw: bytes, now: datetime) -> Use:
    """The report in these bytes; without `taken_at` it was taken now. Raises UsageUnusable."""
    if len(raw) > LARGEST:
        raise UsageUnusable(say("A report of use has at most %(most)s KB.", most=LARGEST // 1024))
    try:
        members = Members(strict_json.decode(raw))
        taken_at = members.instant("taken_at") if members.has("taken_at") else now
        limits = {name: members.integer(name, least=0, most=MOST) for name in LIMITS if members.has(name)}
        modules, model_types = (_counts(members, name) for name in CODES)
        members.end()
    except MalformedLicense as refused:
        raise UsageUnusable(sentence_of(refused)) from None
    if taken_at - now > AHEAD:
        raise UsageUnusable(say("taken_at lies in the future. Set the clocks of the platform and of this machine right."))
    return Use(taken_at, limits, modules, model_types)


def keep(session: Session, use: Use) -> bool:
    """Keeps a report in place of the one before; False when that one is newer."""
    row = session.get(ReportedUse, 1) or ReportedUse(taken_at=use.taken_at)
    if row.taken_at > use.taken_at:
        return False
    row.taken_at = use.taken_at
    row.limits, row.modules, row.model_types = dict(use.limits), dict(use.modules), dict(use.model_types)
    session.add(row)
    return True


def find(session: Session) -> Use | None:
    """The newest report; None when the platform never sent one."""
    row = session.get(ReportedUse, 1)
    return Use(row.taken_at, row.limits, row.modules, row.model_types) if row else None


@dataclass
class UsageFile:
    """A file that the platform replaces whenever it likes; read again when it has changed."""

    path: Path
    _seen: tuple[int, int] | None = field(default=None, init=False)

    def look(self, engine: Engine, now: datetime) -> None:
        """Takes the report in, if there is a new one. One that cannot be used is logged, once."""
        try:
            facts = self.path.stat()
            if (facts.st_mtime_ns, facts.st_size) == self._seen:
                return
            self._seen = facts.st_mtime_ns, facts.st_size
            with self.path.open("rb") as stream:
                use = read(stream.read(LARGEST + 1), now)
        except FileNotFoundError:
            return
        except (OSError, UsageUnusable) as error:
            log.warning("The report of use in %s cannot be used: %s", self.path, error)
            return
        with transaction(engine) as session:
            keep(session, use)


def _counts(members: Members, name: str) -> dict[str, int]:
    if not members.has(name):
        return {}
    counts = members.take(name)
    if not isinstance(counts, dict):
        raise MalformedLicense(say("%(member)s is not an object.", member=name))
    return {plain_code(code, name): whole_number(count, f"{name}.{code}", 0, MOST) for code, count in counts.items()}
