"""What a platform's processes ask "may I?": `LicenseGate`.

Uses the standard library and `license_file` only, so that a platform can install the two alone (packages/license-gate).
What it answers in each state is in docs/platform.md.
"""

from .answers import Answers
from .feeds import CURRENT_FILE, GENERATION_FILE, NEXT_FILE, REVOCATIONS_FILE, SEEN_FILE, TRUST_DIRECTORY
from .gate import LicenseGate
from .platform import GateMisconfigured, Platform, verify_installed
from .rights import EXPIRING, Rights, State, rights_in, state_at

__all__ = [
    "CURRENT_FILE",
    "EXPIRING",
    "GENERATION_FILE",
    "NEXT_FILE",
    "REVOCATIONS_FILE",
    "SEEN_FILE",
    "TRUST_DIRECTORY",
    "Answers",
    "GateMisconfigured",
    "LicenseGate",
    "Platform",
    "Rights",
    "State",
    "rights_in",
    "state_at",
    "verify_installed",
]
