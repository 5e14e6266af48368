"""Tries the way out for mail. Run as `python -m workflow.mail.probe [ADDRESS NAME]` with a general worker's settings.

Without an address it connects and hangs up, with one it sends a test mail there, which NAME asked for.
"""

import asyncio
import sys
from collections.abc import Sequence

from workflow.errors import DeskError
from workflow.mail import letters
from workflow.mail.encryption import MailSigner, sign_only
from workflow.mail.messages import Mailbox, OuterHeaders, message_id_for
from workflow.mail.outcomes import Accepted, TransportError
from workflow.mail.rendering import Reader
from workflow.mail.session import Session
from workflow.mail.transport import MailTransport
from workflow.settings import WorkerSettings, load, opened_with
from workflow.times import wall_now


async def probe(settings: WorkerSettings) -> None:
    """Connects, with the TLS and the sign-in of the settings, and hangs up. Raises TransportError."""
    session = await Session.open(settings, settings.mail_sender, None)
    await session.quit()


def send_test(settings: WorkerSettings, address: str, by: str) -> Accepted:
    """Sends a signed letter as a worker would. Raises UnsafeHeader, SignerUnusable, TransportError."""
    now = wall_now()
    desk = letters.Desk(settings.contact_name, settings.public_url, settings.contact_mailbox)
    sender = Mailbox(settings.mail_sender, settings.contact_name)
    headers = OuterHeaders(
        sender=sender,
        recipient=Mailbox(address),
        message_id=message_id_for(f"test:{address}:{now.isoformat()}", sender.domain),
        date=now,
    )
    signer = None
    if settings.mail_signer_certificate is not None and settings.mail_signer_key is not None:
        password = opened_with(settings.mail_signer_password)
        certificate, key = settings.mail_signer_certificate, settings.mail_signer_key
        signer = MailSigner.load(certificate, key, password, address=settings.mail_sender, at=now)
    mime = sign_only(letters.test_mail(Reader(address, "en"), by, desk), signer, headers=headers)
    transport = MailTransport(settings)
    try:
        return transport.send(settings.mail_sender, address, mime)
    finally:
        transport.close()


def main(arguments: Sequence[str]) -> int:
    """0 when the server lets us in or takes the test mail; else 1. A sentence says what happened."""
    try:
        settings = load(WorkerSettings)
        if arguments:
            address, by = arguments
            accepted = send_test(settings, address, by)
            sys.stdout.write(f"{accepted.code} {accepted.reply}\n")
        else:
            asyncio.run(probe(settings))
    except (DeskError, TransportError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
