"""Why a file is refused: one class per code, each raised with a sentence that can be shown as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .checks import Check
    from .claims import Contact, LicenseClaims


class LicenseRefused(Exception):
    """A file that must not be used. `str(error)` tells an administrator what is wrong and what to do.

    `code` is stable and may be logged or looked up. `checks` lists what was checked until then. `contact` is the
    desk named in the file, present only when the signature was good: an unsigned address must not be shown. So are `claims`
    and `payload_sha256`, what a genuine file says that is refused nevertheless.
    """

    code: ClassVar[str] = "REFUSED"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.checks: tuple[Check, ...] = ()
        self.claims: LicenseClaims | None = None
        self.payload_sha256: str | None = None

    @property
    def contact(self) -> Contact | None:
        """Whom to ask about it."""
        return self.claims.contact if self.claims else None


class TooLarge(LicenseRefused):
    """Larger than any license file can be."""

    code = "TOO_LARGE"


class Damaged(LicenseRefused):
    """Not our container: cut off, changed by a mail program, or another kind of file."""

    code = "DAMAGED"


class WrongType(LicenseRefused):
    """A signed document of another kind."""

    code = "WRONG_TYPE"


class NeedsNewerPlatform(LicenseRefused):
    """A license format of the future; ignoring what it adds could ignore a limit."""

    code = "NEEDS_NEWER_PLATFORM"


class UntrustedRoot(LicenseRefused):
    """A trust root that came inside the file and does not follow from the one this platform holds."""

    code = "UNTRUSTED_ROOT"


class UntrustedRevocations(LicenseRefused):
    """A revocation list that is malformed or not signed by the revokers of the trust root."""

    code = "UNTRUSTED_REVOCATIONS"


class UnknownKey(LicenseRefused):
    """No signature by a key that may issue for this environment."""

    code = "UNKNOWN_KEY"


class KeyRetired(LicenseRefused):
    """Signed by a key that an earlier trust root listed and the current one does not."""

    code = "KEY_RETIRED"


class BadSignature(LicenseRefused):
    """The signature of a trusted key does not fit the content."""

    code = "BAD_SIGNATURE"


class MalformedLicense(LicenseRefused):
    """The signed content breaks the JSON profile or the table of members."""

    code = "MALFORMED"


class WrongTenant(LicenseRefused):
    """Issued to another customer."""

    code = "WRONG_TENANT"


class WrongEnvironment(LicenseRefused):
    """Issued for another environment."""

    code = "WRONG_ENVIRONMENT"


class WrongLicenseId(LicenseRefused):
    """Continues another license than the one of this installation."""

    code = "WRONG_LICENSE_ID"


class WrongInstallation(LicenseRefused):
    """Bound to other installations."""

    code = "WRONG_INSTALLATION"


class Revoked(LicenseRefused):
    """Called back by the issuer."""

    code = "REVOKED"


class SameVersionOtherContent(LicenseRefused):
    """A second file under a version that was already used: one of the two should not exist."""

    code = "SAME_VERSION_OTHER_CONTENT"


class OlderThanCurrent(LicenseRefused):
    """A version below the highest one ever activated or scheduled here."""

    code = "OLDER_THAN_CURRENT"


class Expired(LicenseRefused):
    """Ended, its grace period included."""

    code = "EXPIRED"


class TrustError(Exception):
    """A trust root or a chain of them that must not be relied on. `str(error)` says what to do."""

    code: ClassVar[str] = "TRUST"


class RootMalformed(TrustError):
    """Not a trust root, or one that breaks its own rules."""

    code = "ROOT_MALFORMED"


class RootNotPinned(TrustError):
    """The first trust root is not the one that was pinned at installation."""

    code = "ROOT_NOT_PINNED"


class RootNotSuccessor(TrustError):
    """A trust root that does not directly follow the one before it."""

    code = "ROOT_NOT_SUCCESSOR"


class RootUnderSigned(TrustError):
    """Too few good signatures of those who must sign a trust root."""

    code = "ROOT_UNDER_SIGNED"


class KeyUnusable(TrustError):
    """A public key that proves nothing or that this library cannot use."""

    code = "KEY_UNUSABLE"
