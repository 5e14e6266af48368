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


DELIVERY_WORDS: Mapping[DeliveryState, str] = MappingProxyType(
    {
        DeliveryState.PREPARED: "waiting to be sent",
        DeliveryState.SENDING: "being sent",
        DeliveryState.ACCEPTED: "accepted by mail server",
        DeliveryState.IN_DOUBT: "not known whether it arrived",
        DeliveryState.REFUSED: "refused",
    }
)
CHANNEL_WORDS: Mapping[str, str] = MappingProxyType(
    {"smime": "Encrypted mail", "portal": "Link to the portal", "signed": "Signed mail"}
)
