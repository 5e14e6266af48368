"""Who and what the demo has: the people, the customer, the recipients. Facts only; `licdesk demo seed` makes them real."""

from dataclasses import dataclass
from typing import Final

from workflow.domain.delivery import Channel
from workflow.domain.roles import Role


@dataclass(frozen=True)
class DemoPerson:
    """An account of the demo. `does` is what a newcomer should know about it."""

    name: str
    email: str
    role: Role
    does: str


@dataclass(frozen=True)
class DemoRecipient:
    """An administrator at the customer, and the way a license takes to them. `on_curve`: their certificate's key is no RSA."""

    name: str
    email: str
    channel: Channel
    on_curve: bool = False

    @property
    def has_certificate(self) -> bool:
        """Whether mail to them is S/MIME."""
        return self.channel is Channel.SMIME


TENANT_ID: Final = "T-20817"
COMPANY: Final = "Harbourline Logistics Co., Ltd."
TIME_ZONE: Final = "Asia/Shanghai"
CONSOLE_ENVIRONMENT: Final = "PROD"
"""The environment whose License Management runs beside the desk."""

LIAISON: Final = DemoPerson("Mei Sato", "mei.sato@serviceme.example", Role.LIAISON, "applies and renews")
APPROVER: Final = DemoPerson("Jonas Weber", "jonas.weber@serviceme.example", Role.APPROVER, "approves or asks for changes")
SECOND_APPROVER: Final = DemoPerson("Amara Okafor", "amara.okafor@serviceme.example", Role.APPROVER, "approves, too")
OPERATOR: Final = DemoPerson("Tomas Riva", "tomas.riva@serviceme.example", Role.OPERATOR, "sees to jobs and people")
AUDITOR: Final = DemoPerson("Ines Duarte", "ines.duarte@serviceme.example", Role.AUDITOR, "reads everything")
STAFF: Final = (LIAISON, APPROVER, SECOND_APPROVER, OPERATOR, AUDITOR)

ADMINISTRATOR: Final = DemoPerson("Zhang Wei", "wei.zhang@harbourline.example", Role.ADMINISTRATOR, "uploads and activates")
RECIPIENTS: Final = (
    DemoRecipient(ADMINISTRATOR.name, ADMINISTRATOR.email, Channel.SMIME),
    DemoRecipient("Platform operations", "admins@harbourline.example", Channel.SMIME, on_curve=True),
    DemoRecipient("Guo Lan", "lan.guo@harbourline.example", Channel.OPENPGP),
    DemoRecipient("Chen Yu", "yu.chen@harbourline.example", Channel.PORTAL),
)
