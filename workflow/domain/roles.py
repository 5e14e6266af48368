"""Who may do what: roles, the acting person, and the one table of permissions."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from workflow.errors import Forbidden


class Role(StrEnum):
    """What a person is here for."""

    LIAISON = "liaison"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """Something a role allows."""

    APPLY = "apply"
    DECIDE = "decide"
    READ_ALL = "read_all"
    READ_OWN = "read_own"
    EDIT_CUSTOMERS = "edit_customers"
    DOWNLOAD_FILE = "download_file"
    OPERATE = "operate"
    READ_AUDIT = "read_audit"


PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.LIAISON: frozenset({Permission.APPLY, Permission.READ_OWN, Permission.EDIT_CUSTOMERS, Permission.DOWNLOAD_FILE}),
        Role.APPROVER: frozenset({Permission.DECIDE, Permission.READ_ALL, Permission.READ_AUDIT}),
        Role.ADMINISTRATOR: frozenset(),
        Role.OPERATOR: frozenset(
            {
                Permission.OPERATE,
                Permission.READ_ALL,
                Permission.READ_AUDIT,
                Permission.EDIT_CUSTOMERS,
                Permission.DOWNLOAD_FILE,
            }
        ),
        Role.AUDITOR: frozenset({Permission.READ_ALL, Permission.READ_AUDIT}),
    }
)


@dataclass(frozen=True)
class Actor:
    """Who acts, through which door and from which network address. `tenant` is set for administrators: they see that customer
    only."""

    name: str
    person_id: UUID | None = None
    roles: frozenset[Role] = frozenset()
    tenant: UUID | None = None
    channel: str = "web"
    request_id: str | None = None
    network: str | None = None

    @property
    def label(self) -> str:
        """How the audit record names the actor."""
        return f"person:{self.person_id}" if self.person_id else f"system:{self.name}"


def system(name: str) -> Actor:
    """A part of the desk that acts by itself, for example "signing worker"."""
    return Actor(name=name, channel="system")


class MissingRole(Forbidden):
    """The person's roles do not include one that allows this."""

    code = "roles.missing"

    def __init__(self, permission: Permission) -> None:
        needed = [role.value for role, granted in PERMISSIONS.items() if permission in granted]
        super().__init__(f"This needs the role {' or '.join(needed)}. Ask an operator of this desk.")
        self.permission = permission


def grants(role: Role, permission: Permission) -> bool:
    """Whether a role allows something."""
    return permission in PERMISSIONS[role]


def may(actor: Actor, permission: Permission) -> bool:
    """Whether one of the actor's roles grants `permission`."""
    return any(grants(role, permission) for role in actor.roles)


def require(actor: Actor, permission: Permission) -> None:
    """Raises MissingRole, naming the roles that would do, unless the actor has one of them."""
    if not may(actor, permission):
        raise MissingRole(permission)
