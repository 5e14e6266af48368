"""Through a real mail server that takes nothing without TLS: what is sent arrives as it was, over one connection."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.mail.conftest import ADMIN, CURVE_ADMIN, SENDER, Post
from tests.mail.peers import Postfix, running_postfix
from tests.mail.readers import Openssl
from tests.servers import NotHere, wait_until
from workflow.mail import letters
from workflow.mail.encryption import encrypt_for
from workflow.mail.messages import Mailbox, OuterHeaders
from workflow.mail.outcomes import Failure, TransportError
from workflow.mail.rendering import Reader
from workflow.mail.samples import DESK, ISSUED, RAW, SHA256
from workflow.mail.transport import MailTransport
from workflow.settings import MailSettings
from workflow.times import wall_now


@pytest.fixture(scope="module")
def postfix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postfix]:
    home = tmp_path_factory.mktemp("postfix")
    for parent in (home, *home.parents[:3]):
        if parent.owner() == "root":
            parent.chmod(parent.stat().st_mode | 0o011)  # its daemons run as a user of their own
    try:
        with running_postfix(home, {"harbourline.example": "virtual:"}, tls=True) as server:
            yield server
    except NotHere as error:
        missing(str(error))


def transport_to(server: Postfix, *, tls: str = "starttls", trusted: bool = True) -> MailTransport:
    settings = MailSettings(smtp_host="localhost", smtp_port=server.port, smtp_tls=tls, mail_sender=SENDER)
    return MailTransport(settings, tls=ssl.create_default_context(cafile=str(server.certificate)) if trusted else None)


def sealed(post: Post, address: str, number: int) -> bytes:
    headers = OuterHeaders(Mailbox(SENDER, "License desk"), Mailbox(address), f"<mail-{number}@serviceme.example>", wall_now())
    letter = letters.license_delivery(Reader("Zhang Wei", "en"), ISSUED, RAW, SHA256, DESK)
    return encrypt_for(letter, post.certificate(address), post.signer, headers=headers)


def arrived(server: Postfix) -> list[bytes]:
    return [path.read_bytes().replace(b"\n", b"\r\n") for path in (server.maildir / "new").glob("*")]


def test_twenty_messages_arrive_as_they_were_over_one_connection_with_tls(postfix: Postfix, post: Post, tmp_path: Path) -> None:
    addresses = [ADMIN, CURVE_ADMIN] * 10
    sent = [sealed(post, address, number) for number, address in enumerate(addresses)]
    transport = transport_to(postfix)
    for address, message in zip(addresses, sent, strict=True):
        assert transport.send(SENDER, address, message).code == 250
    transport.close()
    wait_until(lambda: (postfix.maildir / "new").is_dir() and len(arrived(postfix)) == len(sent), 60, "everything arrived")
    # Postfix writes its own lines above; ours are below them, untouched.
    assert sorted(raw[raw.index(b"From: License desk") :] for raw in arrived(postfix)) == sorted(sent)
    assert postfix.log.read_text().count("TLS connection established from localhost") == 1
    for address in (ADMIN, CURVE_ADMIN):
        raw = next(each for each in arrived(postfix) if f"<{address}>".encode() in each)
        opened = Openssl(tmp_path, post.files.authority, post.key_file(address)).opened(raw)
        (file,) = opened.iter_attachments()
        assert file.get_payload(decode=True) == RAW


@pytest.mark.parametrize(("tls", "trusted"), [("none", True), ("starttls", False)], ids=["in clear", "unknown certificate"])
def test_nothing_is_handed_over_in_clear_or_to_a_stranger(postfix: Postfix, post: Post, tls: str, trusted: bool) -> None:
    transport = transport_to(postfix, tls=tls, trusted=trusted)
    with pytest.raises(TransportError) as caught:
        transport.send(SENDER, ADMIN, sealed(post, ADMIN, 99))
    transport.close()
    assert caught.value.failure is Failure.CONFIGURATION
    assert b"<mail-99@" not in b"".join(arrived(postfix))
