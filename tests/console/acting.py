"""What an administrator does, as one call each: take a file in, activate it."""

import json
from datetime import datetime
from typing import Any

from tests.console import vendor
from workflow.console import current, install, revocation_uploads, uploads, usage
from workflow.console.current import Situation
from workflow.console.identity import Console
from workflow.console.store import InstalledLicense, RefusedUpload, RevocationUpload, StagedUpload
from workflow.database import reading, transaction
from workflow.times import utc_now, wall_now


def look(console: Console, now: datetime | None = None) -> Situation:
    """The situation as a reader finds it."""
    with reading(console.engine) as session:
        return current.look(session, console, now or utc_now())


def taken_in(
    console: Console, raw: bytes, *, name: str = "license.lic", by: str = vendor.ADMIN, now: datetime | None = None
) -> uploads.Outcome:
    """The outcome of an upload."""
    with transaction(console.engine) as session:
        return uploads.take_in(session, console, raw, name, by, now or utc_now(), wall_now())


def staged(console: Console, raw: bytes, *, by: str = vendor.ADMIN, now: datetime | None = None) -> StagedUpload:
    """An upload that passed."""
    outcome = taken_in(console, raw, by=by, now=now)
    assert isinstance(outcome, StagedUpload), outcome
    return outcome


def activate(
    console: Console,
    upload_id: str,
    *,
    by: str = vendor.ADMIN,
    generation: int | None = None,
    acknowledged: bool = True,
    now: datetime | None = None,
    wall: datetime | None = None,
) -> InstalledLicense:
    """Presses the button on the preview."""
    seen = look(console, now).generation if generation is None else generation
    with transaction(console.engine) as session:
        return install.activate(
            session,
            console,
            upload_id,
            by,
            seen_generation=seen,
            acknowledged=acknowledged,
            now=now or utc_now(),
            wall=wall or wall_now(),
        )


def activated(console: Console, raw: bytes, *, now: datetime | None = None) -> InstalledLicense:
    """A license that passed and was activated or scheduled."""
    return activate(console, staged(console, raw, now=now).id, now=now)


def listed(console: Console, raw: bytes, *, by: str = vendor.ADMIN, now: datetime | None = None) -> bool | RefusedUpload:
    """A revocation list put in use; False when it was in use already, the refusal when it was refused."""
    at, wall = now or utc_now(), wall_now()
    with transaction(console.engine) as session:
        outcome = revocation_uploads.take_in(session, console, raw, "list.lrl", by, at, wall)
    if not isinstance(outcome, RevocationUpload):
        return outcome if isinstance(outcome, RefusedUpload) else False
    seen = look(console, at).generation
    with transaction(console.engine) as session:
        revocation_uploads.confirm(session, console, outcome.id, by, seen_generation=seen, acknowledged=True, now=at, wall=wall)
    return True


def reported(console: Console, *, now: datetime | None = None, **use: Any) -> None:
    """The platform says what is in use."""
    at = now or utc_now()
    with transaction(console.engine) as session:
        usage.keep(session, usage.read(json.dumps(use).encode(), at))
