"""Runs the inbox: `python -m workflow.inbox --port 8302 --smtp-port 2525`. Files come from the settings or the options."""

import argparse
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from workflow.errors import DeskError, Misconfigured
from workflow.inbox.app import create_app
from workflow.inbox.box import Box
from workflow.inbox.catcher import controller
from workflow.inbox.maildir import Maildir
from workflow.inbox.opening import Keyring
from workflow.settings import InboxSettings, Mode, load

GRACE_SECONDS = 3


class DemoOnly(Misconfigured):
    """The inbox holds other people's keys and shows everybody's mail: a demo's business alone."""

    code = "inbox.demo_only"


@dataclass(frozen=True)
class Choice:
    """Where to listen, and which files."""

    host: str
    port: int
    smtp_port: int
    maildir: Path
    keys: Path
    ca: Path | None


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves both sides until it is told to stop. Ends with a sentence in production, or for an address others can reach."""
    try:
        choice = chosen(arguments)
        maildir = Maildir(choice.maildir)
        box = Box(maildir, Keyring(choice.keys, choice.ca))
    except DeskError as error:
        raise SystemExit(f"{error} ({error.code})") from error
    smtp = controller(maildir, choice.host, choice.smtp_port)
    smtp.start()
    try:
        uvicorn.run(
            create_app(box),
            host=choice.host,
            port=choice.port,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    finally:
        smtp.stop()


def chosen(arguments: Sequence[str] | None) -> Choice:
    """The options, completed from the settings. Raises DemoOnly."""
    parser = argparse.ArgumentParser(prog="licdesk inbox", description="Catch and show the demo's mail.")
    parser.add_argument("--host", default="127.0.0.1", help="an address of this machine's own (127.0.0.1)")
    parser.add_argument("--port", "--http-port", type=int, default=8302, help="the page's port (8302)")
    parser.add_argument("--smtp-port", type=int, default=2525, help="the port that takes mail (2525)")
    parser.add_argument("--maildir", type=Path, help="where the mail is kept (LICDESK_INBOX_DIR/maildir)")
    parser.add_argument("--keys", type=Path, help="the demo recipients' keys (LICDESK_INBOX_KEYS)")
    parser.add_argument("--ca", type=Path, help="the mail authority's certificate (LICDESK_MAIL_CA)")
    given = parser.parse_args(arguments)
    settings = load(InboxSettings)
    if settings.mode is not Mode.DEMO:
        raise DemoOnly("The development inbox shows everybody's mail and starts in the demo only. Set LICDESK_MODE=demo.")
    if not _is_loopback(given.host):
        raise DemoOnly("The development inbox listens on this machine only. Choose --host 127.0.0.1.")
    return Choice(
        given.host,
        given.port,
        given.smtp_port,
        given.maildir or settings.inbox_dir / "maildir",
        given.keys or settings.inbox_keys,
        given.ca or settings.mail_ca,
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    main()
