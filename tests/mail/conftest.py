"""A desk that can sign mail, and administrators who can read what is encrypted to them."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from workflow.mail.demo_keys import DemoFiles, file_stem, write_demo_keys
from workflow.mail.demo_openpgp import DemoOpenPGPFiles, write_demo_openpgp
from workflow.mail.encryption import MailSigner
from workflow.mail.messages import Mailbox, OuterHeaders
from workflow.mail.openpgp import OpenPGPSigner
from workflow.mail.samples import MOMENT
from workflow.times import wall_now

SENDER = "licensing@serviceme.example"
ADMIN = "wei.zhang@harbourline.example"
OTHER_ADMIN = "ops-admins@harbourline.example"
CURVE_ADMIN = "platform@harbourline.example"
PGP_ADMIN = "lan.guo@harbourline.example"


@dataclass(frozen=True)
class Post:
    """The files of `licdesk mail init`, and the signer made of them."""

    files: DemoFiles
    keys: Path
    signer: MailSigner
    openpgp_files: DemoOpenPGPFiles
    openpgp: OpenPGPSigner

    def certificate(self, address: str = ADMIN) -> bytes:
        return self.files.recipients[address].read_bytes()

    def key_file(self, address: str = ADMIN) -> Path:
        return self.keys / f"{file_stem(address)}.pem"


@pytest.fixture(scope="session")
def post(tmp_path_factory: pytest.TempPathFactory) -> Post:
    directory = tmp_path_factory.mktemp("mail")
    now = wall_now()
    files = write_demo_keys(
        directory / "desk",
        directory / "inbox",
        recipients=[ADMIN, OTHER_ADMIN, CURVE_ADMIN],
        signer_address=SENDER,
        now=now,
        on_curve=[CURVE_ADMIN],
    )
    keys = write_demo_openpgp(
        directory / "desk",
        directory / "inbox",
        recipients=[Mailbox(PGP_ADMIN, "Guo Lan")],
        signer=Mailbox(SENDER, "License desk"),
    )
    signer = MailSigner.load(files.signer_certificate, files.signer_key, address=SENDER, at=now)
    openpgp = OpenPGPSigner.load(keys.signer, address=SENDER, at=now + timedelta(seconds=2))
    return Post(files, directory / "inbox", signer, keys, openpgp)


@pytest.fixture
def headers() -> OuterHeaders:
    return OuterHeaders(
        sender=Mailbox(SENDER, "SERVICEME license desk"),
        recipient=Mailbox(ADMIN, "张伟"),
        message_id="<4f1a9c@serviceme.example>",
        date=MOMENT,
    )
