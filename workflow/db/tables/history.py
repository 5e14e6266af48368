"""The history: events in chains, and the signed heads of all of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field

from workflow.db.ids import new_id
from workflow.db.tables.base import DeskTable, moment


class EventStream(DeskTable, table=True):
    """The head of a chain of events: an application's, or the system's. Locked before an event is added."""

    __tablename__ = "event_stream"
    stream: str = Field(primary_key=True, max_length=40)
    count: int = 0
    head: str = Field(default="", max_length=64)


class EventRow(DeskTable, table=True):
    """A fact, chained to the one before it. No UPDATE and no DELETE: a trigger refuses both."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("stream", "sequence"),
        Index("ix_event_at", "at", "id"),
        Index("ix_event_actor_at", "actor", "at", "id"),
        Index("ix_event_type_at", "type", "at", "id"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    stream: str = Field(foreign_key="event_stream.stream", max_length=40)
    sequence: int
    type: str = Field(max_length=60)
    schema_version: int = 1
    actor: str = Field(max_length=100)
    actor_name: str = Field(max_length=200)
    channel: str = Field(max_length=20)
    request_id: str | None = Field(default=None, max_length=64)
    network: str | None = Field(default=None, max_length=64)
    revision: int | None = None
    at: datetime = moment()
    payload: str = Field(sa_column=Column(Text, nullable=False))
    previous: str = Field(max_length=64)
    hash: str = Field(max_length=64)


class FindingRow(DeskTable, table=True):
    """Something wrong in the history that the witness has found, once: `key` names it. `told_in` is the round of letters that
    told the operators.
    """

    __tablename__ = "finding"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    key: str = Field(unique=True, max_length=64)
    stream: str = Field(max_length=40)
    sentence: str = Field(sa_column=Column(Text, nullable=False))
    found_at: datetime = moment()
    told_in: UUID | None = Field(default=None, index=True)


class CheckpointRow(DeskTable, table=True):
    """What the witness signed: that at this instant the chains had these heads. Also kept as files outside of the database.

    `statement` is the signed document, `heads` the chains that had grown since the checkpoint before it. No UPDATE and no
    DELETE: a trigger refuses both.
    """

    __tablename__ = "checkpoint"
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = moment()
    statement: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    heads: str = Field(sa_column=Column(Text, nullable=False))
