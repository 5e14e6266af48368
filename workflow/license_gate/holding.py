"""From one reading of a feed to what is held: every document verified from the pin. Pure functions, no clock, no files."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..license_file import (
    LicenseClaims,
    LicenseRefused,
    RevocationList,
    Revoked,
    TrustChain,
    TrustError,
    TrustRoot,
    UntrustedRevocations,
    VerifiedLicense,
    newer_roots,
    newest_list,
    verify_revocations,
)
from .feeds import Published
from .platform import Platform, verify_installed
from .rights import State


@dataclass(frozen=True, slots=True)
class Held:
    """What a gate believes: the genuine licenses with their exact bytes, the state of what was refused, and why."""

    generation: int = 0
    genuine: tuple[tuple[VerifiedLicense, bytes], ...] = ()
    refused: tuple[State, ...] = ()
    trust: TrustRoot | None = field(default=None, repr=False)
    revocations: RevocationList | None = field(default=None, repr=False)
    seen: datetime | None = None
    problem: str | None = None
    remembered: tuple[bytes, ...] = field(default=(), repr=False)
    """the newest licenses that were genuine here, also after they were called back or taken away"""

    @property
    def claims(self) -> tuple[LicenseClaims, ...]:
        """What the genuine licenses say."""
        return tuple(verified.claims for verified, _ in self.genuine)

    @property
    def newest(self) -> LicenseClaims | None:
        """The genuine license with the highest version."""
        return max(self.claims, key=lambda claims: claims.version, default=None)

    @property
    def issued_at(self) -> datetime | None:
        """When the newest of the genuine licenses was issued: it cannot be earlier than that."""
        return max((claims.issued_at for claims in self.claims), default=None)


NOTHING_HELD = Held()


def hold(published: Published, platform: Platform, before: Held, at: datetime) -> Held:
    """What is held after a reading.

    Whoever can write the feed may bring back an earlier file, leave out the revocations or a newer root. So what was
    verified before still binds: an older license, or one with another License ID, is not taken while the held one is good.
    """
    if not published.licenses and not published.roots:
        return replace(before, generation=published.generation, genuine=(), refused=(), seen=published.seen, problem=None)
    try:
        trust = _newest_trust(published, platform, before)
    except TrustError as refused:
        problem = f"The published trust root is not to be trusted. {refused}"
        return replace(
            before, generation=published.generation, genuine=(), refused=(State.INVALID,), seen=published.seen, problem=problem
        )
    problems: list[str] = []
    revocations = _newest_revocations(published, trust, before, at, problems)
    found = _verified(published.licenses, trust, platform, revocations, at, problems)
    # Compared without the revocations: what was called back must not be followed by what it replaced.
    past = _verified(before.remembered, trust, platform, None, at, [])
    if why := _steps_back(found, past):
        problems.append(why)
        found = _verified(before.remembered, trust, platform, revocations, at, [])
    return Held(
        generation=published.generation,
        genuine=found.genuine,
        refused=found.refused,
        trust=trust,
        revocations=revocations,
        seen=published.seen,
        problem=" ".join(problems) or None,
        remembered=tuple(raw for _, raw in found.genuine) or before.remembered,
    )


def _newest_trust(published: Published, platform: Platform, before: Held) -> TrustRoot:
    trust = TrustChain.load(published.roots, platform.pin).current
    trust = (trust, *newer_roots(trust, published.newer_roots))[-1]
    return before.trust if before.trust is not None and before.trust.version > trust.version else trust


def _newest_revocations(
    published: Published, trust: TrustRoot, before: Held, at: datetime, problems: list[str]
) -> RevocationList | None:
    held: RevocationList | None = None
    for raw in (before.revocations.raw if before.revocations else None, published.revocations):
        if raw is None:
            continue
        try:
            held = newest_list(held, verify_revocations(raw, trust, at))
        except UntrustedRevocations as refused:
            # The one of before falls when a newer root drops its signer, and with it its sequence.
            if raw is published.revocations:
                problems.append(str(refused))
    return held


def _verified(
    raws: Iterable[bytes],
    trust: TrustRoot,
    platform: Platform,
    revocations: RevocationList | None,
    at: datetime,
    problems: list[str],
) -> Held:
    genuine: list[tuple[VerifiedLicense, bytes]] = []
    refusals: list[State] = []
    for raw in raws:
        try:
            genuine.append((verify_installed(raw, trust, platform, revocations, at), raw))
        except LicenseRefused as refused:
            refusals.append(State.REVOKED if isinstance(refused, Revoked) else State.INVALID)
            problems.append(f"{refused.code}: {refused}")
    return Held(genuine=tuple(genuine), refused=tuple(refusals))


def _steps_back(found: Held, past: Held) -> str | None:
    """Why the licenses that were found do not replace those that are held; None when they do."""
    offered, held = found.newest, past.newest
    if offered is None or held is None:
        return None
    if offered.license_id != held.license_id:
        return f"The published license is {offered.license_id}; {held.license_id} is in use. It is not taken over."
    if offered.version < held.version:
        return f"The published license is version {offered.version}; version {held.version} is in use. It is not taken over."
    if offered.version == held.version and offered != held:
        return f"There are two licenses with version {held.version}. The one in use stays; report this to the issuer."
    return None
