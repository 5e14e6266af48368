"""What the inbox says about a message. "Signed by" must never be said of anything else."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7
from cryptography.x509 import load_pem_x509_certificate

from tests.inbox.conftest import delivery, headers, sealed, signed
from tests.mail.conftest import CURVE_ADMIN, PGP_ADMIN, SENDER, Post
from workflow.errors import Misconfigured
from workflow.inbox.opening import Keyring, Opened, open_message
from workflow.mail.demo_keys import make_authority, make_signer
from workflow.mail.demo_openpgp import write_demo_openpgp
from workflow.mail.encryption import MailSigner, encrypt_for, sign_only
from workflow.mail.messages import Letter, Mailbox
from workflow.mail.openpgp import OpenPGPSigner, encrypt_to_key
from workflow.mail.samples import RAW
from workflow.times import wall_now


@pytest.fixture(scope="module")
def keyring(post: Post) -> Keyring:
    return Keyring(post.keys, post.files.authority)


def opened(raw: bytes, keyring: Keyring) -> Opened:
    return open_message(raw, keyring, wall_now())


def sealed_with_openpgp(post: Post, signer: OpenPGPSigner | None = None) -> bytes:
    key = post.openpgp_files.recipients[PGP_ADMIN].read_bytes()
    return encrypt_to_key(delivery(), key, signer or post.openpgp, headers=headers(1, PGP_ADMIN))


def test_a_delivery_opens_with_subject_words_and_file(post: Post, keyring: Keyring) -> None:
    found = opened(sealed(post), keyring)
    assert found.encrypted
    assert found.readable
    assert (found.signed, found.signature) == (True, f"Signed by {SENDER}.")
    assert found.subject == "License PROD-7K3QM-X2V9D-4HTRB, version 3"
    assert found.outer_subject == "Encrypted message from the license desk"
    assert [(file.name, file.content) for file in found.files] == [("PROD-7K3QM-X2V9D-4HTRB-v3.lic", RAW)]
    assert found.text == delivery().text
    assert found.html.strip() == delivery().html.strip()


def test_a_delivery_to_a_key_on_a_curve_opens_too(post: Post, keyring: Keyring) -> None:
    found = opened(encrypt_for(delivery(), post.certificate(CURVE_ADMIN), post.signer, headers=headers(1)), keyring)
    assert (found.encrypted, found.readable, found.signed) == (True, True, True)
    assert [file.content for file in found.files] == [RAW]


def test_a_delivery_by_openpgp_opens_and_brings_the_desks_key(post: Post, keyring: Keyring) -> None:
    raw = sealed_with_openpgp(post)
    found = opened(raw, keyring)
    assert (found.encrypted, found.readable, found.protocol) == (True, True, "OpenPGP")
    assert (found.signed, found.signature) == (True, f"Signed by {SENDER}.")
    assert (found.subject, found.outer_subject) == (delivery().subject, "Encrypted message from the license desk")
    assert found.text == delivery().text
    name = f"OpenPGP_0x{post.openpgp.fingerprint[-16:].upper()}.asc"
    assert [file.content for file in found.files if file.name != name] == [RAW]
    assert [file.content.decode() for file in found.files if file.name == name] == [post.openpgp.public]


def test_an_openpgp_signature_of_a_stranger_is_not_believed(post: Post, keyring: Keyring, tmp_path: Path) -> None:
    """Also when the stranger's key says that it is the desk's."""
    strange = write_demo_openpgp(tmp_path / "d", tmp_path / "i", recipients=[], signer=Mailbox(SENDER, "License desk"))
    signer = OpenPGPSigner.load(strange.signer, address=SENDER, at=wall_now() + timedelta(seconds=2))
    found = opened(sealed_with_openpgp(post, signer), keyring)
    assert (found.readable, found.signed) == (True, False)
    assert found.signature == "Not signed by someone this inbox trusts."


def test_an_openpgp_signer_who_is_not_the_sender_is_not_believed(post: Post, keyring: Keyring) -> None:
    forged = replace(headers(1, PGP_ADMIN), sender=Mailbox("boss@serviceme.example"))
    key = post.openpgp_files.recipients[PGP_ADMIN].read_bytes()
    found = opened(encrypt_to_key(delivery(), key, post.openpgp, headers=forged), keyring)
    assert not found.signed
    assert "not the sender's" in found.signature


def test_no_changed_character_of_an_openpgp_message_goes_unnoticed(post: Post, keyring: Keyring) -> None:
    raw = sealed_with_openpgp(post)
    first, last = raw.index(b"-----BEGIN PGP MESSAGE"), raw.index(b"-----END PGP MESSAGE")
    for place in range(first + 60, last - 10, (last - first) // 40):
        changed = raw[:place] + (b"A" if raw[place : place + 1] != b"A" else b"B") + raw[place + 1 :]
        found = opened(changed, keyring)
        assert not found.signed or found.files == opened(raw, keyring).files  # what the armor adds is not the message


def test_without_the_key_only_the_outside_shows(post: Post, tmp_path: Path) -> None:
    found = opened(sealed(post), Keyring(tmp_path, post.files.authority))
    assert found.encrypted
    assert not found.readable
    assert not found.signed
    assert (found.text, found.html, found.files) == ("", "", ())
    assert "PROD" not in found.subject


def test_a_signed_letter_is_recognized(post: Post, keyring: Keyring) -> None:
    found = opened(signed(post, 1), keyring)
    assert (found.encrypted, found.signed) == (False, True)


def test_an_unsigned_letter_is_not(keyring: Keyring) -> None:
    found = opened(sign_only(delivery(), None, headers=headers(1)), keyring)
    assert (found.signed, found.signature) == (False, "Not signed.")


@pytest.mark.parametrize("number", range(0, 4_000, 37))
def test_no_changed_character_of_the_signed_part_goes_unnoticed(post: Post, keyring: Keyring, number: int) -> None:
    raw = signed(post, 1)
    start = raw.index(b"\r\n\r\n") + 4
    boundary = raw[start:].split(b"\r\n", 1)[0]
    first, last = start + len(boundary) + 2, raw.index(b"\r\n" + boundary, start)
    place = first + number % (last - first)
    changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
    assert not opened(changed, keyring).signed


def test_a_signature_of_another_authoritys_signer_is_not_believed(post: Post, keyring: Keyring) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), wall_now()
    stranger = make_authority(now)
    signer = MailSigner(make_signer(stranger, key, SENDER, now), key, (stranger.certificate,))
    found = opened(sign_only(delivery(), signer, headers=headers(1)), keyring)
    assert not found.signed
    assert "not by someone this inbox trusts" in found.signature


def test_a_recipient_cannot_sign_in_the_desks_name(post: Post, keyring: Keyring) -> None:
    """The authority vouches for the recipient's certificate as well: it must be the sender's that counts."""
    pem = post.key_file().read_bytes()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    impostor = MailSigner(load_pem_x509_certificate(pem), key)
    found = opened(sign_only(delivery(), impostor, headers=headers(1)), keyring)
    assert not found.signed
    assert "who is not the sender" in found.signature


def test_the_sender_inside_the_signature_counts_and_is_shown(post: Post, keyring: Keyring) -> None:
    raw = signed(post, 1)
    forged = raw.replace(f"<{SENDER}>".encode(), b"<boss@evil.example>", 1)
    found = opened(forged, keyring)
    assert found.signed
    assert SENDER in found.sender
    assert "evil" not in found.sender


def test_a_signature_from_after_the_certificates_end_is_not_believed(post: Post, keyring: Keyring) -> None:
    late = post.signer.certificate.not_valid_after_utc + timedelta(days=1)
    assert not open_message(signed(post, 1), keyring, late).signed


def test_without_an_authority_nobody_is_believed(post: Post) -> None:
    found = opened(signed(post, 1), Keyring(post.keys, None))
    assert not found.signed
    assert "knows no mail authority" in found.signature


def test_a_signature_moved_to_another_letter_is_not_believed(post: Post, keyring: Keyring) -> None:
    own, other = signed(post, 1), signed(post, 2)
    boundary = own.split(b'boundary="', 1)[1].split(b'"', 1)[0]
    foreign = other.split(b'boundary="', 1)[1].split(b'"', 1)[0]
    mixed = own.rpartition(b"--" + boundary + b"\r\n")[0] + b"--" + boundary + b"\r\n"
    mixed += other.rpartition(b"--" + foreign + b"\r\n")[2].replace(foreign, boundary)
    found = opened(mixed, keyring)
    assert not found.signed
    assert found.signature == "The message was changed after it was signed."


def test_words_slipped_in_beside_the_signed_part_are_not_shown_as_signed(post: Post, keyring: Keyring) -> None:
    raw = signed(post, 1)
    boundary = raw.split(b'boundary="', 1)[1].split(b'"', 1)[0]
    slipped = b"--" + boundary + b"\r\nContent-Type: text/plain\r\n\r\nPay me\r\n"
    first = raw.index(b"--" + boundary)
    signature = raw.rindex(b"--" + boundary + b"\r\n")
    for place in (first, signature):
        assert not opened(raw[:place] + slipped + raw[place:], keyring).signed


@pytest.mark.parametrize("step", range(40))
def test_no_truncation_makes_it_fail(post: Post, keyring: Keyring, step: int) -> None:
    on_curve = encrypt_for(delivery(), post.certificate(CURVE_ADMIN), post.signer, headers=headers(1))
    for raw in (sealed(post), signed(post, 1), on_curve, sealed_with_openpgp(post)):
        cut = raw[: len(raw) * step // 40]
        assert not opened(cut, keyring).signed


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff" * 500,
        b"Content-Type: multipart/signed\r\n\r\n",
        b'Content-Type: multipart/signed; boundary="a"\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n',
        b'Content-Type: multipart/signed; boundary="a"\r\n\r\n--a\r\n\r\nx\r\n--a\r\n\r\nMAA=\r\n--a--\r\n',
        'Content-Type: multipart/signed; boundary="ü"\r\n\r\n--ü\r\n\r\nx\r\n--ü\r\n\r\ny\r\n--ü--\r\n'.encode(),
        b"Content-Type: application/pkcs7-mime\r\n\r\nnot base64",
        b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\nMAA=\r\n",
        b'Content-Type: multipart/encrypted; boundary="a"\r\n\r\n--a\r\n\r\nx\r\n--a\r\n\r\ny\r\n--a--\r\n',
        b"Content-Type: multipart/encrypted\r\n\r\nx",
        b"Content-Type: text/plain; charset=klingon\r\n\r\nnuqneH",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n=====",
        b"Subject: =?utf-8?B?\xff?=\r\nTo: @@@\r\nDate: never\r\nMessage-ID: <\r\n\r\nx",
        b"To: a@b.example, c@d.example\r\nFrom:\r\n\r\nx",
    ],
    ids=range(14),
)
def test_nothing_that_arrives_can_break_the_inbox(raw: bytes, keyring: Keyring) -> None:
    assert not opened(raw, keyring).signed


def test_a_message_that_is_not_ours_still_shows(keyring: Keyring) -> None:
    found = opened(b"From: a@b.example\r\nTo: c@d.example\r\nSubject: Hi\r\n\r\nhello\r\n", keyring)
    assert (found.subject, found.recipient, found.text.strip()) == ("Hi", "c@d.example", "hello")


def test_awkward_words_come_out_as_they_went_in(post: Post, keyring: Keyring) -> None:
    letter = Letter("许可证 " * 20, "From the start\n.\n许可证 \n", "<p>許可</p>\n")
    found = opened(encrypt_for(letter, post.certificate(), post.signer, headers=headers(1)), keyring)
    assert (found.subject, found.text, found.html) == (letter.subject.strip(), letter.text, letter.html)
    assert found.signed


def test_a_key_file_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    with pytest.raises(Misconfigured, match=r"x\.pem can't be read"):
        Keyring(tmp_path, None)


def test_a_certificate_container_without_a_signature_is_not_one(post: Post, keyring: Keyring) -> None:
    import base64

    only = pkcs7.serialize_certificates([post.signer.certificate], Encoding.DER)
    raw = (
        b'Content-Type: multipart/signed; boundary="a"\r\n\r\n--a\r\n\r\nx\r\n--a\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    )
    found = opened(raw + base64.encodebytes(only) + b"--a--\r\n", keyring)
    assert (found.signed, found.signature) == (False, "The signature cannot be read.")
