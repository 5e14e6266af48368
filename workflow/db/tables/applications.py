"""Applications: what was asked for, what is required, and how people voted."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, Text, UniqueConstraint, text
from sqlmodel import Field

from workflow.db.ids import new_id
from workflow.db.tables.base import DeskTable, moment, one_of
from workflow.domain.application import Status
from workflow.domain.policy import StepKind


class Application(DeskTable, table=True):
    """A request for a license. `version` rises with every write: a move names the version it read."""

    __table_args__ = (
        one_of("status", Status, "status"),
        Index("ix_application_updated", "updated_at", "id"),
        Index("ix_application_status_updated", "status", "updated_at", "id"),
        Index("ix_application_submitted", "submitted_at", "id"),
        Index("ix_application_owner_updated", "owner", "updated_at", "id"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    number: str = Field(unique=True, max_length=20)
    environment: UUID | None = Field(default=None, foreign_key="environment.id", index=True)
    request: str = "new"
    renews: UUID | None = Field(default=None, foreign_key="application.id", index=True)
    copied_from: UUID | None = Field(default=None, foreign_key="application.id")
    status: str = Status.DRAFT.value
    revision: int = 0
    version: int = 1
    owner: UUID = Field(foreign_key="person.id")
    draft: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    title: str = Field(default="", max_length=260)
    attention: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    submitted_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()
    updated_at: datetime = moment()


class Revision(DeskTable, table=True):
    """What was submitted, word for word, and what the policy said to it besides the requirements. Never updated.

    `approvals_from`: approvals of that revision and later ones count, since only notes were changed between.
    """

    __table_args__ = (UniqueConstraint("application", "number"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    application: UUID = Field(foreign_key="application.id")
    number: int
    content: str = Field(sa_column=Column(Text, nullable=False))
    content_sha256: str = Field(max_length=64)
    content_digest: str = Field(max_length=64)
    author: UUID = Field(foreign_key="person.id")
    approvals_from: int
    policy_sha256: str = Field(max_length=64)
    distinct_people: int
    automatic: bool
    due_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()


class RequirementRow(DeskTable, table=True):
    """What the policy asked for when a revision was submitted."""

    __tablename__ = "requirement"
    __table_args__ = (UniqueConstraint("application", "revision", "rule", "group_name"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    application: UUID = Field(foreign_key="application.id")
    revision: int
    rule: str
    group_name: str
    count: int
    explanation: str


class EscalationRow(DeskTable, table=True):
    """What happens at an instant if a revision still waits then: a reminder, or one more group that is asked."""

    __tablename__ = "escalation"
    __table_args__ = (
        UniqueConstraint("application", "revision", "rule", "step", "group_name", "at"),
        one_of("step", StepKind, "step"),
        Index(
            "ix_escalation_due",
            "at",
            sqlite_where=text("taken_at IS NULL"),
            postgresql_where=text("taken_at IS NULL"),
        ),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    application: UUID = Field(foreign_key="application.id")
    revision: int
    rule: str
    step: str
    group_name: str
    explanation: str
    at: datetime = moment()
    taken_at: datetime | None = moment(nullable=True)


class PolicyRow(DeskTable, table=True):
    """A policy that applications were submitted under, in its canonical form, under its SHA-256."""

    __tablename__ = "policy"
    sha256: str = Field(primary_key=True, max_length=64)
    document: str = Field(sa_column=Column(Text, nullable=False))
    adopted_at: datetime = moment()


class VoteRow(DeskTable, table=True):
    """One person's word on one revision, with the groups they belonged to at that moment: their own, or those of the person
    they acted for.
    """

    __tablename__ = "vote"
    __table_args__ = (UniqueConstraint("application", "revision", "person"), Index("ix_vote_person_at", "person", "at", "id"))
    id: UUID = Field(default_factory=new_id, primary_key=True)
    application: UUID = Field(foreign_key="application.id")
    revision: int
    person: UUID = Field(foreign_key="person.id")
    on_behalf_of: UUID | None = Field(default=None, foreign_key="person.id")
    choice: str
    comment: str = Field(sa_column=Column(Text, nullable=False))
    groups: str
    content_digest: str = Field(max_length=64)
    channel: str
    event_hash: str = Field(max_length=64)
    at: datetime = moment()
