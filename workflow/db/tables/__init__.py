"""The desk's tables: columns and constraints, nothing that decides. Rules live in `domain/`, statements in `queries`.

Constraints carry meaning: "only once" is always a unique key, never a query followed by an insert.
"""

from workflow.db.tables.applications import Application, EscalationRow, PolicyRow, RequirementRow, Revision, VoteRow
from workflow.db.tables.base import NAMES, DeskTable, table_of
from workflow.db.tables.customers import Counter, Environment, Recipient, Tenant, TenantWord
from workflow.db.tables.deliveries import Attempt, BounceRow, Delivery, FoldedLetter, PortalCode, PortalLink, Reminder
from workflow.db.tables.history import CheckpointRow, EventRow, EventStream, FindingRow
from workflow.db.tables.licenses import Installation, IssuedLicense, Receipt, Revocation, RevocationListRow
from workflow.db.tables.people import (
    ApiToken,
    DelegationRow,
    OneTimeLink,
    Person,
    RecoveryCode,
    RoleGrant,
    SecondFactor,
    SignedIn,
    Throttle,
)
from workflow.db.tables.work import Heartbeat, IdempotencyKey, JobRow

__all__ = [
    "NAMES",
    "ApiToken",
    "Application",
    "Attempt",
    "BounceRow",
    "CheckpointRow",
    "Counter",
    "DelegationRow",
    "Delivery",
    "DeskTable",
    "Environment",
    "EscalationRow",
    "EventRow",
    "EventStream",
    "FindingRow",
    "FoldedLetter",
    "Heartbeat",
    "IdempotencyKey",
    "Installation",
    "IssuedLicense",
    "JobRow",
    "OneTimeLink",
    "Person",
    "PolicyRow",
    "PortalCode",
    "PortalLink",
    "Receipt",
    "Recipient",
    "RecoveryCode",
    "Reminder",
    "RequirementRow",
    "Revision",
    "Revocation",
    "RevocationListRow",
    "RoleGrant",
    "SecondFactor",
    "SignedIn",
    "Tenant",
    "TenantWord",
    "Throttle",
    "VoteRow",
    "table_of",
]
