"""How each recipient will be reached, in words: on the customer's page, and while an application is written."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from workflow.db.tables import Recipient
from workflow.domain.delivery import KEY_NAMES, Channel, KeyKind, Trust
from workflow.recipient_keys import MailTrust, in_groups
from workflow.services.reaching import Reach, reach_of
from workflow.templating import day
from workflow.web.desk.shown.states import Badge

WARN_DAYS = 30


@dataclass(frozen=True)
class Reached:
    """A recipient, and the way to them right now."""

    row: Recipient
    reach: Reach
    now: datetime

    @property
    def name(self) -> str:
        """The recipient's name."""
        return self.row.name

    @property
    def address(self) -> str:
        """The recipient's address."""
        return self.row.address

    @property
    def kind(self) -> str:
        """ "Certificate" or "OpenPGP key"; empty without a key on file."""
        return KEY_NAMES[KeyKind(self.row.key_kind)] if self.row.key_kind else ""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the key on file, in groups that two people can compare."""
        return in_groups(self.row.fingerprint or "")

    @property
    def ends_soon(self) -> bool:
        """Whether a key that works now ends within 30 days."""
        return self.reach.encrypted and self.reach.ends_at is not None and self.reach.ends_at <= self.now + timedelta(WARN_DAYS)

    @property
    def believed(self) -> str:
        """Why the key counts."""
        if not self.reach.encrypted:
            return ""
        if self.row.trust == Trust.CA and self.row.confirmed_at is None:
            return "A trusted authority vouches for it"
        return f"Fingerprint confirmed on {day(self.row.confirmed_at.date())}" if self.row.confirmed_at else ""

    @property
    def badge(self) -> Badge:
        """The state of the key on file."""
        ends = self.reach.ends_at
        if not self.row.key_kind:
            return Badge("No key: gets a link to the portal", "", "link")
        if self.reach.awaits_confirmation:
            return Badge(f"{self.kind} waits for confirmation", "warn", "triangle-alert")
        if not self.reach.encrypted:
            gone = ends is not None and ends < self.now
            return Badge(f"{self.kind} has ended" if gone else f"{self.kind} can't be used", "bad", "shield-x")
        if ends is None:
            return Badge(f"{self.kind} without an end", "ok", "shield-check")
        if self.ends_soon:
            left = (ends - self.now).days
            return Badge(f"{self.kind} ends in {left} {'day' if left == 1 else 'days'}", "warn", "triangle-alert")
        return Badge(f"{self.kind} valid to {day(ends.date())}", "ok", "shield-check")

    @property
    def words(self) -> str:
        """The way in a few words, for the choice of recipients."""
        match self.reach.channel:
            case Channel.SMIME | Channel.OPENPGP:
                name = "S/MIME" if self.reach.channel is Channel.SMIME else "OpenPGP"
                until = f", key valid to {day(self.reach.ends_at.date())}" if self.reach.ends_at else ""
                return f"encrypted mail ({name}{until})"
            case _:
                why = self.reach.why or "No certificate or OpenPGP key is on file."
                return f"link to the portal. {why}"


def reached(recipients: Iterable[Recipient], now: datetime, trust: MailTrust) -> list[Reached]:
    """Each of these recipients with the way to them at `now`."""
    return [Reached(each, reach_of(each, now, trust), now) for each in recipients]
