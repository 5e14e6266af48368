"""What this desk is set up to offer: the catalogue, the named defaults and the approval policy, read once at start and handed
to services. A file that changes later, or breaks, changes nothing until the next start.
"""

import tomllib
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from workflow.domain.catalogue import Catalogue, CatalogueUnusable, catalogue_from
from workflow.domain.content import ApplicationContent, StatedRestriction
from workflow.domain.policy import Policy
from workflow.domain.terms import EnvironmentName, LicenseKind, LicenseRequest, LicenseTerms, NamedDefaults, RequestType
from workflow.errors import Misconfigured
from workflow.license_file import LicenseRefused, canonical
from workflow.recipient_keys import MailTrust
from workflow.services.claims import require_writable
from workflow.services.mail_trust import mail_trust_from
from workflow.services.policies import policy_from_file
from workflow.settings import Database

SHIPPED_CATALOGUE = Path(__file__).resolve().parent.parent / "catalogue.toml"


class LicenseUnwritable(Misconfigured):
    """The catalogue or a named default holds something that the format of the license file refuses."""

    code = "desk.license_unwritable"


@dataclass(frozen=True)
class Desk:
    """The desk's own answers: what can be licensed, who approves, what every license says by default, when it reminds."""

    issuer_name: str
    catalogue: Catalogue
    policy: Policy
    defaults: NamedDefaults
    public_url: str
    reminder_days: tuple[int, ...]
    reminder_hour: int
    mail_trust: MailTrust = field(default_factory=MailTrust)


def desk_from(settings: Database) -> Desk:
    """Reads the catalogue and the policy and puts the defaults together.

    Raises CatalogueUnusable, naming the file, PolicyUnreadable, PolicyBroken, naming the lines, or LicenseUnwritable.
    """
    path = settings.catalogue or SHIPPED_CATALOGUE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CatalogueUnusable(f"The catalogue {path} cannot be read: {error}.") from error
    desk = Desk(
        issuer_name=settings.issuer_name,
        catalogue=catalogue_from(document),
        policy=policy_from_file(settings.policy_file),
        defaults=NamedDefaults(
            grace_days=settings.grace_days,
            on_expiry=settings.on_expiry,
            count_users="named",
            count_agents="total",
            over_limit="block_new",
            contact_name=settings.contact_name,
            contact_url=settings.contact_url or settings.public_url,
            contact_mailbox=settings.contact_mailbox,
            contact_phone=settings.contact_phone,
        ),
        public_url=settings.public_url.rstrip("/"),
        reminder_days=settings.reminder_days,
        reminder_hour=settings.reminder_hour,
        mail_trust=mail_trust_from(settings),
    )
    _require_writable(desk)
    return desk


def _require_writable(desk: Desk) -> None:
    """Found out at start, not when somebody submits: whether a license can hold everything this desk offers."""
    catalogue = desk.catalogue
    terms = LicenseTerms(
        modules=tuple(each.code for each in catalogue.modules),
        model_types=tuple(each.code for each in catalogue.model_types),
        restrictions=tuple(each.code for each in catalogue.restrictions),
        max_agents=1,
        authorized_users=1,
        first_day=date(2027, 1, 1),
        last_day=date(2027, 12, 31),
        time_zone="UTC",
        kind=LicenseKind.STANDARD,
    )
    content = ApplicationContent(
        license_id="PROD-00000-00000-00000",
        company="Any company",
        request=LicenseRequest("any-tenant", EnvironmentName.PROD, "", RequestType.NEW, terms, (), "", ""),
        restrictions=tuple(StatedRestriction(each.code, each.text or each.name) for each in catalogue.restrictions),
        defaults=desk.defaults,
    )
    for each in content.restrictions:
        try:
            canonical(each.text)
        except LicenseRefused as error:
            raise LicenseUnwritable(f"No license can hold the text of the restriction {each.code!r}: {error}") from error
    try:
        require_writable(content, desk.issuer_name)
    except (LicenseRefused, ValueError) as error:
        raise LicenseUnwritable(f"No license can hold what the catalogue and the settings say: {error}") from error
