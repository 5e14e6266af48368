"""OpenPGP/MIME as the desk writes it, and the keys it signs with. Whether others open it is tried with gpg elsewhere."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from pysequoia import Cert, Profile, Tsk, decrypt

from tests.conftest import missing
from tests.mail.conftest import PGP_ADMIN, SENDER, Post
from tests.mail.readers import gnupg_home, parsed
from tests.servers import NotHere
from workflow.certificates import SignerUnusable
from workflow.mail import letters
from workflow.mail.messages import Letter, OuterHeaders
from workflow.mail.openpgp import OpenPGPSigner, encrypt_to_key, end_of_key
from workflow.mail.rendering import Reader
from workflow.mail.samples import DESK, ISSUED, RAW, SHA256

USER = f"License desk <{SENDER}>"


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=2)


def delivery() -> Letter:
    return letters.license_delivery(Reader("Guo Lan", "en"), ISSUED, RAW, SHA256, DESK)


def sealed(post: Post, headers: OuterHeaders, letter: Letter | None = None) -> bytes:
    return encrypt_to_key(
        letter or delivery(), post.openpgp_files.recipients[PGP_ADMIN].read_bytes(), post.openpgp, headers=headers
    )


def inside(post: Post, message: bytes) -> bytes:
    secret = Tsk.from_bytes(post.key_file(PGP_ADMIN).with_suffix(".asc").read_bytes())
    content = list(parsed(message).iter_parts())[1].get_payload(decode=True)
    assert isinstance(content, bytes)
    desk = Cert.from_bytes(post.openpgp.public.encode())
    found = decrypt(content, secret.decryptor(), lambda _: [desk])
    assert found.bytes is not None
    return found.bytes


def test_nothing_about_the_customer_is_outside_the_encryption(post: Post, headers: OuterHeaders) -> None:
    message = sealed(post, headers)
    for word in (b"PROD", b"7K3QM", b"Harbourline Logistics", b"version 3", b".lic"):
        assert word not in message
    assert parsed(message)["Subject"] == headers.subject


def test_header_fields_are_protected_as_rfc_9788_says(post: Post, headers: OuterHeaders) -> None:
    message = sealed(post, headers)
    letter, outside = parsed(inside(post, message)), parsed(message)
    assert letter["Subject"] == delivery().subject
    assert (letter["Content-Type"].params["hp"], letter["Content-Type"].params["protected-headers"]) == ("cipher", "v1")
    assert letter["Message-ID"] == outside["Message-ID"] == headers.message_id
    shown = {str(value).split(":", 1)[0] for value in letter.get_all("HP-Outer", [])}
    assert shown == set(outside.keys()) - {"MIME-Version", "Content-Type"}


def test_every_byte_travels_through_any_mail_server(post: Post, headers: OuterHeaders) -> None:
    message = sealed(post, headers, Letter("许可证", "From the first line\n.\nend \n" + "x" * 2_000, "<p>ü</p>\n.", ()))
    lines = message.split(b"\r\n")
    assert message.isascii()
    assert max(map(len, lines)) <= 78
    assert not any(b"\r" in line or b"\n" in line or line.startswith(b"From ") for line in lines)


def written(tmp_path: Path, secret: Tsk | Cert) -> Path:
    path = tmp_path / "key.asc"
    path.write_text(str(secret))
    return path


def test_a_key_for_another_address_is_refused_at_start(tmp_path: Path) -> None:
    path = written(tmp_path, Tsk.generate("Someone <someone@serviceme.example>"))
    with pytest.raises(SignerUnusable, match=f"must name the sender {SENDER}"):
        OpenPGPSigner.load(path, address=SENDER, at=soon())


def test_a_public_key_signs_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, Tsk.generate(USER).extract_certificate())
    with pytest.raises(SignerUnusable, match="must be a private key"):
        OpenPGPSigner.load(path, address=SENDER, at=soon())


def test_a_key_that_has_ended_is_refused_at_start(tmp_path: Path) -> None:
    path = written(tmp_path, Tsk.generate(USER, validity_seconds=3_600))
    end = end_of_key(path)
    assert end is not None
    assert OpenPGPSigner.load(path, address=SENDER, at=end).not_after == end
    with pytest.raises(SignerUnusable, match="has ended"):
        OpenPGPSigner.load(path, address=SENDER, at=end + timedelta(seconds=1))


@pytest.mark.parametrize("content", [None, b"", b"hello"], ids=["no file", "empty", "words"])
def test_what_is_no_key_is_refused_at_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key.asc"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SignerUnusable, match=r"key\.asc"):
        OpenPGPSigner.load(path, address=SENDER, at=soon())


def test_a_key_of_gpg_with_a_password_needs_it(post: Post, tmp_path: Path) -> None:
    authority = x509.load_pem_x509_certificate(post.files.authority.read_bytes())
    try:
        with gnupg_home(authority, post.openpgp.public.encode()) as gnupg:
            gnupg.run("gpg", "--passphrase", "open sesame", "--quick-gen-key", f"Licensing <{SENDER}>", "ed25519", "sign", "1y")
            secret = gnupg.run("gpg", "--passphrase", "open sesame", "--armor", "--export-secret-keys", "Licensing")
    except NotHere as reason:
        missing(str(reason))
    path = tmp_path / "key.asc"
    path.write_bytes(secret)
    assert OpenPGPSigner.load(path, b"open sesame", address=SENDER, at=soon()).public.startswith("-----BEGIN PGP PUBLIC")
    for password in (None, b"another"):
        with pytest.raises(SignerUnusable, match="needs its password"):
            OpenPGPSigner.load(path, password, address=SENDER, at=soon())


def test_a_signer_never_shows_its_secret(post: Post) -> None:
    assert "PRIVATE" not in repr(post.openpgp)
    assert "PySigner" not in repr(post.openpgp)


def test_keys_are_of_the_format_that_every_program_reads(post: Post) -> None:
    modern = Tsk.generate(USER, profile=Profile.RFC9580).extract_certificate().fingerprint
    assert (len(post.openpgp.fingerprint), len(modern)) == (40, 64)  # version 4, and 6
