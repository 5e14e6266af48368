"""Where the files of one machine's installation are. Imports nothing heavy: commands that only look ask here too."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Files:
    """The files of an installation, all below one directory."""

    data: Path

    @property
    def trust(self) -> Path:
        """Public trust roots and the pin."""
        return self.data / "trust"

    @property
    def keys(self) -> Path:
        """The private signing keys. Only the signing worker is told."""
        return self.data / "keys"

    @property
    def key_secret(self) -> Path:
        """Opens the signing keys. Only the signing worker is told."""
        return self.data / "secrets" / "issuer-keys"

    @property
    def auditor_keys(self) -> Path:
        """The auditors' keys and their secret. Only the witness is told."""
        return self.data / "auditor-keys"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of the history, outside of the database."""
        return self.data / "checkpoints"

    @property
    def demo_password(self) -> Path:
        """The password of every demo account."""
        return self.data / "secrets" / "demo-password"

    @property
    def mail(self) -> Path:
        """The mail authority's certificate, the signer's key, the recipients' certificates."""
        return self.data / "mail"

    @property
    def inbox(self) -> Path:
        """The mail that was caught."""
        return self.data / "inbox"

    @property
    def inbox_keys(self) -> Path:
        """The demo recipients' keys. Only the inbox is told."""
        return self.data / "inbox-keys"

    @property
    def maildir(self) -> Path:
        """Where a mail in doubt is looked up."""
        return self.inbox / "maildir"

    @property
    def console(self) -> Path:
        """Everything License Management has."""
        return self.data / "console"

    @property
    def database(self) -> Path:
        """The desk's database when it is SQLite."""
        return self.data / "desk.sqlite3"

    @property
    def clock(self) -> Path:
        """How far the demo's clock is ahead."""
        return self.data / "clock"

    @property
    def broker(self) -> Path:
        """What the embedded broker keeps."""
        return self.data / "broker"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.data / "log"

    @property
    def run(self) -> Path:
        """What is true only while it runs: the state file, the lock."""
        return self.data / "run"
