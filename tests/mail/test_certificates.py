"""Which certificates a license may be encrypted to, and what a person is told about the others."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.mail.conftest import ADMIN, OTHER_ADMIN, Post
from workflow.certificates import (
    CertificateRefused,
    CertificateUnreadable,
    HoldsPrivateKey,
    NotValidNow,
    OtherAddress,
    OtherPurpose,
    UnsuitableKey,
    UntrustedIssuer,
    check_issuer,
    read_certificate,
)
from workflow.mail.demo_keys import Authority, key_pem, make_authority, make_recipient, make_signer
from workflow.times import wall_now


def certificate_with(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType, address: str = ADMIN
) -> bytes:
    """Self-signed, as administrators make them with openssl."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Zhang Wei")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(wall_now() - timedelta(days=1))
        .not_valid_after(wall_now() + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def used_for(*uses: str) -> x509.KeyUsage:
    flags = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**flags | dict.fromkeys(uses, True))


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def test_a_good_certificate_says_whose_it_is_and_until_when(post: Post) -> None:
    found = read_certificate(post.certificate(), ADMIN, wall_now(), authorities=[post.files.authority.read_bytes()])
    loaded = x509.load_pem_x509_certificate(post.certificate())
    assert found.addresses == (ADMIN,)
    assert found.key_type == "RSA 2048"
    assert found.fingerprint == loaded.fingerprint(hashes.SHA256()).hex()
    assert found.not_after == loaded.not_valid_after_utc


def test_pem_and_der_are_the_same_certificate(post: Post) -> None:
    der = x509.load_pem_x509_certificate(post.certificate()).public_bytes(Encoding.DER)
    assert read_certificate(der, ADMIN, wall_now()) == read_certificate(post.certificate(), ADMIN, wall_now())


def test_letter_case_of_an_address_does_not_matter(post: Post) -> None:
    assert read_certificate(post.certificate(), "Wei.Zhang@Harbourline.example", wall_now()).addresses == (ADMIN,)


def test_without_authorities_a_pinned_self_signed_one_is_good(key: rsa.RSAPrivateKey) -> None:
    assert read_certificate(certificate_with(key), ADMIN, wall_now()).key_type == "RSA 2048"


def test_a_self_signed_one_has_no_authority_behind_it(post: Post, key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(UntrustedIssuer):
        read_certificate(certificate_with(key), ADMIN, wall_now(), authorities=[post.files.authority.read_bytes()])


def test_another_authority_does_not_count(post: Post, key: rsa.RSAPrivateKey) -> None:
    """Same name, other key: the name of an issuer proves nothing."""
    now = wall_now()
    foreign = make_recipient(make_authority(now), key, ADMIN, now).public_bytes(Encoding.PEM)
    with pytest.raises(UntrustedIssuer):
        read_certificate(foreign, ADMIN, now, authorities=[post.files.authority.read_bytes()])


def test_a_recipient_cannot_act_as_an_authority(post: Post, key: rsa.RSAPrivateKey) -> None:
    """Also when somebody configures a recipient's certificate as trusted."""
    now = wall_now()
    parent_key = ec.generate_private_key(ec.SECP256R1())
    parent = make_signer(make_authority(now), parent_key, OTHER_ADMIN, now)
    forged = make_recipient(Authority(parent, parent_key), key, ADMIN, now)
    with pytest.raises(UntrustedIssuer):
        check_issuer(forged, [parent.public_bytes(Encoding.PEM)], now)


def test_a_certificate_of_another_person_is_refused_and_names_them(post: Post) -> None:
    with pytest.raises(OtherAddress, match=r"names wei\.zhang@harbourline\.example"):
        read_certificate(post.certificate(), OTHER_ADMIN, wall_now())


def test_before_and_after_its_time_it_is_refused(post: Post) -> None:
    loaded = x509.load_pem_x509_certificate(post.certificate())
    with pytest.raises(NotValidNow, match="ended on"):
        read_certificate(post.certificate(), ADMIN, loaded.not_valid_after_utc + timedelta(seconds=1))
    with pytest.raises(NotValidNow, match="valid from"):
        read_certificate(post.certificate(), ADMIN, loaded.not_valid_before_utc - timedelta(seconds=1))


def test_a_weak_key_is_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # that is the point
    with pytest.raises(UnsuitableKey, match="1,024 bits"):
        read_certificate(certificate_with(weak), ADMIN, wall_now())


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_a_key_on_one_of_the_usual_curves_is_good(curve: ec.EllipticCurve) -> None:
    found = read_certificate(certificate_with(ec.generate_private_key(curve)), ADMIN, wall_now())
    assert found.key_type == f"EC P-{curve.key_size}"


@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.BrainpoolP256R1(), ec.SECP224R1()], ids=lambda curve: curve.name)
def test_a_key_that_no_mail_program_reads_is_refused_at_upload_and_not_at_delivery(curve: ec.EllipticCurve) -> None:
    with pytest.raises(UnsuitableKey, match="P-256"):
        read_certificate(certificate_with(ec.generate_private_key(curve)), ADMIN, wall_now())


def test_a_certificate_for_web_servers_is_refused(key: rsa.RSAPrivateKey) -> None:
    pem = certificate_with(key, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))
    with pytest.raises(OtherPurpose, match="not made for mail"):
        read_certificate(pem, ADMIN, wall_now())


def test_a_certificate_for_signatures_only_is_refused(key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(OtherPurpose, match="signatures only"):
        read_certificate(certificate_with(key, used_for("digital_signature")), ADMIN, wall_now())


def test_a_key_on_a_curve_must_be_allowed_to_agree_on_keys() -> None:
    on_curve = ec.generate_private_key(ec.SECP256R1())
    assert read_certificate(certificate_with(on_curve, used_for("key_agreement")), ADMIN, wall_now()).key_type == "EC P-256"
    with pytest.raises(OtherPurpose, match="keyAgreement"):
        read_certificate(certificate_with(on_curve, used_for("key_encipherment")), ADMIN, wall_now())


def test_a_file_with_a_private_key_is_refused(post: Post, key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(HoldsPrivateKey):
        read_certificate(post.certificate() + key_pem(key), ADMIN, wall_now())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"\x30\x82\xff\xff",
        b"\x00" * 5_000_000,
    ],
    ids=["empty", "words", "broken PEM", "broken DER", "5 MB"],
)
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(CertificateUnreadable):
        read_certificate(data, ADMIN, wall_now())


def test_of_several_certificates_the_one_with_the_address_is_the_recipients(post: Post) -> None:
    both = post.certificate(OTHER_ADMIN) + post.certificate(ADMIN)
    found = read_certificate(both, ADMIN, wall_now())
    assert (found.addresses, len(found.intermediates)) == ((ADMIN,), 1)
    assert found.pem == post.certificate(ADMIN)
    with pytest.raises(OtherAddress, match=f"{OTHER_ADMIN} and {ADMIN}"):
        read_certificate(both, "nobody@harbourline.example", wall_now())
    too_many = b"".join(certificate_with(ec.generate_private_key(ec.SECP256R1())) for _ in range(11))
    with pytest.raises(CertificateUnreadable, match="11 certificates"):
        read_certificate(too_many, ADMIN, wall_now())


def test_every_truncation_is_refused(post: Post) -> None:
    der = x509.load_pem_x509_certificate(post.certificate()).public_bytes(Encoding.DER)
    for length in range(0, len(der), 7):
        with pytest.raises(CertificateRefused):
            read_certificate(der[:length], ADMIN, wall_now())
