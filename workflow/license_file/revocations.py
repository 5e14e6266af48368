"""The revocation list: licenses that were called back, and the lowest version of each License ID that still counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final

from . import envelope as container
from . import strict_json
from .errors import LicenseRefused, MalformedLicense, UntrustedRevocations
from .fields import Members, instant_text
from .payload import license_id_from
from .trust import TrustRoot
from .wording import say, sentence_of

REVOCATIONS_TYPE: Final = "application/vnd.serviceme.revocations.v1+json"
SCHEMA: Final = 1
_MOST_ENTRIES: Final = 1_000


@dataclass(frozen=True, slots=True)
class RevokedLicense:
    """One version of a license that must no longer be used, with the reason in words."""

    license_id: str
    version: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class VersionFloor:
    """Versions of a License ID below `min_version` no longer count."""

    license_id: str
    min_version: int


@dataclass(frozen=True, slots=True)
class RevocationContent:
    """The members of a revocation list. `sequence` rises with every list; past `next_update` the list is stale."""

    sequence: int
    issued_at: datetime
    next_update: datetime
    licenses: tuple[RevokedLicense, ...] = ()
    floors: tuple[VersionFloor, ...] = ()


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A revocation list whose signatures were checked. `raw` is the signed document (a `.lrl` file)."""

    content: RevocationContent
    raw: bytes = field(repr=False)
    payload_sha256: str

    @property
    def sequence(self) -> int:
        """The number of the list."""
        return self.content.sequence

    def is_stale(self, at: datetime) -> bool:
        """Past `next_update`: shown, punishes nothing."""
        return at >= self.content.next_update

    def reason_against(self, license_id: str, version: int) -> str | None:
        """Why this version must not be used, in words without a full stop; None if the list does not name it."""
        for revoked in self.content.licenses:
            if (revoked.license_id, revoked.version) == (license_id, version):
                return revoked.reason.rstrip(".。")
        for floor in self.content.floors:
            if floor.license_id == license_id and version < floor.min_version:
                return say("versions below %(n)s no longer count", n=floor.min_version)
        return None


def encode_revocations(content: RevocationContent) -> bytes:
    """The payload of a list, ready for `sign_document(REVOCATIONS_TYPE, ...)`. Raises `MalformedLicense`."""
    payload = strict_json.canonical(
        {
            "type": "revocations",
            "schema": SCHEMA,
            "sequence": content.sequence,
            "issued_at": instant_text(content.issued_at),
            "next_update": instant_text(content.next_update),
            "licenses": [
                {
                    "license_id": each.license_id,
                    "version": each.version,
                    "reason": each.reason,
                    "at": instant_text(each.at),
                }
                for each in content.licenses
            ],
            "floors": [{"license_id": each.license_id, "min_version": each.min_version} for each in content.floors],
        }
    )
    decode_revocations(payload)
    return payload


def decode_revocations(payload: bytes) -> RevocationContent:
    """The members of a list whose signature was checked before. Raises `MalformedLicense`."""
    members = Members(strict_json.decode(payload))
    members.fixed("type", "revocations")
    members.fixed("schema", SCHEMA)
    content = RevocationContent(
        sequence=members.integer("sequence", least=1),
        issued_at=members.instant("issued_at"),
        next_update=members.instant("next_update"),
        licenses=tuple(_revoked(nested) for nested in members.objects("licenses", most=_MOST_ENTRIES)),
        floors=tuple(_floor(nested) for nested in members.objects("floors", most=_MOST_ENTRIES)),
    )
    members.end()
    if content.next_update <= content.issued_at:
        raise MalformedLicense(say("next_update must be later than issued_at."))
    return content


def verify_revocations(raw: bytes, trust: TrustRoot, at: datetime) -> RevocationList:
    """The list in a `.lrl` file, if the revokers of `trust` signed it. Raises `UntrustedRevocations`.

    A platform verifies the list it holds again under each new trust root and drops it, sequence included, when that
    fails: a stolen revoker key that signed sequence 2^53-1 must not keep later lists out for ever.
    """
    try:
        envelope = container.decode(raw)
        if envelope.payload_type != REVOCATIONS_TYPE:
            raise UntrustedRevocations(say("This is not a revocation list that this platform can read."))
        if not trust.revokers.are_met_by(trust.good_signatures(envelope), at):
            raise UntrustedRevocations(
                say("The revocation list is not signed by the revokers of the trust root. Ask for a newly signed one.")
            )
        content = decode_revocations(envelope.payload)
    except UntrustedRevocations:
        raise
    except LicenseRefused as refused:
        raise UntrustedRevocations(
            say("The revocation list cannot be used. %(problem)s", problem=sentence_of(refused))
        ) from None
    return RevocationList(content, raw, sha256(envelope.payload).hexdigest())


def newest_list(held: RevocationList | None, offered: RevocationList) -> RevocationList:
    """Which of two verified lists counts.

    Raises `UntrustedRevocations` for an offered list with a lower sequence, and for one with the same sequence and
    another content: then somebody signed two lists under one number.
    """
    if held is None or offered.sequence > held.sequence:
        return offered
    if offered.payload_sha256 == held.payload_sha256:
        return held
    if offered.sequence == held.sequence:
        raise UntrustedRevocations(say("There is another revocation list with number %(n)s. Call the issuer.", n=held.sequence))
    raise UntrustedRevocations(
        say(
            "The revocation list has number %(n)s, older than number %(held)s that is in use.",
            n=offered.sequence,
            held=held.sequence,
        )
    )


def _revoked(members: Members) -> RevokedLicense:
    revoked = RevokedLicense(
        license_id=license_id_from(members),
        version=members.integer("version", least=1),
        reason=members.text("reason", longest=200),
        at=members.instant("at"),
    )
    members.end()
    return revoked


def _floor(members: Members) -> VersionFloor:
    floor = VersionFloor(license_id_from(members), members.integer("min_version", least=1))
    members.end()
    return floor
