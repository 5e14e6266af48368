"""What a platform asks "may I?": `LicenseGate`, and the values it speaks in."""

from .license_file import LicenseClaims, Limit, OnExpiry, Over
from .license_gate import Answers, GateMisconfigured, LicenseGate, Platform, Rights, State

__all__ = [
    "Answers",
    "GateMisconfigured",
    "LicenseClaims",
    "LicenseGate",
    "Limit",
    "OnExpiry",
    "Over",
    "Platform",
    "Rights",
    "State",
]
