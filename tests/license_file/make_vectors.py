"""Writes the test vectors: `python -m tests.license_file.make_vectors`. The same bytes on every run.

`vectors/` holds every way a file can be good or bad, with `index.json` saying what each must lead to on which
platform. `docs/vectors/` holds the few that somebody needs who writes another verifier.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from workflow.license_file import (
    LICENSE_TYPE,
    RECEIPT_TYPE,
    BindingMode,
    Bindings,
    Environment,
    RevokedLicense,
    VersionFloor,
    encode_claims,
    keys_by_id,
    sign_document,
    signed_bytes,
)

from .example import CLAIMS, NOW, ROOT_CONTENT, lic, lrl, pin_of, receipt, role, signed_root, signer, trusted

HERE = Path(__file__).parent / "vectors"
PUBLISHED = Path(__file__).parents[2] / "docs" / "vectors"

#: Root 2 adds issuer B for PROD beside A; root 3 drops A.
WITH_B = replace(
    ROOT_CONTENT,
    version=2,
    keys={**ROOT_CONTENT.keys, **keys_by_id(trusted("issuer-b"))},
    issuers={**ROOT_CONTENT.issuers, Environment.PROD: role(1, "issuer-prod", "issuer-prod-spare", "issuer-b")},
)
WITHOUT_A = replace(
    WITH_B,
    version=3,
    keys={keyid: key for keyid, key in WITH_B.keys.items() if key.label != "issuer-prod"},
    issuers={**WITH_B.issuers, Environment.PROD: role(1, "issuer-prod-spare", "issuer-b")},
)
ROOT_2 = signed_root(WITH_B)
ROOT_3 = signed_root(WITHOUT_A)


@dataclass(frozen=True)
class Vector:
    """One file and what it must lead to: a state when it is accepted, a code when it is refused."""

    name: str
    raw: bytes
    expect: str
    why: str
    at: datetime = NOW
    platform: dict[str, Any] = field(default_factory=dict)
    roots: tuple[str, ...] = ("root-1.json",)


def payload_with(**changes: Any) -> bytes:
    """The example payload with raw members replaced, in whatever way the claims themselves would not allow."""
    members = json.loads(encode_claims(CLAIMS)) | changes
    return json.dumps({name: value for name, value in members.items() if value is not ...}, ensure_ascii=False).encode()


def signed(payload: bytes, *names: str, payload_type: str = LICENSE_TYPE) -> bytes:
    """Any payload under a good signature."""
    return sign_document(payload_type, payload, [signer(name) for name in names or ("issuer-prod",)])


def edited(change: Callable[[dict[str, Any]], object], raw: bytes | None = None) -> bytes:
    """The container of a file changed after signing."""
    members = json.loads(raw or lic())
    change(members)
    return json.dumps(members, indent=1).encode() + b"\n"


def replaced(old: str, new: str) -> bytes:
    """The example payload with one text replaced, under a good signature."""
    payload = encode_claims(CLAIMS)
    assert old.encode() in payload
    return signed(payload.replace(old.encode(), new.encode()))


def accepted() -> Iterator[Vector]:
    """Files that must be taken."""
    raw = lic()
    yield Vector("active", raw, "ACTIVE", "the example license")
    yield Vector("scheduled", raw, "SCHEDULED", "one second before valid_from", CLAIMS.valid_from - timedelta(seconds=1))
    yield Vector("first-second", raw, "ACTIVE", "valid_from itself", CLAIMS.valid_from)
    yield Vector("last-second", raw, "ACTIVE", "one second before valid_until", CLAIMS.valid_until - timedelta(seconds=1))
    yield Vector("grace", raw, "GRACE", "valid_until itself", CLAIMS.valid_until)
    yield Vector("crlf", raw.replace(b"\n", b"\r\n"), "ACTIVE", "a mail program changed the line ends")
    yield Vector("one-line", json.dumps(json.loads(raw)).encode(), "ACTIVE", "no line ends at all")
    url_safe = edited(lambda m: m.update(payload=m["payload"].replace("+", "-").replace("/", "_")))
    yield Vector("url-safe-base64", url_safe, "ACTIVE", "the other alphabet of base64")
    yield Vector(
        "payload-not-canonical", signed(payload_with()), "ACTIVE", "spaces in the payload: its bytes are signed as they are"
    )
    yield Vector(
        "two-signatures", signed(encode_claims(CLAIMS), "issuer-prod", "issuer-prod-spare"), "ACTIVE", "both issuer keys"
    )
    yield Vector(
        "stranger-beside",
        signed(encode_claims(CLAIMS), "issuer-prod", "stranger"),
        "ACTIVE",
        "an unknown key beside a good one",
    )
    yield Vector(
        "already-installed",
        raw,
        "ACTIVE",
        "the very file that is installed",
        platform={
            "installed": {
                "license_id": CLAIMS.license_id,
                "highest_version": 1,
                "digest": sha256(encode_claims(CLAIMS)).hexdigest(),
            }
        },
    )
    yield Vector(
        "bound-to-this",
        lic(bindings=Bindings(BindingMode.INSTALLATION, ("inst-1", "inst-2"))),
        "ACTIVE",
        "bound to this installation",
        platform={"installation_id": "inst-2"},
    )
    yield Vector(
        "brings-root-2", lic("issuer-b", roots=(ROOT_2,)), "ACTIVE", "signed by issuer B, whom the root inside introduces"
    )
    yield Vector(
        "brings-old-root",
        lic("issuer-b", roots=(ROOT_2, ROOT_3)),
        "ACTIVE",
        "roots the platform has already",
        roots=("root-1.json", "root-2.json", "root-3.json"),
    )
    yield Vector("brings-revocations", lic(revocations=lrl()), "ACTIVE", "an empty revocation list inside")


def damaged() -> Iterator[Vector]:
    """Files that are not an intact container."""
    raw = lic()
    yield Vector("too-large", raw + b" " * (131_073 - len(raw)), "TOO_LARGE", "131,073 bytes")
    cases: dict[str, tuple[bytes, str]] = {
        "empty": (b"", "nothing at all"),
        "cut-off": (raw[: len(raw) // 2], "the second half is missing"),
        "web-page": (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a sign-in page saved instead of the file"),
        "byte-order-mark": (b"\xef\xbb\xbf" + raw, "an editor added a byte order mark"),
        "utf-16": (raw.decode().encode("utf-16"), "an editor saved it as UTF-16"),
        "two-documents": (raw + raw, "two files in one"),
        "list": (b"[" + raw + b"]", "the root is a list"),
        "nested": (b"[" * 50_000, "deep nesting instead of a file"),
        "equals-sign": (raw.replace(b"=", b"=3D"), "quoted-printable, not decoded"),
        "line-break-in-base64": (raw.replace(b'"payload": "', b'"payload": "\\n'), "white space inside base64"),
        "no-payload": (edited(lambda m: m.pop("payload")), "payload is missing"),
        "no-payload-type": (edited(lambda m: m.pop("payloadType")), "payloadType is missing"),
        "no-signatures": (edited(lambda m: m.pop("signatures")), "signatures are missing"),
        "empty-signatures": (edited(lambda m: m.update(signatures=[])), "the signatures were stripped"),
        "nine-signatures": (
            edited(lambda m: m.update(signatures=[{"keyid": str(n), "sig": "AAAA"} for n in range(9)])),
            "more signatures than the format allows",
        ),
        "one-key-id-twice": (edited(lambda m: m["signatures"].append(m["signatures"][0])), "one signature doubled"),
        "signature-not-object": (edited(lambda m: m.update(signatures=[None])), "null instead of a signature"),
        "signature-extra-member": (edited(lambda m: m["signatures"][0].update(alg="none")), "an algorithm named in the file"),
        "unknown-part": (edited(lambda m: m.update(alg="none")), "a part the container does not have"),
        "part-twice": (raw.replace(b"{\n", b'{"payload": "",\n', 1), "payload appears twice"),
        "payload-number": (edited(lambda m: m.update(payload=1)), "payload is a number"),
        "payload-no-padding": (edited(lambda m: m.update(payload="YQ")), "base64 without padding"),
        "payload-stray-bits": (edited(lambda m: m.update(payload="YR==")), "base64 whose unused bits are not zero"),
        "payload-both-alphabets": (edited(lambda m: m.update(payload="+_8=")), "both base64 alphabets in one text"),
        "roots-not-list": (edited(lambda m: m.update(roots={})), "roots is not a list"),
    }
    for name, (data, why) in cases.items():
        yield Vector(f"damaged-{name}", data, "DAMAGED", why)


def untrusted() -> Iterator[Vector]:
    """Intact files that nobody trusted has signed as what they claim to be."""
    payload, raw = encode_claims(CLAIMS), lic()
    prod = signer("issuer-prod")
    yield Vector("type-trust-root", signed_root(), "WRONG_TYPE", "a trust root")
    yield Vector("type-revocations", lrl(), "WRONG_TYPE", "a revocation list")
    yield Vector("type-receipt", receipt(), "WRONG_TYPE", "an activation receipt")
    yield Vector(
        "type-foreign",
        signed(payload, payload_type="application/vnd.in-toto+json"),
        "WRONG_TYPE",
        "DSSE, but not of this family",
    )
    yield Vector(
        "type-version-2",
        signed(payload, payload_type=LICENSE_TYPE.replace("v1", "v2")),
        "NEEDS_NEWER_PLATFORM",
        "a format of the future",
    )
    yield Vector(
        "root-of-strangers",
        lic("issuer-b", roots=(signed_root(WITH_B, ("stranger", "stranger-2")),)),
        "UNTRUSTED_ROOT",
        "a root that the old root keys did not sign",
    )
    yield Vector(
        "root-one-signature",
        lic("issuer-b", roots=(signed_root(WITH_B, ("root-1",)),)),
        "UNTRUSTED_ROOT",
        "one root key where two are needed",
    )
    yield Vector("root-left-out", lic("issuer-b", roots=(ROOT_3,)), "UNTRUSTED_ROOT", "root 3 without root 2")
    yield Vector(
        "root-of-same-version",
        lic(roots=(signed_root(replace(ROOT_CONTENT, expires_at=ROOT_CONTENT.expires_at + timedelta(days=1))),)),
        "UNTRUSTED_ROOT",
        "another root with the platform's own version",
    )
    yield Vector("key-of-stranger", lic("stranger"), "UNKNOWN_KEY", "signed by nobody known")
    yield Vector("key-of-revoker", lic("revoker"), "UNKNOWN_KEY", "signed by a key with another role")
    yield Vector("key-of-uat-says-prod", lic("issuer-uat"), "UNKNOWN_KEY", "the UAT issuer cannot issue for PROD")
    yield Vector(
        "key-dropped", raw, "KEY_RETIRED", "root 3 dropped the key", roots=("root-1.json", "root-2.json", "root-3.json")
    )
    yield Vector(
        "key-dropped-inside", lic(roots=(ROOT_2, ROOT_3)), "KEY_RETIRED", "the file itself brings the root that drops its key"
    )
    bad = {
        "payload-changed": (
            edited(lambda m: m.update(payload=_b64(payload.replace(b'"max":500', b'"max":900')))),
            "900 users instead of 500",
        ),
        "signature-changed": (
            edited(lambda m: m["signatures"][0].update(sig=_b64(_flipped(prod.sign(signed_bytes(LICENSE_TYPE, payload)))))),
            "one bit of the signature",
        ),
        "signature-empty": (edited(lambda m: m["signatures"][0].update(sig="")), "no bytes in the signature"),
        "signature-zero": (edited(lambda m: m["signatures"][0].update(sig=_b64(bytes(64)))), "64 zero bytes"),
        "other-key-same-id": (
            edited(lambda m: m["signatures"][0].update(sig=_b64(signer("stranger").sign(signed_bytes(LICENSE_TYPE, payload))))),
            "a stranger's signature under a trusted id",
        ),
        "payload-signed-alone": (
            edited(lambda m: m["signatures"][0].update(sig=_b64(prod.sign(payload)))),
            "the payload without its type was signed",
        ),
        "type-confused": (
            edited(lambda m: m["signatures"][0].update(sig=_b64(prod.sign(signed_bytes(RECEIPT_TYPE, payload))))),
            "signed as a receipt, shown as a license",
        ),
        "second-signature-bad": (
            edited(
                lambda m: m["signatures"][1].update(sig=_b64(bytes(64))), signed(payload, "issuer-prod", "issuer-prod-spare")
            ),
            "a bad signature under a trusted id beside a good one",
        ),
    }
    for name, (data, why) in bad.items():
        yield Vector(f"bad-{name}", data, "BAD_SIGNATURE", why)


def malformed() -> Iterator[Vector]:
    """Well signed files whose content breaks the profile or the table of members."""
    text = encode_claims(CLAIMS).decode()
    limits = json.loads(text)["limits"]
    cases: dict[str, tuple[bytes, str]] = {
        "name-twice": (signed(text.replace('"version":1', '"version":1,"version":2').encode()), "one name twice"),
        "name-twice-escaped": (
            signed(text.replace('"version":1', '"version":1,"\\u0076ersion":2').encode()),
            "one name twice, once escaped",
        ),
        "name-case": (
            signed(text.replace('"version":1', '"version":1,"Version":2').encode()),
            "a second name that differs in case",
        ),
        "ext-name-case": (signed(payload_with(ext={"a": "1", "A": "2"})), "names in ext that differ in case"),
        "fraction": (replaced('"version":1', '"version":1.0'), "a fraction"),
        "exponent": (replaced('"version":1', '"version":1e0'), "an exponent"),
        "not-a-number": (replaced('"version":1', '"version":NaN'), "NaN"),
        "minus-zero": (replaced('"version":1', '"version":-0'), "minus zero"),
        "too-big-number": (replaced('"version":1', f'"version":{2**53}'), "2^53"),
        "huge-number": (replaced('"version":1', f'"version":{"9" * 5000}'), "5,000 digits"),
        "true-as-number": (replaced('"version":1', '"version":true'), "true instead of 1"),
        "deep": (signed(payload_with(ext=json.loads("[" * 8 + "]" * 8))), "nested deeper than 8 levels"),
        "bidi": (
            signed(payload_with(licensee={"tenant_id": "acme\u202e", "company": "A"})),
            "a character that reverses the text",
        ),
        "zero-width": (signed(payload_with(licensee={"tenant_id": "ac\u200bme", "company": "A"})), "an invisible character"),
        "control": (
            signed(payload_with(licensee={"tenant_id": "ac\\u0007me", "company": "A"}).replace(b"\\\\u", b"\\u")),
            "an escaped control character",
        ),
        "decomposed": (
            signed(payload_with(licensee={"tenant_id": "cafe\u0301", "company": "A"})),
            "not in normalization form C",
        ),
        "lone-surrogate": (signed(text.replace("acme", "\\ud800acme").encode()), "half of a surrogate pair"),
        "long-text": (signed(payload_with(ext={"a": "x" * 4097})), "a text of 4,097 characters"),
        "not-utf-8": (signed(text.encode().replace(b"acme", b"ac\xffme")), "bytes that are not UTF-8"),
        "payload-bom": (signed(b"\xef\xbb\xbf" + text.encode()), "a byte order mark in the payload"),
        "trailing": (signed(text.encode() + b"{}"), "two documents in the payload"),
        "payload-list": (signed(b"[]"), "the payload is a list"),
        "payload-empty": (signed(b""), "the payload is empty"),
        "unknown-member": (signed(payload_with(max_tokens=5)), "a limit this version does not know"),
        "unknown-nested-member": (
            signed(payload_with(limits=limits | {"tokens": limits["users"]})),
            "a limit this version does not know, nested",
        ),
        "missing-member": (signed(payload_with(limits=...)), "no limits"),
        "limit-missing": (signed(payload_with(limits={"agents": limits["agents"]})), "no limit for users"),
        "schema-2": (signed(payload_with(schema=2)), "another schema"),
        "other-type-inside": (signed(payload_with(type="receipt")), "the type inside is another one"),
        "negative-limit": (
            signed(payload_with(limits=limits | {"users": {"max": -1, "count": "named", "over": "warn"}})),
            "a negative limit",
        ),
        "unknown-count": (
            signed(payload_with(limits=limits | {"users": {"max": 1, "count": "monthly", "over": "warn"}})),
            "a way of counting this version does not know",
        ),
        "wildcard-model": (signed(payload_with(model_types=["*"])), "a wildcard"),
        "module-twice": (signed(payload_with(modules=[{"code": "a"}, {"code": "a"}])), "one module twice"),
        "module-null-until": (signed(payload_with(modules=[{"code": "a", "until": None}])), "null instead of an absent member"),
        "license-id-form": (signed(payload_with(license_id="PROD-7Q2MX-4TBK9-HZ0CI")), "a letter that License IDs do not use"),
        "license-id-environment": (
            signed(payload_with(license_id="UAT-7Q2MX-4TBK9-HZ0CE")),
            "a License ID of another environment",
        ),
        "unknown-environment": (signed(payload_with(environment="TEST")), "an environment that does not exist"),
        "version-zero": (signed(payload_with(version=0)), "versions start at 1"),
        "instant-no-zone": (signed(payload_with(valid_until="2027-03-31T16:00:00")), "an instant without Z"),
        "instant-offset": (signed(payload_with(valid_until="2027-04-01T00:00:00+08:00")), "an instant with an offset"),
        "instant-fraction": (signed(payload_with(valid_until="2027-03-31T16:00:00.0Z")), "an instant with a fraction"),
        "instant-space": (signed(payload_with(valid_until="2027-03-31 16:00:00Z")), "a space instead of T"),
        "instant-leap-second": (signed(payload_with(valid_until="2026-12-31T23:59:60Z")), "a leap second"),
        "ends-before-start": (signed(payload_with(valid_until="2026-10-31T16:00:00Z")), "valid_until equals valid_from"),
        "grace-before-end": (signed(payload_with(grace_until="2027-03-31T15:59:59Z")), "grace_until before valid_until"),
        "supersedes-itself": (
            signed(payload_with(supersedes={"version": 1, "sha256": "0" * 64})),
            "version 1 supersedes version 1",
        ),
        "contact-script": (
            signed(payload_with(contact={"name": "A", "url": "javascript:alert(1)", "mailbox": "", "phone": ""})),
            "a contact address that is a script",
        ),
        "bound-to-nothing": (signed(payload_with(bindings={"mode": "installation", "values": []})), "bound to no installation"),
        "ext-number": (signed(payload_with(ext={"a": 1})), "ext holds a number"),
        "upper-case-digest": (
            signed(payload_with(supersedes=None, issuer=json.loads(text)["issuer"] | {"approvals_sha256": "B2" * 32})),
            "a digest in upper case",
        ),
    }
    for name, (data, why) in cases.items():
        yield Vector(f"malformed-{name}", data, "MALFORMED", why)


def not_for_this_platform() -> Iterator[Vector]:
    """Genuine licenses that this platform must not use."""
    uat = lic("issuer-uat", environment=Environment.UAT, license_id="UAT-7Q2MX-4TBK9-HZ0CE")
    other_tenant = lic(licensee=replace(CLAIMS.licensee, tenant_id="globex"))
    has_2 = {"installed": {"license_id": CLAIMS.license_id, "highest_version": 2, "digest": "c3" * 32}}
    revoked = lrl(licenses=(RevokedLicense(CLAIMS.license_id, 1, "issued for the wrong number of users", NOW),))
    yield Vector("wrong-tenant", other_tenant, "WRONG_TENANT", "another customer's file")
    yield Vector("wrong-environment", uat, "WRONG_ENVIRONMENT", "the UAT file on PROD")
    yield Vector(
        "wrong-environment-inside",
        signed(payload_with(environment="UAT", license_id="UAT-7Q2MX-4TBK9-HZ0CE")),
        "UNKNOWN_KEY",
        "says UAT, signed for PROD",
    )
    yield Vector(
        "wrong-license-id",
        lic(license_id="PROD-00000-00000-00000"),
        "WRONG_LICENSE_ID",
        "another License ID",
        platform={"license_id": CLAIMS.license_id},
    )
    yield Vector(
        "wrong-installation",
        lic(bindings=Bindings(BindingMode.INSTALLATION, ("inst-1",))),
        "WRONG_INSTALLATION",
        "bound to another installation",
        platform={"installation_id": "inst-2"},
    )
    yield Vector("revoked", lic(revocations=revoked), "REVOKED", "the list inside revokes the file")
    yield Vector(
        "revoked-by-floor",
        lic(revocations=lrl(floors=(VersionFloor(CLAIMS.license_id, 2),))),
        "REVOKED",
        "below the lowest version that counts",
    )
    yield Vector(
        "revocations-of-stranger",
        lic(revocations=lrl(key="issuer-prod")),
        "UNTRUSTED_REVOCATIONS",
        "a list that no revoker signed",
    )
    yield Vector(
        "same-version", lic(version=2), "SAME_VERSION_OTHER_CONTENT", "version 2 once more, with other content", platform=has_2
    )
    yield Vector("older", lic(), "OLDER_THAN_CURRENT", "version 1 after version 2", platform=has_2)
    yield Vector("expired", lic(), "EXPIRED", "the end of the grace period", CLAIMS.grace_until)


def vectors() -> list[Vector]:
    """All of them."""
    return [*accepted(), *damaged(), *untrusted(), *malformed(), *not_for_this_platform()]


def files() -> dict[Path, bytes]:
    """Every file of both directories."""
    made = {HERE / f"{vector.name}.lic": vector.raw for vector in vectors()}
    roots = {"root-1.json": signed_root(), "root-2.json": ROOT_2, "root-3.json": ROOT_3, "pin.txt": pin_of().encode() + b"\n"}
    made |= {HERE / name: content for name, content in roots.items()}
    made[HERE / "index.json"] = _as_json([_entry(vector) for vector in vectors()])

    payload = encode_claims(CLAIMS)
    public_key = load_der_public_key(signer("issuer-prod").public_key)
    made |= {PUBLISHED / name: content for name, content in roots.items()}
    made |= {
        PUBLISHED / "payload.json": payload,
        PUBLISHED / "signed-bytes.bin": signed_bytes(LICENSE_TYPE, payload),
        PUBLISHED / "issuer-prod.pem": public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        PUBLISHED / "valid.lic": lic(),
        PUBLISHED / "tampered.lic": edited(lambda m: m.update(payload=_b64(payload.replace(b'"max":500', b'"max":900')))),
        PUBLISHED / "revocations.lrl": lrl(),
        PUBLISHED / "receipt.lrc": receipt(),
    }
    return made


def _entry(vector: Vector) -> dict[str, Any]:
    return {
        "file": f"{vector.name}.lic",
        "expect": vector.expect,
        "why": vector.why,
        "at": vector.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "roots": list(vector.roots),
        "platform": {"tenant_id": CLAIMS.licensee.tenant_id, "environment": "PROD"} | vector.platform,
    }


def _as_json(value: object) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


def _b64(data: bytes) -> str:
    return b64encode(data).decode()


def _flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def main() -> None:
    """Write the files and remove those that no vector makes any more."""
    made = files()
    for directory in (HERE, PUBLISHED):
        directory.mkdir(parents=True, exist_ok=True)
        for stray in set(directory.iterdir()) - made.keys():
            stray.unlink()
    for path, content in made.items():
        path.write_bytes(content)


if __name__ == "__main__":
    main()
