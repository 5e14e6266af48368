"""From what was approved to what is signed: the one place that turns an application's content into license claims.

Every licensed member comes from the content (an answer of the liaison or a named default); a test compares the two lists.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from workflow.domain.content import ApplicationContent
from workflow.domain.terms import MAX_COUNT, refused, start_of_day
from workflow.errors import Problem
from workflow.license_file import (
    MAX_PAYLOAD_TO_SIGN,
    Activation,
    Bindings,
    Contact,
    Count,
    Environment,
    Issuer,
    Kind,
    LicenseClaims,
    Licensee,
    Limit,
    Module,
    OnExpiry,
    Over,
    Restriction,
    Supersedes,
    content_digest,
    encode_claims,
)

LONGEST_ISSUER_NAME = 80
"""In bytes: the room that is kept for it in the 4,000 of a payload."""


@dataclass(frozen=True)
class Seal:
    """The members that are not content: they are fixed in the transaction that issues."""

    version: int
    supersedes: Supersedes | None
    issuer: Issuer
    issued_at: datetime
    activation_code: str


def claims_for(content: ApplicationContent, seal: Seal) -> LicenseClaims:
    """The claims of the file that `content` asks for, sealed with `seal`."""
    terms, defaults = content.terms, content.defaults
    over = Over(defaults.over_limit)
    return LicenseClaims(
        license_id=content.license_id,
        version=seal.version,
        supersedes=seal.supersedes,
        issuer=seal.issuer,
        licensee=Licensee(tenant_id=content.request.tenant_id, company=content.company),
        contact=Contact(
            name=defaults.contact_name,
            url=defaults.contact_url,
            mailbox=defaults.contact_mailbox,
            phone=defaults.contact_phone,
        ),
        environment=Environment(content.request.environment.value),
        issued_at=seal.issued_at.replace(microsecond=0),
        valid_from=terms.valid_from,
        valid_until=terms.valid_until,
        grace_until=start_of_day(terms.last_day + timedelta(days=1 + defaults.grace_days), terms.time_zone),
        time_zone=terms.time_zone,
        on_expiry=OnExpiry(defaults.on_expiry),
        kind=Kind(terms.kind.value),
        modules=tuple(Module(code) for code in terms.modules),
        model_types=terms.model_types,
        limits={
            "agents": Limit(terms.max_agents, Count(defaults.count_agents), over),
            "users": Limit(terms.authorized_users, Count(defaults.count_users), over),
        },
        restrictions=tuple(Restriction(each.code, each.text) for each in content.restrictions),
        bindings=Bindings(),
        activation=Activation(seal.activation_code),
        ext={},
    )


def digest_of(content: ApplicationContent) -> str:
    """SHA-256 (hex) of the licensed content: what an approval binds to, and what the signer compares."""
    return content_digest(claims_for(content, _largest_seal(content)))


def require_writable(content: ApplicationContent, issuer_name: str) -> None:
    """Raises MalformedLicense or ValueError when no license can say what `content` says or name this issuer."""
    if len(issuer_name.encode()) > LONGEST_ISSUER_NAME:
        raise ValueError(f"the issuer's name has more than {LONGEST_ISSUER_NAME} bytes")
    seal = _largest_seal(content)
    encode_claims(claims_for(content, replace(seal, issuer=replace(seal.issuer, name=issuer_name))))


def require_fits(content: ApplicationContent) -> None:
    """Raises TermsRefused when the file these terms make would be too large to sign."""
    size = len(encode_claims(claims_for(content, _largest_seal(content))))
    if size > MAX_PAYLOAD_TO_SIGN:
        message = (
            f"The license file would hold {size:,} bytes and can hold {MAX_PAYLOAD_TO_SIGN:,}. "
            "Choose fewer modules, model types or restrictions."
        )
        raise refused([Problem("modules", "file_too_large", message)])


def _largest_seal(content: ApplicationContent) -> Seal:
    """A seal as long as a real one can get; the digest leaves its members out, and the size is that of the longest."""
    digest = "0" * 64
    return Seal(
        version=MAX_COUNT,
        supersedes=Supersedes(MAX_COUNT - 1, digest),
        issuer=Issuer("#" * LONGEST_ISSUER_NAME, "0" * 36, digest, 1_000, digest),
        issued_at=content.terms.valid_from,
        activation_code="0" * 32,
    )
