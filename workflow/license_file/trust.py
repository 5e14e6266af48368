"""Whom a platform believes: the trust root, pinned at installation, and the chain of roots that follow from it."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from . import envelope as container
from .claims import Environment
from .envelope import Envelope, signed_bytes
from .errors import LicenseRefused, RootMalformed, RootNotPinned, RootNotSuccessor, RootUnderSigned
from .keys import is_good_signature
from .trust_payload import TRUST_ROOT_TYPE, KeyUse, RootContent, decode_root_payload
from .wording import say, sentence_of


@dataclass(frozen=True)
class TrustRoot(RootContent):
    """One version of the trust root whose signatures were checked: made by `pinned` and `successor` only.

    `raw` is the signed document; the SHA-256 of version 1's payload is what an installation pins. `former_keyids` are
    the keys of earlier versions that this one no longer lists.
    """

    raw: bytes = field(repr=False)
    payload_sha256: str
    former_keyids: frozenset[str] = frozenset()

    @staticmethod
    def pinned(raw: bytes, pin_sha256: str) -> TrustRoot:
        """Root version 1: its payload has the SHA-256 that was compared at installation, and it signed itself.

        Raises `TrustError`.
        """
        envelope = _open(raw)
        digest = sha256(envelope.payload).hexdigest()
        pin = pin_sha256.strip().lower()
        if not hmac.compare_digest(digest.encode(), pin.encode()):
            raise RootNotPinned(
                say(
                    "The trust root has the fingerprint %(digest)s, not the pinned %(pin)s. "
                    "Compare both with the issuer on the phone before going on.",
                    digest=digest,
                    pin=pin,
                )
            )
        root = _root_from(raw, envelope)
        if root.version != 1:
            raise RootNotPinned(say("Only version 1 of a trust root is pinned; this is version %(n)s.", n=root.version))
        _require_signed(root, envelope, root.issued_at, say("its own root keys"))
        return root

    def successor(self, raw_next: bytes) -> TrustRoot:
        """The next version, if it follows from this one: version + 1 exactly, the same purpose, signed by the root
        keys of both. Raises `TrustError`."""
        envelope = _open(raw_next)
        following = _root_from(raw_next, envelope)
        if following.version != self.version + 1:
            raise RootNotSuccessor(
                say(
                    "Trust root version %(n)s does not directly follow version %(held)s. Ask the issuer for version %(next)s.",
                    n=following.version,
                    held=self.version,
                    next=self.version + 1,
                )
            )
        if following.purpose is not self.purpose:
            raise RootNotSuccessor(
                say("A %(old)s trust root cannot be followed by a %(new)s one.", old=self.purpose, new=following.purpose)
            )
        _require_signed(self, envelope, following.issued_at, say("the root keys of version %(n)s", n=self.version))
        _require_signed(following, envelope, following.issued_at, say("its own root keys"))
        listed = self.former_keyids | self.keys.keys()
        return replace(following, former_keyids=frozenset(listed - following.keys.keys()))

    def good_signatures(self, envelope: Envelope) -> frozenset[str]:
        """The ids of all listed keys whose signatures on the envelope are good, whatever their role."""
        message = signed_bytes(envelope.payload_type, envelope.payload)
        keys = self.keys
        return frozenset(
            [
                each.keyid
                for each in envelope.signatures
                if each.keyid in keys and is_good_signature(keys[each.keyid].verifying_key, each.sig, message)
            ]
        )

    def may_sign(self, keyid: str, environment: str) -> bool:
        """Whether new licenses for the environment may be signed with the key: an issuer key that is not retired."""
        return keyid in self.issuers[Environment(environment)].keyids and self.keys[keyid].use is KeyUse.SIGN

    def trusts_issuers(self, keyids: Iterable[str], environment: str, at: datetime) -> bool:
        """Whether a license verified under `keyids` earlier still stands: what a stolen key set must not bind once the
        key was removed."""
        return self.issuers[Environment(environment)].are_met_by(frozenset(keyids), at)

    def is_expired(self, at: datetime) -> bool:
        """Past `expires_at`: warn and keep running; the remedy is a newer root."""
        return at >= self.expires_at


@dataclass(frozen=True, slots=True)
class TrustChain:
    """Every version of the trust root from the pinned one on, each verified by the one before it."""

    roots: tuple[TrustRoot, ...]

    @staticmethod
    def load(raws: Sequence[bytes], pin: str) -> TrustChain:
        """Verify a chain, versions ascending from 1. Raises `TrustError`."""
        if not raws:
            raise RootNotPinned(say("There is no trust root. Install the platform's trust root first."))
        chain = TrustChain((TrustRoot.pinned(raws[0], pin),))
        for raw in raws[1:]:
            chain = chain.extended(raw)
        return chain

    @staticmethod
    def read(directory: Path, pin: str) -> TrustChain:
        """Verify the chain in a directory: `root-1.json`, `root-2.json` and so on. Raises `TrustError`."""
        raws: list[bytes] = []
        try:
            while (path := directory / f"root-{len(raws) + 1}.json").exists():
                raws.append(path.read_bytes())
        except OSError as error:
            raise RootMalformed(
                say("The trust root %(path)s cannot be read: %(problem)s.", path=str(path), problem=str(error.strerror))
            ) from None
        return TrustChain.load(raws, pin)

    @property
    def current(self) -> TrustRoot:
        """The newest version."""
        return self.roots[-1]

    def extended(self, raw: bytes) -> TrustChain:
        """The chain with one more version. Raises `TrustError`."""
        return TrustChain((*self.roots, self.current.successor(raw)))


def newer_roots(trust: TrustRoot, raws: Sequence[bytes]) -> tuple[TrustRoot, ...]:
    """The roots among `raws` that are newer than `trust`, each verified by the one before it.

    Skips versions that the platform has passed. Raises `TrustError` if the rest does not follow, or if one has the
    platform's own version and another content: then somebody signed two roots under one number.
    """
    newer: list[TrustRoot] = []
    current = trust
    for raw in raws:
        offered = _root_from(raw, _open(raw))
        if offered.version > trust.version:
            current = current.successor(raw)
            newer.append(current)
        elif offered.version == trust.version and offered.payload_sha256 != trust.payload_sha256:
            raise RootNotSuccessor(say("There is another trust root with version %(n)s. Call the issuer.", n=trust.version))
    return tuple(newer)


def _open(raw: bytes) -> Envelope:
    try:
        envelope = container.decode(raw)
    except LicenseRefused as refused:
        raise RootMalformed(say("The trust root cannot be read. %(problem)s", problem=sentence_of(refused))) from None
    if envelope.payload_type != TRUST_ROOT_TYPE:
        raise RootMalformed(say("The document is not a trust root that this version can read."))
    return envelope


def _root_from(raw: bytes, envelope: Envelope) -> TrustRoot:
    content = decode_root_payload(envelope.payload)
    return TrustRoot(**vars(content), raw=raw, payload_sha256=sha256(envelope.payload).hexdigest())


def _require_signed(root: TrustRoot, envelope: Envelope, at: datetime, whose: str) -> None:
    if not root.root.are_met_by(root.good_signatures(envelope), at):
        raise RootUnderSigned(
            say("The trust root is not signed by enough of %(whose)s. Ask the issuer for a genuine one.", whose=whose)
        )
