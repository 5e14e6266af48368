"""Claims to payload bytes and back. The reader is strict; the writer writes only what the reader takes."""

from __future__ import annotations

from hashlib import sha256
from string import ascii_letters, digits
from typing import Any, Final

from . import strict_json
from .claims import (
    Activation,
    BindingMode,
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
    is_license_id,
)
from .errors import MalformedLicense
from .fields import Members, instant_text, lower_hex, require_distinct, whole_number
from .wording import say

SCHEMA: Final = 1

#: Payload members that say who issued which file when, rather than what is licensed.
UNLICENSED_MEMBERS: Final = frozenset({"version", "supersedes", "issued_at", "issuer", "activation"})

_ZONE: Final = frozenset(ascii_letters + digits + "_+-/")


def encode_claims(claims: LicenseClaims) -> bytes:
    """The payload: canonical JSON, the same bytes for the same claims.

    Raises `MalformedLicense` for claims that `decode_claims` would refuse, `ValueError` for naive instants.
    """
    payload = strict_json.canonical(_members_of(claims))
    decode_claims(payload)
    return payload


def content_digest(claims: LicenseClaims) -> str:
    """SHA-256 (hexadecimal) of the canonical JSON of what is licensed: what an approval binds to.

    Leaves out `UNLICENSED_MEMBERS`, so it can be computed before a version is allotted.
    """
    licensed = {name: value for name, value in _members_of(claims).items() if name not in UNLICENSED_MEMBERS}
    return sha256(strict_json.canonical(licensed)).hexdigest()


def decode_claims(payload: bytes) -> LicenseClaims:
    """The claims in a payload whose signature was checked before. Raises `MalformedLicense`."""
    members = Members(strict_json.decode(payload))
    members.fixed("type", "license")
    members.fixed("schema", SCHEMA)
    claims = LicenseClaims(
        license_id=license_id_from(members),
        version=members.integer("version", least=1),
        supersedes=_supersedes(members),
        issuer=_issuer(members.object("issuer")),
        licensee=_licensee(members.object("licensee")),
        contact=_contact(members.object("contact")),
        environment=members.choice("environment", Environment),
        issued_at=members.instant("issued_at"),
        valid_from=members.instant("valid_from"),
        valid_until=members.instant("valid_until"),
        grace_until=members.instant("grace_until"),
        time_zone=_time_zone(members),
        on_expiry=members.choice("on_expiry", OnExpiry),
        kind=members.choice("kind", Kind),
        modules=_modules(members),
        model_types=members.codes("model_types", most=200),
        limits=_limits(members.object("limits")),
        restrictions=_restrictions(members),
        bindings=_bindings(members.object("bindings")),
        activation=_activation(members.object("activation")),
        ext=_ext(members),
    )
    members.end()
    _require_consistent(claims)
    return claims


def license_id_from(members: Members) -> str:
    """The member `license_id`, in its form."""
    text = members.text("license_id", longest=30)
    if not is_license_id(text):
        raise MalformedLicense(say("license_id does not have the form of a License ID."))
    return text


def _require_consistent(claims: LicenseClaims) -> None:
    if not claims.license_id.startswith(claims.environment + "-"):
        raise MalformedLicense(say("license_id and environment contradict each other."))
    if not claims.valid_from < claims.valid_until:
        raise MalformedLicense(say("valid_until must be later than valid_from."))
    if claims.grace_until < claims.valid_until:
        raise MalformedLicense(say("grace_until must not be before valid_until."))
    if claims.supersedes is not None and claims.supersedes.version >= claims.version:
        raise MalformedLicense(say("supersedes.version must be below version."))


def _supersedes(members: Members) -> Supersedes | None:
    value = members.take("supersedes")
    if value is None:
        return None
    nested = Members(value, "supersedes", members)
    supersedes = Supersedes(nested.integer("version", least=1), nested.digest("sha256"))
    nested.end()
    return supersedes


def _issuer(members: Members) -> Issuer:
    issuer = Issuer(
        name=members.text("name", longest=200),
        application_id=members.text("application_id", longest=100),
        application_sha256=members.digest("application_sha256"),
        approvals=members.integer("approvals", least=0, most=1_000),
        approvals_sha256=members.digest("approvals_sha256"),
    )
    members.end()
    return issuer


def _licensee(members: Members) -> Licensee:
    licensee = Licensee(members.text("tenant_id", longest=100), members.text("company", longest=200))
    members.end()
    return licensee


def _contact(members: Members) -> Contact:
    contact = Contact(
        name=members.text("name", longest=200),
        url=members.text("url", longest=500, least=0),
        mailbox=members.text("mailbox", longest=254, least=0),
        phone=members.text("phone", longest=50, least=0),
    )
    members.end()
    # Pages show this as a link, so no javascript: and no data: addresses.
    if contact.url and not contact.url.startswith(("https://", "http://")):
        raise MalformedLicense(say("contact.url is not a web address."))
    return contact


def _time_zone(members: Members) -> str:
    # Only the form: a platform without the newest zone data must still take the file.
    zone = members.text("time_zone", longest=64)
    if not _ZONE.issuperset(zone) or zone.startswith("/"):
        raise MalformedLicense(say("time_zone is not a name like Asia/Shanghai."))
    return zone


def _modules(members: Members) -> tuple[Module, ...]:
    modules: list[Module] = []
    for item in members.objects("modules", most=200):
        code = item.code("code")
        modules.append(Module(code, item.instant("until") if item.has("until") else None))
        item.end()
    require_distinct([module.code for module in modules], "modules")
    return tuple(modules)


def _limits(members: Members) -> dict[str, Limit]:
    limits = {name: _limit(members.object(name)) for name in ("agents", "users")}
    members.end()
    return limits


def _limit(members: Members) -> Limit:
    most = members.take("max")
    limit = Limit(
        max=None if most is None else whole_number(most, members.path("max"), 0, strict_json.MAX_INTEGER),
        count=members.choice("count", Count),
        over=members.choice("over", Over),
    )
    members.end()
    return limit


def _restrictions(members: Members) -> tuple[Restriction, ...]:
    restrictions: list[Restriction] = []
    for item in members.objects("restrictions", most=50):
        restrictions.append(Restriction(item.code("code"), item.text("text", longest=1_000)))
        item.end()
    require_distinct([restriction.code for restriction in restrictions], "restrictions")
    return tuple(restrictions)


def _bindings(members: Members) -> Bindings:
    bindings = Bindings(members.choice("mode", BindingMode), members.codes("values", most=50))
    members.end()
    if (bindings.mode is BindingMode.INSTALLATION) != bool(bindings.values):
        raise MalformedLicense(say("bindings.values must list installations exactly when bindings.mode is installation."))
    return bindings


def _activation(members: Members) -> Activation:
    activation = Activation(lower_hex(members.take("code"), "activation.code", 32))
    members.end()
    return activation


def _ext(members: Members) -> dict[str, str]:
    ext = members.take("ext")
    if not isinstance(ext, dict) or len(ext) > 32 or not all(isinstance(value, str) for value in ext.values()):
        raise MalformedLicense(say("ext must map at most 32 names to texts."))
    # Some parsers match names without regard to case. Everywhere else such a name is an unknown member.
    if len({name.casefold() for name in ext}) != len(ext):
        raise MalformedLicense(say("ext has two names that differ only in case."))
    return ext


def _members_of(claims: LicenseClaims) -> dict[str, Any]:
    return {
        "type": "license",
        "schema": SCHEMA,
        "license_id": claims.license_id,
        "version": claims.version,
        "supersedes": claims.supersedes and {"version": claims.supersedes.version, "sha256": claims.supersedes.sha256},
        "issuer": {
            "name": claims.issuer.name,
            "application_id": claims.issuer.application_id,
            "application_sha256": claims.issuer.application_sha256,
            "approvals": claims.issuer.approvals,
            "approvals_sha256": claims.issuer.approvals_sha256,
        },
        "licensee": {"tenant_id": claims.licensee.tenant_id, "company": claims.licensee.company},
        "contact": {
            "name": claims.contact.name,
            "url": claims.contact.url,
            "mailbox": claims.contact.mailbox,
            "phone": claims.contact.phone,
        },
        "environment": claims.environment,
        "issued_at": instant_text(claims.issued_at),
        "valid_from": instant_text(claims.valid_from),
        "valid_until": instant_text(claims.valid_until),
        "grace_until": instant_text(claims.grace_until),
        "time_zone": claims.time_zone,
        "on_expiry": claims.on_expiry,
        "kind": claims.kind,
        "modules": [
            {"code": module.code} | ({"until": instant_text(module.until)} if module.until else {}) for module in claims.modules
        ],
        "model_types": list(claims.model_types),
        "limits": {name: {"max": limit.max, "count": limit.count, "over": limit.over} for name, limit in claims.limits.items()},
        "restrictions": [{"code": each.code, "text": each.text} for each in claims.restrictions],
        "bindings": {"mode": claims.bindings.mode, "values": list(claims.bindings.values)},
        "activation": {"code": claims.activation.code},
        "ext": dict(claims.ext),
    }
