"""Whose licenses count on this platform: the pin, the tenant, the environment; and the check of an installed license."""

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from ..license_file import Environment, Expected, Installed, RevocationList, TrustRoot, VerifiedLicense, verify_license_alone
from ..license_file import envelope as container


class GateMisconfigured(Exception):
    """The gate was told something that cannot be right; the sentence says what to change. Never raised for a console or a
    feed that is away."""


@dataclass(frozen=True, slots=True)
class Platform:
    """The facts that `licdesk console init` fixed. `pin` is the SHA-256 of trust root version 1; keep it where the
    platform cannot write."""

    pin: str
    tenant_id: str
    environment: str
    installation_id: str | None = None

    def __post_init__(self) -> None:
        if len(self.pin) != 64 or not set(self.pin) <= set("0123456789abcdef"):
            raise GateMisconfigured("The pin is the SHA-256 of the first trust root: 64 lowercase hexadecimal digits.")
        if self.environment not in Environment.__members__:
            raise GateMisconfigured(f"The environment is DEV, UAT or PROD, not {self.environment!r}.")
        if not self.tenant_id:
            raise GateMisconfigured("The tenant ID is missing.")

    @staticmethod
    def read(path: Path) -> "Platform":
        """From the console's `identity.json`, or a file like it. Raises OSError or GateMisconfigured."""
        raw = path.read_bytes()
        try:
            facts = json.loads(raw)
            return Platform(facts["pin"], facts["tenant_id"], facts["environment"], facts.get("installation_id"))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise GateMisconfigured(f"{path} is not the file identity.json of a console.") from error


def verify_installed(
    raw: bytes, trust: TrustRoot, platform: Platform, revocations: RevocationList | None, at: datetime
) -> VerifiedLicense:
    """Checks a license that was installed before: genuine, still trusted, for this platform, not called back; it may have
    ended. What came inside the file (roots, a revocation list) was judged when it was installed and is not looked at again.

    Raises LicenseRefused.
    """
    # Naming the file itself as the installed one ends the checks before the dates: an expired license is not invalid.
    known = Installed(digest=sha256(container.decode(raw).payload).hexdigest())
    expected = Expected(
        tenant_id=platform.tenant_id,
        environment=platform.environment,
        installation_id=platform.installation_id,
        installed=known,
        revocations=revocations,
    )
    return verify_license_alone(raw, trust, expected, at)
