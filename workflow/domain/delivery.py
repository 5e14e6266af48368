"""How far one message is, from the bytes that were built to the mail server's answer."""

from enum import StrEnum


class DeliveryState(StrEnum):
    """Where a message is. One that is being sent has its mark set: whether its bytes have left can be in doubt."""

    PREPARED = "prepared"
    SENDING = "sending"
    ACCEPTED = "accepted"
    IN_DOUBT = "in_doubt"
    REFUSED = "refused"
