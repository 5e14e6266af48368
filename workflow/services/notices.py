"""Letters to one person about no application: how their account is opened was changed, or the history does not hold."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.ids import new_id
from workflow.db.outbox import add_jobs, job_values
from workflow.db.queries import findings, people
from workflow.domain.events import Job, Notice, SystemFact
from workflow.domain.roles import Actor, Role
from workflow.services.history import Finding


def record_and_tell(session: Session, fact: SystemFact, actor: Actor, person: UUID, now: datetime) -> None:
    """Tells the history that a person's credentials changed, and owes the person a letter, in one transaction."""
    recorded = outbox.record(session, fact, actor, now)
    key = f"{Job.NOTICE.value}:{recorded.id}"
    outbox.owe(session, Job.NOTICE, key, recipient=person, detail=Notice.CREDENTIALS_CHANGED, event=recorded.id)


def keep_findings(session: Session, found: Sequence[Finding], now: datetime) -> None:
    """What the witness found, each once: one that was found before is not told again."""
    findings.insert_missing(
        session,
        [
            {
                "id": new_id(),
                "key": hashlib.sha256(f"{each.what}:{each.where}:{each.sequence}:{each.checkpoint}".encode()).hexdigest(),
                "stream": each.stream,
                "sentence": each.sentence,
                "found_at": now,
                "told_in": None,
            }
            for each in found
        ],
    )


def tell_operators(session: Session, now: datetime) -> int:
    """Owes every operator one letter about all findings that nobody was told of. Returns how many. While there is no operator
    they wait."""
    operators = people.people_with(session, Role.OPERATOR, now)
    if not operators:
        return 0
    told_in = new_id()
    count = findings.take_untold(session, told_in)
    if count:
        about: dict[str, Any] = {"ref": told_in, "detail": Notice.HISTORY_DOUBTED.value}
        keys = {each: f"{Job.NOTICE.value}:{told_in}:{each}" for each in operators}
        add_jobs(session, [job_values(Job.NOTICE, keys[each], recipient=each, **about) for each in operators])
    return count
