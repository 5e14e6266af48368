"""How a message travels, and how far it is: from the bytes that were built to the mail server's answer."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Channel(StrEnum):
    """How a message is protected. A license travels by one of the first three; there is no step from them to plain mail."""

    SMIME = "smime"
    """encrypted to the recipient's certificate"""
    OPENPGP = "openpgp"
    """encrypted to the recipient's OpenPGP key"""
    PORTAL = "portal"
    """a link; the file stays at the desk until it is fetched"""
    SIGNED = "signed"
    """a letter without a license"""


class KeyKind(StrEnum):
    """What a recipient has on file. The values are those of the channels that the keys open."""

    SMIME = Channel.SMIME.value
    OPENPGP = Channel.OPENPGP.value


class Trust(StrEnum):
    """Why a key on file is believed to be its owner's."""

    CA = "ca"
    """a trusted authority says so"""
    PINNED = "pinned"
    """a person of this desk compared its fingerprint with what its owner said"""


class DeliveryState(StrEnum):
    """Where a message is. One that is being sent has its mark set: whether its bytes have left can be in doubt."""

    PREPARED = "prepared"
    SENDING = "sending"
    ACCEPTED = "accepted"
    IN_DOUBT = "in_doubt"
    REFUSED = "refused"
    BOUNCED = "bounced"
    """taken by the first mail server and given back by a later one"""


MARKED = (DeliveryState.SENDING, DeliveryState.IN_DOUBT)
"""Those whose bytes may have left without an answer being known."""
UNDELIVERED = (DeliveryState.REFUSED, DeliveryState.IN_DOUBT, DeliveryState.BOUNCED)
"""Where a message stays until somebody helps."""


class AttemptResult(StrEnum):
    """How one attempt to hand a message over ended."""

    ACCEPTED = "accepted"
    PUT_OFF = "put_off"
    """nothing was sent; it is tried again"""
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    """its bytes may have left, and no answer came"""


class Settled(StrEnum):
    """How it was settled whether a message that nobody answered for had arrived."""

    FOUND = "archive"
    RESENT = "resend"


KEY_NAMES: Mapping[KeyKind, str] = MappingProxyType({KeyKind.SMIME: "Certificate", KeyKind.OPENPGP: "OpenPGP key"})
DELIVERY_WORDS: Mapping[DeliveryState, str] = MappingProxyType(
    {
        DeliveryState.PREPARED: "waiting to be sent",
        DeliveryState.SENDING: "being sent",
        DeliveryState.ACCEPTED: "accepted by mail server",
        DeliveryState.IN_DOUBT: "not known whether it arrived",
        DeliveryState.REFUSED: "refused",
        DeliveryState.BOUNCED: "came back",
    }
)
SETTLED_WORDS: Mapping[Settled, str] = MappingProxyType(
    {
        Settled.FOUND: "found where mail arrives",
        Settled.RESENT: "sent again without an answer to the first time, may have arrived twice",
    }
)
ATTEMPT_WORDS: Mapping[AttemptResult, str] = MappingProxyType(
    {
        AttemptResult.ACCEPTED: "Accepted by mail server",
        AttemptResult.PUT_OFF: "Not taken, tried again later",
        AttemptResult.REFUSED: "Refused",
        AttemptResult.UNANSWERED: "No answer, may have arrived",
    }
)
CHANNEL_WORDS: Mapping[Channel, str] = MappingProxyType(
    {
        Channel.SMIME: "Encrypted mail",
        Channel.OPENPGP: "Encrypted mail (OpenPGP)",
        Channel.PORTAL: "Link to the portal",
        Channel.SIGNED: "Signed mail",
    }
)
