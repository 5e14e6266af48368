"""An inbox as a real process of its own, and a desk that sends to it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.mail.conftest import ADMIN, SENDER, Post, post
from tests.servers import answers, wait_until
from workflow.cli.broker import free_port
from workflow.mail import letters
from workflow.mail.encryption import encrypt_for, sign_only
from workflow.mail.messages import Letter, Mailbox, OuterHeaders
from workflow.mail.rendering import Reader
from workflow.mail.samples import DESK, ISSUED, RAW, SHA256
from workflow.mail.transport import MailTransport
from workflow.settings import MailSettings
from workflow.times import wall_now

__all__ = ["post"]

REPOSITORY = Path(__file__).resolve().parents[2]
LIAISON = "lin.mei@serviceme.example"


def headers(number: int, to: str = ADMIN) -> OuterHeaders:
    return OuterHeaders(Mailbox(SENDER, "License desk"), Mailbox(to), f"<mail-{number}@serviceme.example>", wall_now())


def delivery() -> Letter:
    return letters.license_delivery(Reader("Zhang Wei", "en"), ISSUED, RAW, SHA256, DESK)


def sealed(post: Post, number: int = 1) -> bytes:
    return encrypt_for(delivery(), post.certificate(), post.signer, headers=headers(number))


def signed(post: Post, number: int, to: str = LIAISON) -> bytes:
    letter = letters.portal_code(Reader("Lin Mei", "en"), "7K3Q-MX2V", 10, DESK)
    return sign_only(letter, post.signer, headers=headers(number, to))


@dataclass
class RunningInbox:
    process: subprocess.Popen[bytes]
    smtp_port: int
    maildir: Path
    web: httpx.Client

    def send(self, message: bytes, to: str = ADMIN) -> None:
        settings = MailSettings(smtp_port=self.smtp_port, smtp_tls="none", mail_sender=SENDER)
        transport = MailTransport(settings)
        try:
            transport.send(SENDER, to, message)
        finally:
            transport.close()

    def newest(self) -> str:
        found: str = self.web.get("/api/messages").json()[0]["id"]
        return found


def environ(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LICDESK_")}
    return kept | {"LICDESK_MODE": "demo"} | more


@pytest.fixture(scope="module")
def inbox(post: Post, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningInbox]:
    maildir = tmp_path_factory.mktemp("inbox") / "maildir"
    smtp_port, http_port = free_port(), free_port()
    files = ["--maildir", str(maildir), "--keys", str(post.keys), "--ca", str(post.files.authority)]
    ports = ["--smtp-port", str(smtp_port), "--http-port", str(http_port)]
    process = subprocess.Popen([sys.executable, "-m", "workflow.inbox", *ports, *files], cwd=REPOSITORY, env=environ())
    try:
        wait_until(lambda: answers(smtp_port) and answers(http_port), 20, "the inbox answers")
        with httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=10) as web:
            yield RunningInbox(process, smtp_port, maildir, web)
    finally:
        process.terminate()
        process.wait(10)
