"""Mail: what it costs to build, sign and encrypt a message beside the bare cryptography in it, and to hand it to Postfix."""

import hashlib
import os
import resource
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console
from rich.table import Table

from tests.mail.peers import running_postfix
from tests.servers import NotHere
from workflow.mail import cms, letters
from workflow.mail.demo_keys import key_pem, make_authority, make_recipient, make_signer
from workflow.mail.encryption import MailSigner, encrypt_for
from workflow.mail.messages import Letter, Mailbox, OuterHeaders, base64_lines
from workflow.mail.rendering import Reader
from workflow.mail.samples import DESK, ISSUED, RAW, SHA256
from workflow.mail.transport import MailTransport
from workflow.settings import MailSettings

SENDER, READER = "licensing@serviceme.example", "wei.zhang@harbourline.example"
ROUNDS, CALLS, PROCESSES = 150, 5, 20
AT_MOST, AS_PROCESSES, KEPT = 1.25, 1 / 20, 10
KEPT_MESSAGES, SINGLE_MESSAGES, POSTFIX_ROUNDS = 100, 10, 5


def measured(home: Path) -> dict[str, object]:
    """Measures, prints, and returns the figures."""
    home.mkdir()
    home.chmod(0o755)  # Postfix runs as a user of its own
    figures: dict[str, object] = {"messages": messages(home)}
    terminal = Console(width=100)
    terminal.print(table(figures["messages"]))  # type: ignore[arg-type]  # it was made two lines above
    try:
        figures["postfix"] = found = postfix(home)
    except NotHere as reason:
        terminal.print(f"Postfix was not measured: {reason}.")
    else:
        terminal.print(
            f"Postfix with STARTTLS takes {found['kept_per_s']} messages/s over kept connections and "
            f"{found['single_per_s']} with a connection each: {found['ratio']} times (at least {KEPT})."
        )
    return figures


def messages(home: Path) -> dict[str, dict[str, float]]:
    """Microseconds of CPU for one message to a recipient of each kind: as the desk makes it, of that the envelope with its
    signature alone, the bare operations, and `openssl cms` signing and encrypting the same letter in two processes."""
    now = datetime.now(UTC)
    authority, key = make_authority(now), ec.generate_private_key(ec.SECP256R1())
    signer = MailSigner(make_signer(authority, key, SENDER, now), key)
    letter = letters.license_delivery(Reader("Zhang Wei", "en"), ISSUED, RAW, SHA256, DESK)
    headers = OuterHeaders(Mailbox(SENDER, "License desk"), Mailbox(READER, "Zhang Wei"), "<bench@serviceme.example>", now)
    found = {}
    for kind, secret in (
        ("RSA 2048", rsa.generate_private_key(65537, 2048)),
        ("P-256", ec.generate_private_key(ec.SECP256R1())),
        ("P-384", ec.generate_private_key(ec.SECP384R1())),
    ):
        certificate = make_recipient(authority, secret, READER, now)
        found[kind] = one_kind(home, letter, headers, signer, certificate)
    return found


def one_kind(
    home: Path, letter: Letter, headers: OuterHeaders, signer: MailSigner, certificate: x509.Certificate
) -> dict[str, float]:
    """The figures for one recipient."""
    pem = certificate.public_bytes(Encoding.PEM)
    content = os.urandom(22_000)  # about what is signed, and encrypted, of a license's letter

    def sealed() -> object:
        signature = cms.signature_over(content, signer.certificate, signer.key, signer.chain, headers.date)
        return cms.encrypted_to(certificate, content), signature

    steps: dict[str, Callable[[], object]] = {
        "message": partial(encrypt_for, letter, pem, signer, headers=headers),
        "sealed": sealed,
        "bare": partial(bare, content, signer, certificate),
    }
    figures = {name: round(1e6 * seconds, 1) for name, seconds in taking_turns(steps).items()}
    return figures | {"openssl": round(1e6 * openssl(home, content, signer, pem), 1)}


def bare(content: bytes, signer: MailSigner, certificate: x509.Certificate) -> None:
    """The operations that RFC 8551 asks for, on content of the same size, with nothing around them."""
    digest, content_key = hashlib.sha256(content).digest(), os.urandom(32)
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    signer.key.sign(digest, ec.ECDSA(hashes.SHA256()))
    match key := certificate.public_key():
        case rsa.RSAPublicKey():
            key.encrypt(content_key, padding.PKCS1v15())
        case ec.EllipticCurvePublicKey():
            ephemeral = ec.generate_private_key(key.curve)
            wrapping = X963KDF(hashes.SHA256(), 32, cms.SHARED_INFO).derive(ephemeral.exchange(ec.ECDH(), key))
            aes_key_wrap(wrapping, content_key)
    cipher = Cipher(AES256(content_key), CBC(os.urandom(16))).encryptor()
    cipher.update(content[: len(content) // 16 * 16])
    cipher.finalize()


def taking_turns(steps: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of one call in the quickest round, of this thread's own time: what else the machine does only ever adds."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            begin = time.thread_time()
            for _ in range(CALLS):
                step()
            taken[name].append((time.thread_time() - begin) / CALLS)
    return {name: min(each) for name, each in taken.items()}


def openssl(home: Path, content: bytes, signer: MailSigner, recipient: bytes) -> float:
    """Seconds of CPU to sign and encrypt one letter with two processes of `openssl cms`, the least of several."""
    (home / "letter").write_bytes(content)
    (home / "signer.pem").write_bytes(signer.certificate.public_bytes(Encoding.PEM) + key_pem(signer.key))
    (home / "recipient.pem").write_bytes(recipient)
    sign = ["openssl", "cms", "-sign", "-binary", "-in", "letter", "-signer", "signer.pem", "-out", "signed"]
    encrypt = ["openssl", "cms", "-encrypt", "-binary", "-aes256", "-in", "signed", "-out", "sealed", "recipient.pem"]
    taken = []
    for _ in range(PROCESSES):
        begin = _of_children()
        for command in (sign, encrypt):
            subprocess.run(command, cwd=home, check=True, capture_output=True, timeout=60)
        taken.append(_of_children() - begin)
    return min(taken)


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def postfix(home: Path) -> dict[str, float]:
    """Messages a second to Postfix with STARTTLS: over kept connections, and with a connection for each. Raises NotHere."""
    message = b"From: a@serviceme.example\r\nSubject: x\r\n\r\n" + base64_lines(os.urandom(22_000))
    spool = home / "postfix"
    spool.mkdir(mode=0o755)
    with running_postfix(spool, tls=True) as server:
        settings = MailSettings(smtp_host="localhost", smtp_port=server.port, smtp_tls="starttls", mail_sender=SENDER)
        transport = MailTransport(settings, tls=ssl.create_default_context(cafile=str(server.certificate)))

        def rate(count: int, *, kept: bool) -> float:
            begin = time.perf_counter()
            for _ in range(count):
                transport.send(SENDER, "somebody@elsewhere.example", message)
                if not kept:
                    transport.close()
            return count / (time.perf_counter() - begin)

        rate(20, kept=True)  # its processes have started
        rates = [(rate(KEPT_MESSAGES, kept=True), rate(SINGLE_MESSAGES, kept=False)) for _ in range(POSTFIX_ROUNDS)]
        transport.close()
    kept, single = (max(each) for each in zip(*rates, strict=True))
    return {"kept_per_s": round(kept, 1), "single_per_s": round(single, 1), "ratio": round(kept / single, 1)}


def table(found: Mapping[str, Mapping[str, float]]) -> Table:
    """The figures beside what they should be."""
    made = Table(title="One encrypted message (µs of CPU)")
    made.add_column("recipient")
    for name in (
        "bare operations",
        "sealed",
        "of the bare",
        "whole message",
        f"of the bare (≤ {AT_MOST})",
        "openssl cms",
        "of openssl (≤ 1/20)",
    ):
        made.add_column(name, justify="right")
    for kind, each in found.items():
        made.add_row(
            kind,
            f"{each['bare']:.0f}",
            f"{each['sealed']:.0f}",
            f"{each['sealed'] / each['bare']:.2f}",
            f"{each['message']:.0f}",
            f"{each['message'] / each['bare']:.2f}",
            f"{each['openssl']:.0f}",
            f"1/{each['openssl'] / each['message']:.0f}",
        )
    return made


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="licdesk-bench-") as folder:
        os.chmod(folder, 0o755)
        measured(Path(folder) / "mail")
