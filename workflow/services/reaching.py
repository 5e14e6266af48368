"""How a recipient can be reached at an instant, and why: asked by the pages before anything is sent, and by the delivery
itself, so that both say the same.
"""

from dataclasses import dataclass
from datetime import datetime

from workflow.certificates import CertificateRefused
from workflow.db.tables import Recipient
from workflow.domain.delivery import Channel, KeyKind, Trust
from workflow.openpgp_keys import OpenPGPKeyRefused, OpenPGPNotInstalled
from workflow.recipient_keys import MailTrust, ReadKey, read_key


@dataclass(frozen=True)
class Reach:
    """The way to a recipient. `why` is a sentence when there is a key on file that is not used. `ends_at` is the last second in
    which the key on file can be used."""

    channel: Channel
    key: ReadKey | None = None
    why: str = ""
    ends_at: datetime | None = None
    awaits_confirmation: bool = False

    @property
    def encrypted(self) -> bool:
        """Whether the mail itself has the file in it."""
        return self.key is not None


def reach_of(recipient: Recipient, at: datetime, trust: MailTrust) -> Reach:
    """The key on file when mail may be encrypted to it at `at` and somebody vouches for it; else the portal, with the reason.

    What has ended, was taken back or is distrusted since it was uploaded is passed over: the link is the safe way.
    """
    if recipient.key is None:
        return Reach(Channel.PORTAL)
    try:
        key = read_key(recipient.key.encode(), recipient.address, at, trust)
    except (CertificateRefused, OpenPGPKeyRefused, OpenPGPNotInstalled) as refused:
        return Reach(Channel.PORTAL, why=str(refused), ends_at=recipient.key_ends_at)
    if key.trust is not Trust.CA and recipient.confirmed_at is None:
        return Reach(Channel.PORTAL, why=_unconfirmed(key), ends_at=key.ends_at, awaits_confirmation=True)
    return Reach(key.channel, key, ends_at=key.ends_at)


def _unconfirmed(key: ReadKey) -> str:
    what = "the OpenPGP key" if key.kind is KeyKind.OPENPGP else "the certificate"
    return f"An operator has not confirmed the fingerprint of {what} yet."
