"""How a worker ends: the first SIGTERM finishes what is in the middle and gives the rest back, the second one ends it now.

Celery's own ways do neither. Its warm shutdown works a message with many jobs off to the last one; its soft shutdown sleeps for
all of its time however soon the work is done.
"""

import mmap
import os
import signal
from types import FrameType
from typing import Any

from celery.signals import worker_ready

# Anonymous and shared: the pool's processes are forked from the one that gets the signal, and look at the same byte.
_told = mmap.mmap(-1, 1)


def is_stopping() -> bool:
    """Whether this worker was told to stop: whatever it has claimed and not begun is for others now."""
    return _told[0] != 0


def tell() -> None:
    """From now on this worker is stopping."""
    _told[0] = 1


@worker_ready.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _listen(**_: object) -> None:
    """Puts ourselves before Celery's handler, in the process that takes messages."""
    celerys: Any = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        if is_stopping():
            os.kill(os.getpid(), signal.SIGQUIT)
            return
        tell()
        celerys(number, frame)

    signal.signal(signal.SIGTERM, stop)
