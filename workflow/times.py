"""The only readers of the wall clock.

`utc_now()` is the product's clock: the demo may shift it (`licdesk clock --at`). `wall_now()` is the machine's: leases,
sessions, mail dates and the console's clock floor use it, because moving those would only break the machinery.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

CLOCK_FILE_VARIABLE = "LICDESK_CLOCK_FILE"


def wall_now() -> datetime:
    """The machine's time, aware UTC."""
    return datetime.now(UTC)


def utc_now() -> datetime:
    """The product's time, aware UTC: the machine's, shifted by the demo's clock file when one is named and present."""
    return wall_now() + clock_offset()


def clock_offset() -> timedelta:
    """How far the demo's clock is ahead of the machine's (whole seconds); zero without a clock file.

    The file is read at each call, so every process follows a change at once; a production process never names one
    (`settings.load` refuses it).
    """
    path = os.environ.get(CLOCK_FILE_VARIABLE)
    if not path:
        return timedelta()
    try:
        return timedelta(seconds=int(Path(path).read_text(encoding="ascii").strip() or "0"))
    except FileNotFoundError:
        return timedelta()


def set_clock(path: Path, at: datetime | None) -> timedelta:
    """Moves the demo's clock to `at` (aware), or back to the machine's time with None; returns the offset written."""
    offset = timedelta() if at is None else timedelta(seconds=round((at - wall_now()).total_seconds()))
    waiting = path.with_suffix(".new")
    waiting.write_text(f"{int(offset.total_seconds())}\n", encoding="ascii")
    waiting.replace(path)  # readers see the old offset or the new one, never half a number
    return offset
