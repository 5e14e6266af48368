"""How far one message is, from the bytes that were built to the mail server's answer."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class DeliveryState(StrEnum):
    """Where a message is. One that is being sent has its mark set: whether its bytes have left can be in doubt."""

    PREPARED = "prepared"
    SENDING = "sending"
    ACCEPTED = "accepted"
    IN_DOUBT = "in_doubt"
    REFUSED = "refused"


class Settled(StrEnum):
    """How it was settled whether a message that nobody answered for had arrived."""

    FOUND = "archive"
    RESENT = "resend"


DELIVERY_WORDS: Mapping[DeliveryState, str] = MappingProxyType(
    {
        DeliveryState.PREPARED: "waiting to be sent",
        DeliveryState.SENDING: "being sent",
        DeliveryState.ACCEPTED: "accepted by mail server",
        DeliveryState.IN_DOUBT: "not known whether it arrived",
        DeliveryState.REFUSED: "refused",
    }
)
SETTLED_WORDS: Mapping[Settled, str] = MappingProxyType(
    {
        Settled.FOUND: "found where mail arrives",
        Settled.RESENT: "sent again without an answer to the first time, may have arrived twice",
    }
)
CHANNEL_WORDS: Mapping[str, str] = MappingProxyType(
    {"smime": "Encrypted mail", "portal": "Link to the portal", "signed": "Signed mail"}
)
