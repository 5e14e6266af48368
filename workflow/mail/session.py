"""One connection to the mail server, step by step. Every failure leaves as a TransportError that says what is certain."""

import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import aiosmtplib
from aiosmtplib import SMTP

from workflow.mail.messages import Mailbox
from workflow.mail.outcomes import Accepted, Failure, TransportError, no_answer, refusal
from workflow.settings import MailSettings

IDLE_SECONDS = 25.0  # many servers hang up after 30
MESSAGES_PER_CONNECTION = 100
COMMAND_SECONDS = 30.0
START_INPUT, COMPLETED, CLOSING_DOWN = 354, 250, 421

NOT_UNDERSTOOD = (501, 504, 555)
"""answers to a parameter that the server does not know (RFC 5321, 4.1.1.11)"""

Trouble = (aiosmtplib.SMTPException, OSError)


class Session:
    """A connection that is past EHLO, TLS and sign-in. Used by one message at a time, inside one event loop."""

    def __init__(self, smtp: SMTP, data_seconds: float) -> None:
        self._smtp = smtp
        self._data_seconds = data_seconds
        self._gives_notice = smtp.supports_extension("dsn")
        self._sent = 0
        self._used_at = time.monotonic()

    @classmethod
    async def open(cls, settings: MailSettings, sender: str, tls: ssl.SSLContext | None) -> "Session":
        """Connects, with the TLS mode of the settings and no other. Raises TransportError."""
        password = settings.smtp_password
        smtp = SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=password.get_secret_value() if password else None,
            # The library's default asks the resolver for this machine's name, which can hang for many seconds.
            local_hostname=Mailbox.parse(sender).domain,
            timeout=min(COMMAND_SECONDS, settings.mail_timeout),
            use_tls=settings.smtp_tls == "implicit",
            # Never None, the library's default: it goes on in clear, silently, when the server offers no STARTTLS.
            start_tls=settings.smtp_tls == "starttls",
            tls_context=tls,
        )
        with _translated(of_this_desk=True):
            await smtp.connect()
            await _greeted(smtp)
        return cls(smtp, settings.mail_timeout)

    @property
    def connected(self) -> bool:
        """Whether both sides still hold the connection, as far as this one knows."""
        return self._smtp.is_connected

    @property
    def reusable(self) -> bool:
        """Whether another message should go over it."""
        idle = time.monotonic() - self._used_at
        return self.connected and self._sent < MESSAGES_PER_CONNECTION and idle < IDLE_SECONDS

    async def name_envelope(self, sender: str, recipient: str, envelope_id: str | None = None) -> None:
        """MAIL and RCPT. Where the server offers it, asks for a notice of failure or delay that names `envelope_id` and returns
        the header fields (RFC 3461). A refused recipient leaves the connection usable. Raises TransportError: nothing was sent.
        """
        self._used_at = time.monotonic()
        with self._closed_unless_refused(), _translated():
            about = ["RET=HDRS", *([f"ENVID={xtext(envelope_id)}"] if envelope_id else [])]
            await self._with_notices(self._smtp.mail, sender, about)
            await self._with_notices(self._smtp.rcpt, recipient, ["NOTIFY=FAILURE,DELAY", f"ORCPT=rfc822;{xtext(recipient)}"])

    async def transfer(self, message: bytes) -> Accepted:
        """DATA and the message (CRLF line ends). Raises TransportError; only its OUTCOME_UNKNOWN leaves doubt."""
        self._used_at = time.monotonic()
        with self._closed_unless_refused():
            with _translated():
                go_ahead = await self._smtp.execute_command(b"DATA")
            if go_ahead.code != START_INPUT:
                raise refusal(go_ahead.code, go_ahead.message)
            code, reply = await self._hand_over(message)
            if code == COMPLETED:
                self._sent += 1
                return Accepted(code, reply)
            raise refusal(code, reply)

    async def _with_notices(self, command: Callable[..., Awaitable[object]], address: str, options: list[str]) -> None:
        if not self._gives_notice:
            await command(address)
            return
        try:
            await command(address, options=options)
        except aiosmtplib.SMTPResponseException as error:
            if error.code not in NOT_UNDERSTOOD:
                raise
            # It offers what it does not know. The message matters more than a notice about it.
            self._gives_notice = False
            await command(address)

    async def reset(self) -> None:
        """Forgets a half-made envelope. Raises TransportError."""
        with self._closed_unless_refused(), _translated():
            await self._smtp.rset()

    async def quit(self) -> None:
        """Says goodbye; a server that does not answer is left."""
        with suppress(*Trouble):
            await self._smtp.quit(timeout=2)
        self._smtp.close()

    def close(self) -> None:
        """Hangs up."""
        self._smtp.close()

    async def _hand_over(self, message: bytes) -> tuple[int, str]:
        protocol = self._smtp.protocol
        if protocol is None:
            raise no_answer("The mail server hung up before it was given the message.")
        # Not SMTP.data(): it does not tell "hung up at DATA", which is certain, from "hung up after the message".
        stuffed = message.replace(b"\r\n.", b"\r\n..")
        try:
            protocol.write(stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"))
            answer = await protocol.read_response(timeout=self._data_seconds)
        except Trouble as error:
            raise TransportError(
                Failure.OUTCOME_UNKNOWN, 0, f"The mail server did not answer after the message: {error}"
            ) from error
        if not 200 <= answer.code <= 599 or answer.code // 100 == 3:
            raise TransportError(Failure.OUTCOME_UNKNOWN, answer.code, answer.message)
        return answer.code, answer.message

    @contextmanager
    def _closed_unless_refused(self) -> Iterator[None]:
        """After anything but a clean refusal (also a cancelled task) the two sides may disagree on where they are."""
        try:
            yield
        except TransportError as error:
            if error.code in (0, CLOSING_DOWN) or error.outcome_unknown:
                self.close()
            raise
        except BaseException:
            self.close()
            raise


async def _greeted(smtp: SMTP) -> None:
    """EHLO, unless TLS or the sign-in have made it necessary already: what the server offers is known from here on."""
    if smtp.is_ehlo_or_helo_needed:
        try:
            await smtp.ehlo()
        except aiosmtplib.SMTPHeloError:
            if not smtp.is_connected:
                raise
            await smtp.helo()


def xtext(value: str) -> str:
    """A value as a parameter of SMTP may carry it (RFC 3461, 4)."""
    return "".join(each if "!" <= each <= "~" and each not in "+=" else f"+{ord(each):02X}" for each in value)


@contextmanager
def _translated(*, of_this_desk: bool = False) -> Iterator[None]:
    """Turns the library's errors before the message is handed over into TransportError."""
    try:
        yield
    except aiosmtplib.SMTPAuthenticationError as error:
        raise refusal(error.code, error.message, of_this_desk=True) from error
    except aiosmtplib.SMTPResponseException as error:
        raise refusal(error.code, error.message, of_this_desk=of_this_desk) from error
    except aiosmtplib.SMTPRecipientsRefused as error:  # has no code of its own
        first = error.recipients[0]
        raise refusal(first.code, first.message) from error
    except (ConnectionError, TimeoutError) as error:
        if isinstance(error.__cause__, ssl.SSLCertVerificationError):
            raise _untrusted_server(error.__cause__) from error
        raise no_answer(f"The mail server can't be reached: {error}") from error
    except ssl.SSLCertVerificationError as error:
        raise _untrusted_server(error) from error
    except aiosmtplib.SMTPException as error:  # it does not offer what the settings demand: STARTTLS, sign-in
        raise TransportError(Failure.CONFIGURATION, 0, str(error)) from error
    except OSError as error:
        raise no_answer(f"The mail server can't be reached: {error}") from error


def _untrusted_server(error: ssl.SSLCertVerificationError) -> TransportError:
    return TransportError(Failure.CONFIGURATION, 0, f"The mail server's certificate is not trusted: {error.verify_message}")
