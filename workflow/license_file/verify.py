"""Verifying a `.lic` file: bytes in, `VerifiedLicense` out, or a refusal with a code and a sentence.

The steps are numbered as in docs/license-file.md, and nothing after a failed one is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import chain
from typing import Final

from . import envelope as container
from .checks import CheckList
from .claims import LICENSE_TYPE, BindingMode, Environment, LicenseClaims, last_usable_day
from .comparison import losses, over_limits
from .envelope import Envelope
from .errors import (
    BadSignature,
    Expired,
    KeyRetired,
    LicenseRefused,
    MalformedLicense,
    NeedsNewerPlatform,
    OlderThanCurrent,
    Revoked,
    SameVersionOtherContent,
    TrustError,
    UnknownKey,
    UntrustedRevocations,
    UntrustedRoot,
    WrongEnvironment,
    WrongInstallation,
    WrongLicenseId,
    WrongTenant,
    WrongType,
)
from .payload import decode_claims
from .revocations import RevocationList, newest_list, verify_revocations
from .trust import TrustRoot, newer_roots
from .verdict import Expected, Installed, LicenseWarning, State, VerifiedLicense, state_at
from .wording import joined, say, sentence_of

_LICENSE_FAMILY: Final = "application/vnd.serviceme.license.v"
_OUR_FAMILY: Final = "application/vnd.serviceme."
_CLOCK_TOLERANCE: Final = timedelta(hours=24)


def verify_license(raw: bytes, trust: TrustRoot, expected: Expected | None, at: datetime) -> VerifiedLicense:
    """Verify a file as of the effective instant `at` (aware; see `clock.effective_now`).

    Without `expected` only signature and content are judged: the issuer's own check. Raises `LicenseRefused`.
    """
    return _judged(container.decode, raw, trust, expected, at)


def verify_license_alone(raw: bytes, trust: TrustRoot, expected: Expected | None, at: datetime) -> VerifiedLicense:
    """The same for a file that was verified before: the roots and the revocation list inside were judged then, and are not
    looked at again. Raises `LicenseRefused`."""
    return _judged(lambda each: replace(container.decode(each), roots=(), revocations=None), raw, trust, expected, at)


def _judged(
    read: Callable[[bytes], Envelope], raw: bytes, trust: TrustRoot, expected: Expected | None, at: datetime
) -> VerifiedLicense:
    if at.tzinfo is None:
        raise ValueError("at must be an aware instant")
    checks = CheckList()
    try:
        checks.begin("container")  # 1
        return _verified(read(raw), trust, expected, at, checks)
    except LicenseRefused as refused:
        checks.end(refused)
        raise


def _verified(
    envelope: Envelope, trust: TrustRoot, expected: Expected | None, at: datetime, checks: CheckList
) -> VerifiedLicense:
    checks.begin("type")  # 2
    _require_license_type(envelope.payload_type)
    checks.begin("trust_roots")  # 3
    new_roots = _new_roots(trust, envelope)
    root = new_roots[-1] if new_roots else trust
    checks.passed("trust_roots", lambda: _about_root(root, came=bool(new_roots)))
    checks.begin("key")  # 4
    issued_for = _issuing_environment(root, envelope, expected)
    checks.begin("signature")  # 5
    keyids = _require_signed(root, envelope, issued_for, at)
    checks.passed("signature", lambda: say("Key %(name)s", name=", ".join(root.keys[keyid].label for keyid in keyids)))
    checks.begin("content")  # 6
    claims = _claims_from(envelope.payload)
    checks.begin("key")
    if claims.environment is not issued_for:
        raise UnknownKey(
            say(
                "This file says it is for %(said)s, but it was signed with a key for %(signed)s. "
                "Do not use it, and report it to the issuer.",
                said=claims.environment,
                signed=issued_for,
            )
        )
    checks.passed("key", lambda: say("An issuer key for %(environment)s", environment=issued_for))
    digest = sha256(envelope.payload).hexdigest()
    checks.claims, checks.payload_sha256 = claims, digest
    verification = _Verification(claims, digest, root, at, checks)
    if expected is None:
        for name in ("tenant", "environment", "license_id", "installation", "revocation", "version", "validity"):
            checks.skip(name, lambda: say("Only the signature and the content were asked about."))
    else:
        verification.require_meant_for(expected)  # 7 to 10
        verification.require_not_revoked(envelope, expected)  # 11
        verification.require_newer(expected)  # 12
        verification.require_not_ended()  # 13
        verification.warn(expected)
    if root.is_expired(at):
        verification.warned(
            LicenseWarning.ROOT_EXPIRED, say("The trust root is past its date"), say("Ask the issuer for a newer trust root.")
        )
    return VerifiedLicense(
        claims=claims,
        payload=envelope.payload,
        payload_sha256=verification.digest,
        keyids=keyids,
        state=state_at(claims, at),
        warnings=tuple(verification.warnings),
        check_list=checks,
        trust=root,
        already_installed=verification.already_installed,
        new_roots=new_roots,
        revocations=verification.revocations,
    )


def _about_root(root: TrustRoot, *, came: bool) -> str:
    if came:
        return say("Trust root version %(n)s came with the file", n=root.version)
    return say("Trust root version %(n)s", n=root.version)


def _require_license_type(payload_type: str) -> None:
    if payload_type == LICENSE_TYPE:
        return
    if payload_type.startswith(_LICENSE_FAMILY):
        raise NeedsNewerPlatform(
            say(
                "This license needs a newer platform. Update the platform first, or ask your business liaison for a "
                "license for this version."
            )
        )
    if payload_type.startswith(_OUR_FAMILY):
        kind = payload_type.removeprefix(_OUR_FAMILY).partition(".")[0].replace("-", " ")[:40]
        raise WrongType(
            say("This is a signed document of another kind (%(kind)s), not a license. Choose the .lic file.", kind=kind)
        )
    raise WrongType(say("This is a signed document, but not a license. Choose the .lic file."))


def _new_roots(trust: TrustRoot, envelope: Envelope) -> tuple[TrustRoot, ...]:
    try:
        return newer_roots(trust, envelope.roots)
    except TrustError as error:
        raise UntrustedRoot(
            say("The file brings a trust root that cannot be accepted. %(problem)s", problem=sentence_of(error))
        ) from None


def _issuing_environment(root: TrustRoot, envelope: Envelope, expected: Expected | None) -> Environment:
    """The environment whose issuer key the file names. The platform's own comes first; the others are tried solely to
    word the refusal that must follow."""
    named = [signature.keyid for signature in envelope.signatures]
    own = [Environment(expected.environment)] if expected else []
    for environment in chain(own, Environment):
        if not root.issuers[environment].keyids.isdisjoint(named):
            return environment
    if not root.former_keyids.isdisjoint(named):
        raise KeyRetired(
            say("This file was signed with a key that has been withdrawn. Ask your business liaison for a newly signed file.")
        )
    raise UnknownKey(
        say(
            "This file was not signed by an issuer this platform trusts. Ask your business liaison for a genuine file; "
            "if it came from them, this platform may need a newer trust root."
        )
    )


def _require_signed(root: TrustRoot, envelope: Envelope, issued_for: Environment, at: datetime) -> tuple[str, ...]:
    good = root.good_signatures(envelope)
    for signature in envelope.signatures:
        if signature.keyid in root.keys and signature.keyid not in good:
            raise BadSignature(
                say(
                    "The content does not fit its signature: the file was changed after it was signed, or damaged on its way. "
                    "Download it again, or ask for it to be sent again."
                )
            )
    issuers = root.issuers[issued_for]
    if not issuers.are_met_by(good, at):
        raise BadSignature(
            say(
                "The file lacks a signature that is required for %(environment)s; it may have been removed on its way. "
                "Ask for it to be sent again.",
                environment=issued_for,
            )
        )
    return tuple(sorted(good & issuers.keyids))


def _claims_from(payload: bytes) -> LicenseClaims:
    try:
        return decode_claims(payload)
    except MalformedLicense as refused:
        raise MalformedLicense(
            say(
                "The signature is good, but the content breaks the format: %(problem)s Report this to the issuer.",
                problem=sentence_of(refused),
            )
        ) from None


def _last_day(claims: LicenseClaims) -> str:
    return say("Last usable day %(day)s, %(zone)s", day=last_usable_day(claims), zone=claims.time_zone)


class _Verification:
    """Steps 7 to 13: a genuine license, asked whether it is meant for this platform and this day."""

    def __init__(self, claims: LicenseClaims, digest: str, trust: TrustRoot, at: datetime, checks: CheckList) -> None:
        self.claims = claims
        self.digest = digest
        self.trust = trust
        self.at = at
        self.checks = checks
        self.already_installed = False
        self.revocations: RevocationList | None = None
        self.warnings: list[LicenseWarning] = []

    def require_meant_for(self, expected: Expected) -> None:
        claims = self.claims
        self.checks.begin("tenant")  # 7
        if claims.licensee.tenant_id != expected.tenant_id:
            raise WrongTenant(
                say(
                    "This file was issued to %(company)s (%(tenant)s); this platform is %(own)s. "
                    "Ask your business liaison for the file of this platform.",
                    company=claims.licensee.company,
                    tenant=claims.licensee.tenant_id,
                    own=expected.tenant_id,
                )
            )
        self.checks.passed("tenant", lambda: f"{claims.licensee.company} ({claims.licensee.tenant_id})")
        self.checks.begin("environment")  # 8
        if claims.environment != expected.environment:
            raise WrongEnvironment(
                say(
                    "This file is for %(file)s; this platform is %(own)s. Ask your business liaison for the %(own)s file.",
                    file=claims.environment,
                    own=expected.environment,
                )
            )
        self.checks.passed("environment", lambda: claims.environment)
        self.checks.begin("license_id")  # 9
        wanted = expected.license_id or self.installed(expected).license_id
        if wanted is not None and claims.license_id != wanted:
            raise WrongLicenseId(
                say(
                    "This file is for License ID %(file)s; this platform has %(own)s. "
                    "Ask your business liaison for the file with this platform's License ID.",
                    file=claims.license_id,
                    own=wanted,
                )
            )
        if wanted is None:
            first = claims.license_id
            self.checks.passed("license_id", lambda: say("%(license_id)s, the first one here", license_id=first))
        else:
            self.checks.passed("license_id", lambda: claims.license_id)
        self.checks.begin("installation")  # 10
        bindings = claims.bindings
        if bindings.mode is BindingMode.INSTALLATION and expected.installation_id not in bindings.values:
            raise WrongInstallation(
                say(
                    "This file is bound to another installation. Send this platform's installation id (%(id)s) "
                    "to your business liaison and ask for a new file.",
                    id=expected.installation_id or say("not set yet"),
                )
            )

    def require_not_revoked(self, envelope: Envelope, expected: Expected) -> None:
        self.checks.begin("revocation")
        self.revocations = _list_that_counts(envelope, expected, self.trust, self.at)
        if self.revocations is None:
            self.checks.skip("revocation", lambda: say("This platform has no revocation list yet."))
            return
        reason = self.revocations.reason_against(self.claims.license_id, self.claims.version)
        if reason is not None:
            raise Revoked(
                say(
                    "Version %(n)s of this license was called back: %(reason)s. "
                    "Ask your business liaison for the version that replaces it.",
                    n=self.claims.version,
                    reason=reason,
                )
            )
        number = self.revocations.sequence
        self.checks.passed("revocation", lambda: say("Revocation list number %(n)s", n=number))

    def require_newer(self, expected: Expected) -> None:
        installed, version = self.installed(expected), self.claims.version
        self.checks.begin("version")
        if self.digest == installed.digest:
            self.already_installed = True
            self.checks.passed("version", lambda: say("Version %(n)s is already installed", n=version))
        elif installed.highest_version is None:
            self.checks.passed("version", lambda: say("Version %(n)s, the first one here", n=version))
        elif version == installed.highest_version:
            raise SameVersionOtherContent(
                say(
                    "Version %(n)s is installed here with another content. Two different files must never have one "
                    "version: do not use this one, and report it to the issuer.",
                    n=version,
                )
            )
        elif version < installed.highest_version:
            raise OlderThanCurrent(
                say(
                    "This is version %(n)s; version %(highest)s was already accepted here. Choose the newest file.",
                    n=version,
                    highest=installed.highest_version,
                )
            )
        else:
            before = installed.highest_version
            self.checks.passed("version", lambda: say("Version %(n)s follows version %(before)s", n=version, before=before))

    def require_not_ended(self) -> None:
        claims = self.claims  # not `self`, which holds the list: a circle would wait for the garbage collector
        self.checks.begin("validity")
        if self.already_installed:
            # The platform reads the license in force again after its end, to say so.
            self.checks.passed("validity", lambda: _last_day(claims))
        elif state_at(self.claims, self.at) is State.EXPIRED:
            raise Expired(
                say(
                    "This license has ended: its last usable day was %(day)s, %(zone)s. Ask your business liaison to renew it.",
                    day=last_usable_day(self.claims),
                    zone=self.claims.time_zone,
                )
            )
        else:
            self.checks.passed("validity", lambda: _last_day(claims))

    def warn(self, expected: Expected) -> None:
        claims = self.claims
        if over := over_limits(claims, expected.usage):
            self.warned(LicenseWarning.OVER_LIMIT, say("More is in use than the license allows"), joined(over))
        if expected.in_force is not None and (lost := losses(expected.in_force, claims, self.at)):
            told = joined(each.sentence for each in lost)
            self.warned(LicenseWarning.REMOVES_SOMETHING, say("It takes something away"), told)
        if expected.clock_suspect or claims.issued_at > self.at + _CLOCK_TOLERANCE:
            self.warned(
                LicenseWarning.CLOCK_SUSPECT,
                say("The clock of this machine may be wrong"),
                say("The file was issued at %(instant)s. Check the date of this machine.", instant=claims.issued_at),
            )
        if expected.known_modules is not None:
            unknown = [module.code for module in claims.modules if module.code not in expected.known_modules]
            if unknown:
                self.warned(
                    LicenseWarning.UNKNOWN_MODULE,
                    say("It grants a module that this platform does not have"),
                    say("%(modules)s: update the platform to use it.", modules=", ".join(unknown)),
                )
        if self.revocations is not None and self.revocations.is_stale(self.at):
            self.warned(
                LicenseWarning.REVOCATIONS_STALE,
                say("The revocation list is out of date"),
                say("Ask your business liaison for a new one."),
            )

    def warned(self, warning: LicenseWarning, title: str, detail: str) -> None:
        self.warnings.append(warning)
        self.checks.note(warning, title, detail)

    def installed(self, expected: Expected) -> Installed:
        if expected.history:
            return Installed.of(expected.history, self.trust, expected.environment, self.at)
        return expected.installed or Installed()


def _list_that_counts(envelope: Envelope, expected: Expected, trust: TrustRoot, at: datetime) -> RevocationList | None:
    held = expected.revocations
    if held is not None:
        try:
            held = verify_revocations(held.raw, trust, at)
        except UntrustedRevocations:
            held = None  # A newer root dropped its signer, and with it the list and its sequence.
    if envelope.revocations is None:
        return held
    offered = verify_revocations(envelope.revocations, trust, at)
    if held is not None and offered.sequence < held.sequence:
        return held  # An older file carries the list of its day.
    return newest_list(held, offered)
