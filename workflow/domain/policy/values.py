"""What a policy file holds, as frozen values. `reading` makes them; nothing else does outside of tests."""

from dataclasses import dataclass, field
from enum import StrEnum

from workflow.domain.policy.calendar import BusinessTime, Calendar
from workflow.domain.roles import Role
from workflow.domain.terms import EnvironmentName, LicenseKind, RequestType


@dataclass(frozen=True)
class Group:
    """People who can be asked: all with a role, or those listed by address (lower case). Only approvers among them decide."""

    name: str
    role: Role | None = None
    users: tuple[str, ...] = ()

    def holds(self, email: str, roles: frozenset[Role]) -> bool:
        """Whether somebody with this address and these roles belongs to the group."""
        return self.role in roles if self.role is not None else email.lower() in self.users


@dataclass(frozen=True)
class Range:
    """Whole numbers from `least` to `most`, both included; None leaves that side open."""

    least: int | None = None
    most: int | None = None

    def __contains__(self, value: int) -> bool:
        """Whether the range covers `value`."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True)
class Conditions:
    """What must be true of an application, all of it together. None leaves a question open.

    `modules` and `model_types` ask whether at least one of them is applied for.
    """

    environments: frozenset[EnvironmentName] | None = None
    users: Range = Range()
    agents: Range = Range()
    days: Range = Range()
    modules: frozenset[str] | None = None
    model_types: frozenset[str] | None = None
    requests: frozenset[RequestType] | None = None
    kinds: frozenset[LicenseKind] | None = None
    widens: bool | None = None


@dataclass(frozen=True)
class When:
    """When a rule applies: `all_of` holds, one of `any_of` holds (if there are any), and no rule of `unless` applies."""

    all_of: Conditions = Conditions()
    any_of: tuple[Conditions, ...] = ()
    unless: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ask:
    """So many different people of a group."""

    group: str
    count: int


class StepKind(StrEnum):
    """What happens when nobody decides."""

    REMIND = "remind"
    ADD = "add"


@dataclass(frozen=True)
class Step:
    """After so much business time without a decision, remind those who are asked, or ask one of `group` as well."""

    after: BusinessTime
    do: StepKind
    group: str | None = None


@dataclass(frozen=True)
class Rule:
    """One rule. It asks for people, or says `auto`: no person is needed, unless another rule asks for one."""

    id: str
    text: str
    when: When = When()
    require: tuple[Ask, ...] = ()
    distinct: int = 1
    auto: bool = False
    respond_within: BusinessTime | None = None
    escalate: tuple[Step, ...] = ()
    line: int = field(default=0, compare=False)


class Encryption(StrEnum):
    """How a license may travel to a recipient."""

    END_TO_END = "end_to_end"
    """encrypted to the recipient's own key: S/MIME or OpenPGP, nothing else"""
    PORTAL_ALLOWED = "portal_allowed"
    """without a key that counts, a link to the portal"""


@dataclass(frozen=True)
class DeliveryRule:
    """How licenses of one environment are handed over. `portal_code`: whether the portal gives the file for a one-time code,
    which reaches the same mailbox as the link; else only to a signed-in administrator. `delivered_when`: how many recipients
    must have the file before it counts as delivered; None: all of them."""

    environment: EnvironmentName
    encryption: Encryption = Encryption.PORTAL_ALLOWED
    portal_code: bool = True
    delivered_when: int | None = 1

    def is_enough(self, having: int, total: int) -> bool:
        """Whether a license counts as delivered that so many of its recipients have."""
        wanted = total if self.delivered_when is None else min(self.delivered_when, total)
        return having >= max(1, wanted)

    @property
    def portal(self) -> bool:
        """Whether the portal is a way for this environment at all."""
        return self.encryption is Encryption.PORTAL_ALLOWED


@dataclass(frozen=True)
class Policy:
    """A whole policy that passed every check which stops a start. `name` says which file it came from."""

    name: str = field(compare=False)
    groups: tuple[Group, ...]
    rules: tuple[Rule, ...]
    calendar: Calendar = field(default_factory=Calendar)
    respond_within: BusinessTime | None = None
    fallback: str | None = None
    delivery: tuple[DeliveryRule, ...] = ()
    sha256: str = field(default="", compare=False)

    def delivery_to(self, environment: EnvironmentName) -> DeliveryRule:
        """How licenses of this environment are handed over; what the file does not say is allowed."""
        return next((each for each in self.delivery if each.environment is environment), DeliveryRule(environment))

    def groups_of(self, email: str, roles: frozenset[Role]) -> frozenset[str]:
        """The groups that somebody with this address and these roles belongs to."""
        return frozenset(each.name for each in self.groups if each.holds(email, roles))
