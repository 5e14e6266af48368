"""Jobs, and what processes say of themselves."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, Text, text
from sqlmodel import Field

from workflow.db.ids import new_id
from workflow.db.tables.base import DeskTable, moment, one_of
from workflow.domain.events import JobState


class JobRow(DeskTable, table=True):
    """Work owed. `ref` names its subject, `recipient` the person or recipient it is for, `event` why it is owed."""

    __tablename__ = "job"
    __table_args__ = (
        one_of("state", JobState, "state"),
        Index(
            "ix_job_due",
            "next_at",
            sqlite_where=text("state IN ('pending', 'running')"),
            postgresql_where=text("state IN ('pending', 'running')"),
        ),
        Index("ix_job_ref", "ref"),
        Index(
            "ix_job_cancelled",
            "id",
            sqlite_where=text("state = 'cancelled'"),
            postgresql_where=text("state = 'cancelled'"),
        ),
        Index(
            "ix_job_dead",
            "id",
            sqlite_where=text("state = 'dead'"),
            postgresql_where=text("state = 'dead'"),
        ),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    kind: str = Field(max_length=60)
    ref: UUID | None = None
    recipient: UUID | None = None
    event: UUID | None = Field(default=None, foreign_key="event.id")
    detail: str = ""
    dedupe_key: str = Field(unique=True, max_length=200)
    state: str = JobState.PENDING.value
    next_at: datetime = moment()
    lease_until: datetime | None = moment(nullable=True)
    owner: str | None = Field(default=None, max_length=80)
    attempts: int = 0
    deferred: int = 0
    published: int = 0
    last_error: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    created_at: datetime = moment()
    done_at: datetime | None = moment(nullable=True)


class Heartbeat(DeskTable, table=True):
    """When a process last said that it lives; wall-clock times. `endings` is JSON: what it holds, and when that ends."""

    process: str = Field(primary_key=True, max_length=100)
    at: datetime = moment()
    detail: str = ""
    endings: str = "{}"


class IdempotencyKey(DeskTable, table=True):
    """An answer already given to a POST of the API, kept for a day."""

    __tablename__ = "idempotency_key"
    person: UUID = Field(primary_key=True, foreign_key="person.id")
    key: str = Field(primary_key=True, max_length=200)
    body_sha256: str = Field(max_length=64)
    status: int | None = None
    answer: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    until: datetime = moment()
