"""Row identifiers."""

import os
import threading
import time
from uuid import UUID

_RANDOM_BITS = 74
_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """A UUID version 7 (RFC 9562, section 5.7): rows made later sort later, so indexes grow at one end.

    Within a process every id is above the one before, also in the same millisecond (section 6.2, method 2): events recorded
    together keep their order.
    """
    global _last
    fresh = (time.time_ns() // 1_000_000 << _RANDOM_BITS) | int.from_bytes(os.urandom(9), "big")
    with _lock:
        # A random step, not one: processes that were forked apart go on from the same id and must not meet.
        _last = fresh if fresh >> _RANDOM_BITS > _last >> _RANDOM_BITS else _last + 1 + int.from_bytes(os.urandom(6), "big")
        value = _last
    high, low = value >> 62, value & ((1 << 62) - 1)
    return UUID(int=(high >> 12 << 80) | (0x7 << 76) | ((high & 0xFFF) << 64) | (0x2 << 62) | low)
