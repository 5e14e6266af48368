"""Runs the inbox: `python -m workflow.inbox --host 127.0.0.1 --port 8302 --smtp-port 2525`."""

import argparse

import uvicorn

from workflow.errors import Misconfigured
from workflow.inbox.app import create_app
from workflow.inbox.catcher import controller
from workflow.inbox.maildir import Maildir
from workflow.inbox.opening import Keyring
from workflow.settings import InboxSettings, Mode, load

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class DemoOnly(Misconfigured):
    """The inbox holds other people's keys and shows everybody's mail: a demo's business alone."""

    code = "inbox.demo_only"


def main() -> None:
    """Serves both sides until it is told to stop. Raises DemoOnly in production, or for an address others can reach."""
    parser = argparse.ArgumentParser(prog="python -m workflow.inbox", description="Catch and show the demo's mail.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8302)
    parser.add_argument("--smtp-port", type=int, default=2525)
    chosen = parser.parse_args()
    settings = load(InboxSettings)
    if settings.mode is not Mode.DEMO or chosen.host not in LOOPBACK:
        raise SystemExit(str(DemoOnly("The development inbox starts in the demo only, on 127.0.0.1. Set LICDESK_MODE=demo.")))
    mail = Maildir(settings.inbox_dir / "maildir")
    smtp = controller(mail, chosen.host, chosen.smtp_port)
    smtp.start()
    try:
        app = create_app(mail, Keyring(settings.inbox_keys, settings.mail_ca))
        uvicorn.run(app, host=chosen.host, port=chosen.port, log_level="warning", server_header=False)
    finally:
        smtp.stop()


if __name__ == "__main__":
    main()
