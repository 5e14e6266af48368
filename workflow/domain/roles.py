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
    DELIVER = "deliver"
    OPERATE = "operate"
    READ_OPERATIONS = "read_operations"
    READ_AUDIT = "read_audit"


PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.LIAISON: frozenset(
            {
                Permission.APPLY,
                Permission.READ_OWN,
                Permission.EDIT_CUSTOMERS,
                Permission.DOWNLOAD_FILE,
                Permission.DELIVER,
            }
        ),
        Role.APPROVER: frozenset({Permission.DECIDE, Permission.READ_ALL, Permission.READ_AUDIT}),
        Role.ADMINISTRATOR: frozenset(),
        Role.OPERATOR: frozenset(
            {
                Permission.OPERATE,
                Permission.READ_OPERATIONS,
                Permission.READ_ALL,
                Permission.READ_AUDIT,
                Permission.EDIT_CUSTOMERS,
                Permission.DOWNLOAD_FILE,
                Permission.DELIVER,
            }
        ),
        Role.AUDITOR: frozenset({Permission.READ_ALL, Permission.READ_OPERATIONS, Permission.READ_AUDIT}),
    }
)


class Scope(StrEnum):
    """What an API token may do besides reading, as far as its person's roles allow it at all."""

    APPLY = "apply"
    CUSTOMERS = "customers"
    DECIDE = "decide"
    DOWNLOAD = "download"
    DELIVER = "deliver"
    OPERATE = "operate"


READING = frozenset({Permission.READ_ALL, Permission.READ_OWN, Permission.READ_OPERATIONS, Permission.READ_AUDIT})
SCOPES: Mapping[Scope, frozenset[Permission]] = MappingProxyType(
    {
        Scope.APPLY: frozenset({Permission.APPLY}),
        Scope.CUSTOMERS: frozenset({Permission.EDIT_CUSTOMERS}),
        Scope.DECIDE: frozenset({Permission.DECIDE}),
        Scope.DOWNLOAD: frozenset({Permission.DOWNLOAD_FILE}),
        Scope.DELIVER: frozenset({Permission.DELIVER}),
        Scope.OPERATE: frozenset({Permission.OPERATE}),
    }
)


@dataclass(frozen=True)
class Actor:
    """Who acts, through which door and from which network address. `tenant` is set for administrators: they see that customer
    only. `scopes` is set for programs with a token: they may do less than the person they act for.
    """

    name: str
    person_id: UUID | None = None
    roles: frozenset[Role] = frozenset()
    tenant: UUID | None = None
    channel: str = "web"
    request_id: str | None = None
    network: str | None = None
    scopes: frozenset[Scope] | None = None

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


class MissingScope(Forbidden):
    """The person may do this, the program's token may not."""

    code = "tokens.scope_missing"

    def __init__(self, permission: Permission) -> None:
        needed = [scope.value for scope, granted in SCOPES.items() if permission in granted]
        super().__init__(f"This token lacks the scope {' or '.join(needed)}. Make one that has it on your profile page.")
        self.permission = permission


def may(actor: Actor, permission: Permission) -> bool:
    """Whether one of the actor's roles grants `permission`, and the token, if there is one, does not leave it out."""
    return _has_role(actor, permission) and _is_in_scope(actor, permission)


def require(actor: Actor, permission: Permission) -> None:
    """Raises MissingRole, naming the roles that would do, unless the actor has one of them; MissingScope when only the token
    is in the way."""
    if not _has_role(actor, permission):
        raise MissingRole(permission)
    if not _is_in_scope(actor, permission):
        raise MissingScope(permission)


def useful_scopes(roles: frozenset[Role]) -> tuple[Scope, ...]:
    """The scopes that allow a person with these roles anything, in the order of their definition."""
    held = frozenset().union(*(PERMISSIONS[role] for role in roles))
    return tuple(scope for scope in Scope if not held.isdisjoint(SCOPES[scope]))


def _has_role(actor: Actor, permission: Permission) -> bool:
    return any(grants(role, permission) for role in actor.roles)


def _is_in_scope(actor: Actor, permission: Permission) -> bool:
    if actor.scopes is None or permission in READING:
        return True
    return any(permission in SCOPES[scope] for scope in actor.scopes)
