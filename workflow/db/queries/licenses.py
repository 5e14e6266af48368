"""Issued licenses, their receipts and installations."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, bindparam, func, insert, update
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from workflow.db.tables import Application, Environment, Installation, IssuedLicense, Receipt, Tenant, table_of
from workflow.domain.application import COUNTING, Standing
from workflow.errors import NotFound

_LICENSE = table_of(IssuedLicense)
_INSERT = insert(_LICENSE)
_SET_DELIVERED = (
    update(_LICENSE)
    .where(_LICENSE.c.application == bindparam("of"))
    .values(delivered_at=bindparam("at"))
    .returning(_LICENSE.c.license_id, _LICENSE.c.version)
)


@dataclass(frozen=True)
class ListedLicense:
    """One line of the list of licenses."""

    issued: IssuedLicense
    application: Application
    tenant: Tenant
    environment: Environment


def find_of_application(session: Session, application: UUID) -> IssuedLicense | None:
    """The license that an application led to."""
    return session.exec(select(IssuedLicense).where(IssuedLicense.application == application)).one_or_none()


def get_of_application(session: Session, application: UUID) -> IssuedLicense:
    """The license that an application led to. Raises NotFound."""
    found = find_of_application(session, application)
    if found is None:
        raise NotFound("This application has no license yet.")
    return found


def get_license(session: Session, issued: UUID) -> IssuedLicense:
    """The license with this row id. Raises NotFound."""
    found = session.get(IssuedLicense, issued)
    if found is None:
        raise NotFound("There is no such license.")
    return found


def put_all(session: Session, issued: Sequence[IssuedLicense]) -> None:
    """Writes new licenses, past the session's bookkeeping: this is the hot path. The objects stay plain values.

    Raises IntegrityError when a version was taken meanwhile.
    """
    session.connection().execute(_INSERT, [each.model_dump() for each in issued])


def set_delivered(session: Session, application: UUID, now: datetime) -> tuple[str, int]:
    """Notes when the license of an application first reached somebody; returns its License ID and version."""
    row = session.connection().execute(_SET_DELIVERED, {"of": application, "at": now}).one()
    return row[0], row[1]


def find_by_payload(session: Session, payload_sha256: str) -> IssuedLicense | None:
    """The license with this payload."""
    return session.exec(select(IssuedLicense).where(IssuedLicense.payload_sha256 == payload_sha256)).one_or_none()


def newest_version(session: Session, license_id: str) -> IssuedLicense | None:
    """The highest version issued under a License ID."""
    return session.exec(
        select(IssuedLicense).where(IssuedLicense.license_id == license_id).order_by(col(IssuedLicense.version).desc()).limit(1)
    ).first()


_MAY_COUNT = (Standing.ACTIVATED, Standing.ISSUED, Standing.SCHEDULED, Standing.EXPIRED)
_MAY_BE_IN_FORCE = (
    select(IssuedLicense)
    .where(IssuedLicense.environment == bindparam("environment"), col(IssuedLicense.standing).in_(_MAY_COUNT))
    .order_by(col(IssuedLicense.version).desc())
)


def in_force(session: Session, environment: UUID) -> IssuedLicense | None:
    """What an environment runs on: the activated license, else the newest one that was issued and not overtaken."""
    return in_force_among(session.exec(_MAY_BE_IN_FORCE, params={"environment": environment}).all())


def in_force_among(newest_first: Sequence[IssuedLicense]) -> IssuedLicense | None:
    """What an environment with these licenses runs on."""
    may_count = [each for each in newest_first if each.standing in _MAY_COUNT]
    activated = (each for each in may_count if each.standing == Standing.ACTIVATED)
    return next(activated, may_count[0] if may_count else None)


def of_environments(session: Session, environments: Collection[UUID]) -> dict[UUID, list[IssuedLicense]]:
    """Every version of these environments without its bytes, newest first."""
    found: dict[UUID, list[IssuedLicense]] = {environment: [] for environment in environments}
    rows = session.exec(
        select(IssuedLicense)
        .where(col(IssuedLicense.environment).in_(environments))
        .order_by(col(IssuedLicense.version).desc())
        .options(defer(_ENVELOPE), defer(_PAYLOAD))
    )
    for row in rows:
        found[row.environment].append(row)
    return found


_ENVELOPE: Any = IssuedLicense.envelope
_PAYLOAD: Any = IssuedLicense.payload


def highest_activated(session: Session, license_id: str) -> int:
    """The highest version that was ever activated under a License ID; 0 when none was."""
    highest = session.exec(
        select(func.max(IssuedLicense.version)).where(
            IssuedLicense.license_id == license_id, col(IssuedLicense.activated_at).is_not(None)
        )
    ).one()
    return highest or 0


def change_standing(session: Session, issued: IssuedLicense, from_standings: Sequence[str], **values: Any) -> bool:
    """A conditional move of a license's standing. Returns whether it was in one of `from_standings`."""
    result = session.execute(
        update(IssuedLicense)
        .where(col(IssuedLicense.id) == issued.id, col(IssuedLicense.standing).in_(from_standings))
        .values(**values)
        .execution_options(synchronize_session="evaluate")
    )
    return cast(CursorResult[Any], result).rowcount == 1


def watched(session: Session, now: datetime, limit: int = 1_000) -> Sequence[IssuedLicense]:
    """Licenses whose next reminder, or whose end, has come, and that no other scan looks at. The cost is that of what is due,
    not of what exists."""
    return session.exec(
        select(IssuedLicense)
        .where(col(IssuedLicense.next_reminder_at) <= now)
        .order_by(col(IssuedLicense.next_reminder_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def files_for_tenant(session: Session, tenant: UUID) -> list[ListedLicense]:
    """What an administrator of a customer can fetch: the licenses that count or wait, newest first."""
    rows = session.exec(
        select(IssuedLicense, Application, Tenant, Environment)
        .join(Application, col(Application.id) == col(IssuedLicense.application))
        .join(Environment, col(Environment.id) == col(IssuedLicense.environment))
        .join(Tenant, col(Tenant.id) == col(Environment.tenant))
        .where(Tenant.id == tenant, col(IssuedLicense.standing).in_(COUNTING))
        .order_by(col(IssuedLicense.issued_at).desc())
    )
    return [ListedLicense(*row) for row in rows]


def lock_installation(session: Session, installation_id: str, keyid: str) -> Installation | None:
    """The installation with this id and key, kept as it is until the commit: a receipt must not arrive unseen while an operator
    confirms who sent it."""
    return session.exec(
        select(Installation)
        .where(Installation.installation_id == installation_id, Installation.keyid == keyid)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()


def installations(session: Session, limit: int = 100) -> Sequence[tuple[Installation, str, str]]:
    """Installations with their company and environment: those that wait to be confirmed, then those confirmed, newest first."""
    query = (
        select(Installation, Tenant.company, Environment.name)
        .join(Environment, col(Environment.id) == col(Installation.environment))
        .join(Tenant, col(Tenant.id) == col(Environment.tenant))
        .order_by(col(Installation.id).desc())
        .limit(limit)
    )
    waiting = session.exec(query.where(col(Installation.confirmed_at).is_(None))).all()
    return [*waiting, *session.exec(query.where(col(Installation.confirmed_at).is_not(None)))][:limit]


def unconfirmed_for(session: Session, license_row: UUID) -> int:
    """How many unconfirmed installations have sent a receipt for a license."""
    return session.exec(
        select(func.count(func.distinct(Receipt.installation)))
        .join(Installation, col(Installation.id) == col(Receipt.installation))
        .where(Receipt.license == license_row, col(Installation.confirmed_at).is_(None))
    ).one()


def waiting_receipts(session: Session, installation: UUID) -> Sequence[Receipt]:
    """What an installation sent before it was confirmed, in the order of its own clock."""
    return session.exec(
        select(Receipt)
        .where(Receipt.installation == installation, Receipt.outcome == "waiting")
        .order_by(col(Receipt.at), col(Receipt.receipt_id))
    ).all()


def receipts_of(session: Session, license_row: UUID) -> Sequence[Receipt]:
    """The receipts for a license, latest first."""
    return session.exec(select(Receipt).where(Receipt.license == license_row).order_by(col(Receipt.at).desc())).all()


def not_activated(session: Session, delivered_before: datetime, nudged_below: int, limit: int = 500) -> Sequence[IssuedLicense]:
    """Licenses delivered before an instant, still not in force, that were asked about less than `nudged_below` days ago, and
    that no other scan looks at: two at once would ask twice."""
    return session.exec(
        select(IssuedLicense)
        .where(
            IssuedLicense.standing == Standing.ISSUED,
            col(IssuedLicense.delivered_at) <= delivered_before,
            col(IssuedLicense.nudged_days) < nudged_below,
        )
        .order_by(col(IssuedLicense.delivered_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def successor_of(session: Session, issued: IssuedLicense) -> IssuedLicense | None:
    """The newest higher version under the same License ID that was not revoked."""
    return session.exec(
        select(IssuedLicense)
        .where(
            IssuedLicense.license_id == issued.license_id,
            col(IssuedLicense.version) > issued.version,
            IssuedLicense.standing != Standing.REVOKED,
        )
        .order_by(col(IssuedLicense.version).desc())
        .limit(1)
    ).first()


def predecessors_of(session: Session, issued: IssuedLicense) -> Sequence[IssuedLicense]:
    """Lower versions under the same License ID that still count."""
    return session.exec(
        select(IssuedLicense)
        .where(
            IssuedLicense.license_id == issued.license_id,
            col(IssuedLicense.version) < issued.version,
            col(IssuedLicense.standing).in_(COUNTING),
        )
        .order_by(col(IssuedLicense.version))
    ).all()
