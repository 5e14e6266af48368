"""What this desk is set up to offer: the catalogue and the named defaults, read once at start and handed to services."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from workflow.domain.catalogue import Catalogue, CatalogueUnusable, catalogue_from
from workflow.domain.terms import NamedDefaults
from workflow.settings import Database

SHIPPED_CATALOGUE = Path(__file__).resolve().parent.parent / "catalogue.toml"


@dataclass(frozen=True)
class Desk:
    """The desk's own answers: what can be licensed, what every license says by default, when it reminds."""

    issuer_name: str
    catalogue: Catalogue
    defaults: NamedDefaults
    public_url: str
    reminder_days: tuple[int, ...]
    reminder_hour: int
    mail_authorities: tuple[bytes, ...] = ()


def desk_from(settings: Database) -> Desk:
    """Reads the catalogue and puts the defaults together. Raises CatalogueUnusable, naming the file."""
    path = settings.catalogue or SHIPPED_CATALOGUE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CatalogueUnusable(f"The catalogue {path} cannot be read: {error}.") from error
    return Desk(
        issuer_name=settings.issuer_name,
        catalogue=catalogue_from(document),
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
        mail_authorities=(settings.mail_ca.read_bytes(),) if settings.mail_ca else (),
    )
