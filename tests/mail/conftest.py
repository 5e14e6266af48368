"""A desk that can sign mail, and administrators who can read what is encrypted to them."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mail.samples import MOMENT
from workflow.mail.demo_keys import DemoFiles, file_stem, write_demo_keys
from workflow.mail.encryption import MailSigner
from workflow.mail.messages import Mailbox, OuterHeaders
from workflow.times import wall_now

SENDER = "licensing@serviceme.example"
ADMIN = "wei.zhang@harbourline.example"
OTHER_ADMIN = "ops-admins@harbourline.example"


@dataclass(frozen=True)
class Post:
    """The files of `licdesk mail init`, and the signer made of them."""

    files: DemoFiles
    keys: Path
    signer: MailSigner

    def certificate(self, address: str = ADMIN) -> bytes:
        return self.files.recipients[address].read_bytes()

    def key_file(self, address: str = ADMIN) -> Path:
        return self.keys / f"{file_stem(address)}.pem"


@pytest.fixture(scope="session")
def post(tmp_path_factory: pytest.TempPathFactory) -> Post:
    directory = tmp_path_factory.mktemp("mail")
    now = wall_now()
    files = write_demo_keys(
        directory / "desk", directory / "inbox", recipients=[ADMIN, OTHER_ADMIN], signer_address=SENDER, now=now
    )
    signer = MailSigner.load(files.signer_certificate, files.signer_key, address=SENDER, at=now)
    return Post(files, directory / "inbox", signer)


@pytest.fixture
def headers() -> OuterHeaders:
    return OuterHeaders(
        sender=Mailbox(SENDER, "SERVICEME license desk"),
        recipient=Mailbox(ADMIN, "张伟"),
        message_id="<4f1a9c@serviceme.example>",
        date=MOMENT,
    )
