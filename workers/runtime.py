"""What a worker process holds: its settings, its database, its way out for mail. Made on first use, after the fork."""

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from sqlalchemy import Engine

from workers.claims import Claimant
from workflow.database import create_engine
from workflow.domain.bounces import Tags
from workflow.mail.archives import check_archive
from workflow.mail.encryption import MailSigner
from workflow.mail.openpgp import OpenPGPSigner
from workflow.mail.return_paths import tags_for
from workflow.mail.transport import MailTransport
from workflow.services.desk import Desk, desk_from
from workflow.settings import WorkerSettings, load, opened_with
from workflow.times import wall_now


@dataclass(frozen=True)
class Runtime:
    """One general worker process."""

    settings: WorkerSettings
    engine: Engine
    desk: Desk
    transport: MailTransport
    signer: MailSigner | None
    owner: str
    openpgp: OpenPGPSigner | None = None
    tags: Tags | None = None

    @property
    def claimant(self) -> Claimant:
        """As whom this process claims jobs."""
        return Claimant(self.engine, self.owner, timedelta(seconds=self.settings.lease_seconds), self.settings.max_attempts)


@cache
def runtime() -> Runtime:
    """This process's runtime; the settings come from the environment."""
    settings = load(WorkerSettings)
    if settings.mail_archive is not None:
        check_archive(settings.mail_archive)
    signer, openpgp = None, None
    if settings.mail_signer_certificate is not None and settings.mail_signer_key is not None:
        signer = MailSigner.load(
            settings.mail_signer_certificate,
            settings.mail_signer_key,
            opened_with(settings.mail_signer_password),
            address=settings.mail_sender,
            at=wall_now(),
        )
    if settings.mail_openpgp_key is not None:
        openpgp = OpenPGPSigner.load(
            settings.mail_openpgp_key,
            opened_with(settings.mail_openpgp_password),
            address=settings.mail_sender,
            at=wall_now(),
        )
    return Runtime(
        settings=settings,
        engine=create_engine(settings.database_url, pool_size=2, ping=False),
        desk=desk_from(settings),
        transport=MailTransport(settings),
        signer=signer,
        owner=owner_name("general"),
        openpgp=openpgp,
        tags=tags_for(settings.bounce_address, settings.bounce_key),
    )


def owner_name(kind: str) -> str:
    """The fence that this process's claims carry: host, process and start, so that no later process has the same one."""
    return f"{kind}@{socket.gethostname()[:30]}:{os.getpid()}:{datetime.now(UTC):%H%M%S%f}"
