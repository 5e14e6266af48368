"""What checking a license file costs: beside a bare Ed25519 verification and other people's libraries, in one run."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from rich.table import Table
from securesystemslib.dsse import Envelope as DsseEnvelope
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # its public name, exported without __all__

from tests.license_file import example
from workflow.license_file import (
    LICENSE_TYPE,
    MAX_ENVELOPE,
    MAX_PAYLOAD,
    LicenseRefused,
    encode_claims,
    sign_document,
    signed_bytes,
    verify_license,
)
from workflow.license_file.envelope import decode
from workflow.license_file.strict_json import decode as decode_strictly

ROUNDS = 200
CALLS = 10
"""Calls of one thing in a round: things take turns, so that a busy machine slows all of them alike."""

HOSTILE_SIZE = 256 * 1024


@dataclass(frozen=True)
class Target:
    """What a figure is held against: at most so many times the bare verification."""

    name: str
    what: str
    at_most: float | None


TARGETS = (
    Target("raw", "one Ed25519 verification", None),
    Target("strict", "strict parse and verify", 1.3),
    Target("typed", "the same with typed claims and every check", 2.0),
    Target("pyjwt", "PyJWT, EdDSA", None),
    Target("securesystemslib", "securesystemslib, DSSE", None),
)
HOSTILE_MS = 150


def measured() -> dict[str, float]:
    """Microseconds of each way to check one file, and the milliseconds that the worst hostile input takes to be refused."""
    figures = {name: round(1e6 * seconds, 1) for name, seconds in _taking_turns(_checks()).items()}
    return figures | {"hostile_ms": round(_hostile_milliseconds(), 1)}


def table(figures: Mapping[str, float]) -> Table:
    """The figures beside what they should be."""
    made = Table(title="Checking a license file")
    made.add_column("")
    for name in ("µs", "of the bare verification", "at most"):
        made.add_column(name, justify="right")
    for each in TARGETS:
        ratio = figures[each.name] / figures["raw"]
        made.add_row(each.what, f"{figures[each.name]:.1f}", f"{ratio:.2f}", f"{each.at_most:g}" if each.at_most else "")
    made.add_row("the worst hostile 256 KiB", f"{figures['hostile_ms'] * 1000:,.0f}", "", f"{HOSTILE_MS * 1000:,} µs")
    return made


def hostile_inputs(size: int) -> dict[str, bytes]:
    """Bytes that are made to be expensive to refuse."""
    return {
        "brackets": b"[" * size,
        "quotes": b'"' * size,
        "escapes": b'\\"' * (size // 2),
        "objects": b'{"a":' * (size // 5),
        "digits": b"9" * size,
        "commas": b"[" + b"1," * (size // 2 - 2) + b"1]",
        "members": b"{" + b",".join(b'"%06d":0' % number for number in range((size - 2) // 11)) + b"}",
        "text": b'{"a":"' + "é".encode() * ((size - 8) // 2) + b'"}',
    }


def _checks() -> dict[str, Callable[[], object]]:
    raw, payload, signer = example.lic(), encode_claims(example.CLAIMS), example.signer("issuer-prod")
    envelope = decode(raw)
    key = load_der_public_key(signer.public_key)
    assert isinstance(key, Ed25519PublicKey)
    message, signature, trust = signed_bytes(LICENSE_TYPE, payload), envelope.signatures[0].sig, example.trust()
    token = jwt.encode(json.loads(payload), signer._private_key, algorithm="EdDSA")
    oracle = SSlibKey.from_crypto(key, signer.keyid)

    def strict() -> object:
        opened = decode(raw)
        assert trust.good_signatures(opened)
        return decode_strictly(opened.payload)

    return {
        "raw": lambda: key.verify(signature, message),
        "strict": strict,
        "typed": lambda: verify_license(raw, trust, example.PLATFORM, example.NOW),
        "pyjwt": lambda: jwt.decode(token, key, algorithms=["EdDSA"]),
        "securesystemslib": lambda: DsseEnvelope.from_dict(json.loads(raw)).verify([oracle], 1),
    }


def _taking_turns(checks: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of one call in the quickest round, of this thread's own time: what else the machine does only ever adds."""
    taken: dict[str, list[float]] = {name: [] for name in checks}
    for _ in range(ROUNDS):
        for name, check in checks.items():
            begin = time.thread_time()
            for _ in range(CALLS):
                check()
            taken[name].append((time.thread_time() - begin) / CALLS)
    return {name: min(each) for name, each in taken.items()}


def _hostile_milliseconds() -> float:
    """The decoder on 256 KiB, which no file may have; the largest file that is read; and content of the largest size that an
    issuer's key could have signed."""
    signer = example.signer("issuer-prod")
    files = [
        *hostile_inputs(MAX_ENVELOPE).values(),
        *(sign_document(LICENSE_TYPE, content, [signer]) for content in hostile_inputs(MAX_PAYLOAD).values()),
    ]
    tried: list[Callable[[], object]] = [
        *(partial(decode_strictly, raw) for raw in hostile_inputs(HOSTILE_SIZE).values()),
        *(partial(verify_license, raw, example.trust(), example.PLATFORM, example.NOW) for raw in files),
    ]
    return max(min(_refused_within(refused) for _ in range(3)) for refused in tried)


def _refused_within(refused: Callable[[], object]) -> float:
    begin = time.thread_time()
    with suppress(LicenseRefused):
        # The decoder takes text and many members as they are; the license they are not is refused further on.
        refused()
    return (time.thread_time() - begin) * 1000
