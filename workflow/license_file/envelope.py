"""The container: a DSSE v1.0.2 envelope around bytes that are signed exactly as they are.

Nothing in here decides whether to trust a file; `decode` only takes it apart.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final

from . import strict_json
from .errors import Damaged, MalformedLicense, TooLarge
from .wording import Fact, Sentence, say, sentence_of

#: Largest file that is read, in bytes.
MAX_ENVELOPE: Final = 131_072
#: Largest payload of a license that is signed, in bytes: a key management service signs raw messages up to 4 KiB.
MAX_PAYLOAD_TO_SIGN: Final = 4_000
#: Largest payload that is read, in bytes.
MAX_PAYLOAD: Final = 65_536
MAX_SIGNATURES: Final = 8

_LONGEST_STRING: Final = 4 * ((MAX_PAYLOAD + 2) // 3)
_REQUIRED: Final = frozenset({"payloadType", "payload", "signatures"})
_ALLOWED: Final = _REQUIRED | {"roots", "revocations"}
_OF_SIGNATURE: Final = frozenset({"keyid", "sig"})
_FROM_URL_SAFE: Final = str.maketrans("-_", "+/")
#: What `encode` writes around one signature.
_AS_WRITTEN: Final = (
    b'{\n "payloadType": "%b",\n "payload": "%b",\n "signatures": [\n  {\n   "keyid": "%b",\n   "sig": "%b"\n  }\n ]\n}\n'
)
_QUOTES_AS_WRITTEN: Final = _AS_WRITTEN.count(b'"')
_ASK_AGAIN: Final = say("Download it again, or ask for it to be sent again.")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and the id of the key that is said to have made it."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed document taken apart. `roots` and `revocations` are complete envelopes of their own, as bytes."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]
    roots: tuple[bytes, ...] = ()
    revocations: bytes | None = None


def signed_bytes(payload_type: str, payload: bytes) -> bytes:
    """What the signatures cover: DSSE's pre-authentication encoding of the type and the exact payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def encode(envelope: Envelope) -> bytes:
    """The file: one JSON object in ASCII, indented by one space, LF line ends, LF at the end.

    Raises `TooLarge` if no reader would take it.
    """
    raw = json.dumps(_members_of(envelope), indent=1).encode("ascii") + b"\n"
    if len(raw) > MAX_ENVELOPE:
        raise TooLarge(
            say("The file would have %(size)s bytes; readers take %(most)s at most.", size=len(raw), most=MAX_ENVELOPE)
        )
    return raw


def decode(raw: bytes, *, limit: int = MAX_ENVELOPE) -> Envelope:
    """Take a file of at most `limit` bytes apart.

    Raises `TooLarge`, or `Damaged` with a sentence that says what is missing or what the file is instead.
    """
    if len(raw) > limit:
        raise TooLarge(
            say(
                "The file has more than %(most)s bytes, the most that is read. Choose the file as it was delivered.",
                most=limit,
            )
        )
    if (usual := as_written(raw)) is not None:
        return usual
    try:
        members = strict_json.decode(raw, longest_string=_LONGEST_STRING)
    except MalformedLicense as error:
        raise Damaged(_what_is_wrong(raw, sentence_of(error))) from None
    return _envelope_from(members, nested=False)


def as_written(raw: bytes) -> Envelope | None:
    """The envelope of a file spelled as `encode` spells it, with one signature and no document inside.

    That is nearly every file, and this takes half the time of the general reader, which says the same. None for any other
    spelling and whenever something is wrong: finding words for it is left to the general reader.
    """
    texts = raw.split(b'"', _QUOTES_AS_WRITTEN)
    if len(texts) != _QUOTES_AS_WRITTEN + 1 or len(raw) > _LONGEST_STRING or b"\\" in raw or not raw.isascii():
        return None
    kind, payload, keyid, sig = texts[3], texts[7], texts[13], texts[17]
    if raw != _AS_WRITTEN % (kind, payload, keyid, sig):
        return None
    payload_type, key, content, signature = kind.decode(), keyid.decode(), _plain_base64(payload), _plain_base64(sig)
    if content is None or signature is None or not payload_type.isprintable() or not key.isprintable():
        return None
    return Envelope(payload_type, content, (Signature(key, signature),))


def _members_of(envelope: Envelope) -> dict[str, Any]:
    members: dict[str, Any] = {
        "payloadType": envelope.payload_type,
        "payload": b64encode(envelope.payload).decode("ascii"),
        "signatures": [{"keyid": each.keyid, "sig": b64encode(each.sig).decode("ascii")} for each in envelope.signatures],
    }
    if envelope.roots:
        members["roots"] = [_members_of(decode(root)) for root in envelope.roots]
    if envelope.revocations is not None:
        members["revocations"] = _members_of(decode(envelope.revocations))
    return members


def _envelope_from(members: object, *, nested: bool) -> Envelope:
    if not isinstance(members, dict):
        raise _damaged("A document inside the file is not an object. %(what_to_do)s")
    if members.keys() != _REQUIRED:
        _require_parts(members, _REQUIRED if nested else _ALLOWED)
    payload_type = members["payloadType"]
    if not isinstance(payload_type, str):
        raise _damaged("The part 'payloadType' of the file is not text. %(what_to_do)s")
    payload = _from_base64(members["payload"], "payload")
    if len(payload) > MAX_PAYLOAD:
        raise TooLarge(
            say("The signed content has %(size)s bytes; at most %(most)s are read.", size=len(payload), most=MAX_PAYLOAD)
        )
    roots = members.get("roots", [])
    if not isinstance(roots, list):
        raise _damaged("The part 'roots' of the file is not a list. %(what_to_do)s")
    return Envelope(
        payload_type,
        payload,
        _signatures_from(members["signatures"]),
        tuple([encode(_envelope_from(root, nested=True)) for root in roots]),
        encode(_envelope_from(members["revocations"], nested=True)) if "revocations" in members else None,
    )


def _require_parts(members: dict[str, Any], allowed: frozenset[str]) -> None:
    for name in ("payloadType", "payload", "signatures"):
        if name not in members:
            raise _damaged(
                "This is not a license file, or it is incomplete: the part '%(part)s' is missing. %(what_to_do)s", part=name
            )
    if unknown := members.keys() - allowed:
        raise _damaged(
            "The file has a part '%(part)s' that a license file does not have. %(what_to_do)s", part=min(unknown)[:40]
        )


def _signatures_from(items: object) -> tuple[Signature, ...]:
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_SIGNATURES:
        raise _damaged("The file must carry 1 to %(most)s signatures. %(what_to_do)s", most=MAX_SIGNATURES)
    signatures: list[Signature] = []
    for item in items:
        if not isinstance(item, dict) or item.keys() != _OF_SIGNATURE or not isinstance(item["keyid"], str):
            raise _damaged("A signature in the file does not consist of 'keyid' and 'sig'. %(what_to_do)s")
        signatures.append(Signature(item["keyid"], _from_base64(item["sig"], "sig")))
    if len(signatures) > 1 and len({each.keyid for each in signatures}) != len(signatures):
        raise _damaged("The file carries two signatures under one key id. %(what_to_do)s")
    return tuple(signatures)


def _from_base64(text: object, name: str) -> bytes:
    """Padded base64 in the standard or the URL-safe alphabet, in its one canonical spelling."""
    if isinstance(text, str) and text.isascii():
        standard = text.translate(_FROM_URL_SAFE) if "-" in text or "_" in text else text
        # A text of both alphabets is none of them.
        if standard is text or not ("+" in text or "/" in text):
            data = _plain_base64(standard.encode())
            if data is not None:
                return data
    raise _damaged(
        "The part '%(part)s' of the file is not intact base64; a mail program may have changed it. %(what_to_do)s", part=name
    )


def _plain_base64(text: bytes) -> bytes | None:
    """What padded base64 in the standard alphabet stands for; None for any but the one canonical spelling."""
    try:
        data = binascii.a2b_base64(text)
    except binascii.Error:
        return None
    # a2b_base64 skips foreign characters and stray bits; encoding again shows whether there were any.
    return data if binascii.b2a_base64(data, newline=False) == text else None


def _damaged(template: str, **facts: Fact) -> Damaged:
    return Damaged(Sentence(template, {"what_to_do": _ASK_AGAIN, **facts}))


def _what_is_wrong(raw: bytes, reason: str) -> Sentence:
    """The sentence for bytes that are not JSON of the profile: what a person most likely has in hand."""
    text = raw.strip()
    if not text:
        return say("The file is empty. %(what_to_do)s", what_to_do=_ASK_AGAIN)
    if text.startswith(b"\xef\xbb\xbf"):
        return say("The file starts with a byte order mark, which an editor added. Use the file as it was delivered.")
    if text.startswith(b"<"):
        return say("This is a web page, not a license file. Save the .lic file itself and choose it.")
    if text.startswith(b"-----BEGIN"):
        return say("This is a key or an encrypted message, not a license file. Open the message and save the .lic file in it.")
    if text.startswith(b"{") and not text.endswith(b"}"):
        return say(
            "The file is incomplete: it breaks off after %(size)s bytes. %(what_to_do)s", size=len(raw), what_to_do=_ASK_AGAIN
        )
    return say(
        "This is not a license file, or it was damaged on its way. %(problem)s %(what_to_do)s",
        problem=reason,
        what_to_do=_ASK_AGAIN,
    )
