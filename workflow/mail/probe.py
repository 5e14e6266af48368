"""Tries the way out for mail without sending any. Run as `python -m workflow.mail.probe` with a general worker's settings."""

import asyncio
import sys

from workflow.errors import DeskError
from workflow.mail.outcomes import TransportError
from workflow.mail.session import Session
from workflow.settings import WorkerSettings, load


async def probe(settings: WorkerSettings) -> None:
    """Connects, with the TLS and the sign-in of the settings, and hangs up. Raises TransportError."""
    session = await Session.open(settings, settings.mail_sender, None)
    await session.quit()


def main() -> int:
    """0 when the server lets us in; else 1 and a sentence."""
    try:
        asyncio.run(probe(load(WorkerSettings)))
    except (DeskError, TransportError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
