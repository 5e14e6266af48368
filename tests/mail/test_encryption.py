"""What leaves the desk, read by somebody else's program: the openssl command line."""

import email
import subprocess
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.mail.conftest import ADMIN, OTHER_ADMIN, SENDER, Post
from workflow.certificates import SignerUnusable
from workflow.mail import letters
from workflow.mail.demo_keys import key_pem, make_authority, make_signer
from workflow.mail.encryption import MailSigner, encrypt_for, sign_only
from workflow.mail.messages import Letter, OuterHeaders
from workflow.mail.rendering import Reader
from workflow.mail.samples import DESK, ISSUED, RAW, SHA256
from workflow.times import wall_now


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", "cms", *map(str, arguments)], capture_output=True, timeout=30, check=False)


def parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=SMTP)
    assert isinstance(message, EmailMessage)
    return message


def delivery() -> Letter:
    return letters.license_delivery(Reader("Zhang Wei", "en"), ISSUED, RAW, SHA256, DESK)


def decrypted(message: bytes, post: Post, tmp_path: Path, address: str = ADMIN) -> subprocess.CompletedProcess[bytes]:
    sealed = tmp_path / "sealed.eml"
    sealed.write_bytes(message)
    key = post.key_file(address)
    return openssl("-decrypt", "-in", sealed, "-inkey", key, "-recip", key)


def verified(signed: bytes, authority: Path, tmp_path: Path) -> subprocess.CompletedProcess[bytes]:
    file = tmp_path / "signed.eml"
    file.write_bytes(signed)
    return openssl("-verify", "-in", file, "-CAfile", authority, "-purpose", "smimesign")


def test_the_recipient_opens_it_with_openssl_and_gets_the_very_file(post: Post, headers: OuterHeaders, tmp_path: Path) -> None:
    message = encrypt_for(delivery(), post.certificate(), post.signer, headers=headers)
    opened = decrypted(message, post, tmp_path)
    assert opened.returncode == 0, opened.stderr
    checked = verified(opened.stdout, post.files.authority, tmp_path)
    assert checked.returncode == 0, checked.stderr
    inside = parsed(checked.stdout)
    (attachment,) = inside.iter_attachments()
    assert attachment.get_filename() == "PROD-7K3QM-X2V9D-4HTRB-v3.lic"
    assert attachment.get_payload(decode=True) == RAW
    assert inside["Subject"] == "License PROD-7K3QM-X2V9D-4HTRB, version 3"
    text = inside.get_body(("plain",))
    assert text is not None
    assert "31 Mar 2027, Asia/Shanghai" in text.get_content()


def test_openssl_notices_a_changed_byte(post: Post, headers: OuterHeaders, tmp_path: Path) -> None:
    message = encrypt_for(delivery(), post.certificate(), post.signer, headers=headers)
    signed = decrypted(message, post, tmp_path).stdout
    changed = signed.replace(b"PROD-7K3QM", b"PROD-7K3QN", 1)
    assert changed != signed
    assert verified(changed, post.files.authority, tmp_path).returncode != 0


def test_another_recipient_cannot_open_it(post: Post, headers: OuterHeaders, tmp_path: Path) -> None:
    message = encrypt_for(delivery(), post.certificate(ADMIN), post.signer, headers=headers)
    assert RAW not in decrypted(message, post, tmp_path, OTHER_ADMIN).stdout


def test_nothing_about_the_customer_is_outside_the_encryption(post: Post, headers: OuterHeaders) -> None:
    message = encrypt_for(delivery(), post.certificate(), post.signer, headers=headers)
    for word in (b"PROD", b"7K3QM", b"Harbourline", b"version 3", b".lic"):
        assert word not in message
    assert parsed(message)["Subject"] == headers.subject


def test_header_fields_are_protected_as_rfc_9788_says(post: Post, headers: OuterHeaders, tmp_path: Path) -> None:
    message = encrypt_for(delivery(), post.certificate(), post.signer, headers=headers)
    inside = parsed(verified(decrypted(message, post, tmp_path).stdout, post.files.authority, tmp_path).stdout)
    outside = parsed(message)
    assert inside["Content-Type"].params["hp"] == "cipher"
    assert inside["From"] == outside["From"]
    assert inside["Message-ID"] == outside["Message-ID"] == headers.message_id
    shown = {str(value).split(":", 1)[0]: str(value).split(":", 1)[1].strip() for value in inside.get_all("HP-Outer", [])}
    structural = {"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition"}
    assert set(shown) == set(outside.keys()) - structural
    assert shown["Subject"] == headers.subject


def test_the_date_is_the_callers_and_nobody_answers_automatically(post: Post, headers: OuterHeaders) -> None:
    outside = parsed(encrypt_for(delivery(), post.certificate(), post.signer, headers=headers))
    assert outside["Date"].datetime == headers.date
    assert outside["Auto-Submitted"] == "auto-generated"


def test_a_letter_without_a_license_is_signed_in_clear(post: Post, headers: OuterHeaders, tmp_path: Path) -> None:
    letter = letters.portal_code(Reader("Zhang Wei", "en"), "7K3Q-MX2V", 10, DESK)
    message = sign_only(letter, post.signer, headers=headers)
    checked = verified(message, post.files.authority, tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert parsed(checked.stdout)["Content-Type"].params["hp"] == "clear"
    assert parsed(message)["Subject"] == letter.subject
    assert "7K3Q-MX2V" in checked.stdout.decode()


def test_without_a_signer_it_is_plain_and_complete(headers: OuterHeaders) -> None:
    letter = letters.portal_code(Reader("Zhang Wei", "en"), "7K3Q-MX2V", 10, DESK)
    message = parsed(sign_only(letter, None, headers=headers))
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n").rstrip("\n") == letter.text.rstrip("\n")


def test_every_byte_travels_through_any_mail_server(post: Post, headers: OuterHeaders) -> None:
    awkward = Letter("许可证", "From the first line\n.\nend \n" + "x" * 2_000, "<p>ü</p>\n.", ())
    nearly_plain = Letter("From", "Hello\nFrom here on\ntrailing \n", "<p>\nFrom\n</p>", ())
    for message in (
        encrypt_for(awkward, post.certificate(), post.signer, headers=headers),
        *(sign_only(letter, signer, headers=headers) for letter in (awkward, nearly_plain) for signer in (post.signer, None)),
    ):
        assert message.isascii()
        lines = message.split(b"\r\n")
        assert max(map(len, lines)) <= 998
        assert not any(line.startswith(b"From ") or line.endswith(b" ") for line in lines)  # mbox and relays change these
        assert not any(b"\r" in line or b"\n" in line for line in lines)


def test_awkward_text_keeps_its_signature_and_its_words(post: Post, headers: OuterHeaders, tmp_path: Path) -> None:
    awkward = Letter("From here on", "From the first line\n.\nend \nü", "<p>From</p>", ())
    checked = verified(sign_only(awkward, post.signer, headers=headers), post.files.authority, tmp_path)
    assert checked.returncode == 0, checked.stderr
    text = parsed(checked.stdout).get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == awkward.text


def test_the_chain_travels_with_the_signature(post: Post, headers: OuterHeaders, tmp_path: Path) -> None:
    stranger = make_authority(wall_now()).certificate
    signer = MailSigner(post.signer.certificate, post.signer.key, (stranger,))
    checked = verified(sign_only(delivery(), signer, headers=headers), post.files.authority, tmp_path)
    assert checked.returncode == 0, checked.stderr
    signature = parsed((tmp_path / "signed.eml").read_bytes()).get_payload(1)
    assert isinstance(signature, EmailMessage)
    der = signature.get_payload(decode=True)
    assert isinstance(der, bytes)
    assert stranger.public_bytes(Encoding.DER) in der


def test_a_key_that_belongs_to_another_certificate_is_refused_at_start(post: Post, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(SignerUnusable, match="does not belong"):
        MailSigner.load(post.files.signer_certificate, other, address=SENDER, at=wall_now())


def test_a_signer_for_another_address_is_refused_at_start(post: Post) -> None:
    with pytest.raises(SignerUnusable, match=r"must name the sender someone@serviceme\.example"):
        MailSigner.load(
            post.files.signer_certificate, post.files.signer_key, address="someone@serviceme.example", at=wall_now()
        )


def test_a_signer_key_with_a_password_needs_it(post: Post, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    now = wall_now()
    certificate = make_signer(make_authority(now), key, SENDER, now)
    (tmp_path / "signer.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "signer.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a long one"))
    )
    files = (tmp_path / "signer.pem", tmp_path / "signer.key")
    assert MailSigner.load(*files, b"a long one", address=SENDER, at=now).certificate == certificate
    with pytest.raises(SignerUnusable, match="needs its password"):
        MailSigner.load(*files, address=SENDER, at=now)
