"""Certificates that their authority took back: whose list counts, how it is read, and what a file that is none does."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7

from tests.mail.authorities import revocation_list
from tests.mail.conftest import ADMIN
from workflow.certificate_revocation import CertificateRevoked, RevocationListUnusable
from workflow.certificates import HoldsPrivateKey
from workflow.domain.delivery import Trust
from workflow.mail.demo_keys import Authority, make_authority, make_recipient
from workflow.recipient_keys import MailTrust, ReadKey, read_key
from workflow.services.mail_trust import AuthoritiesUnusable, mail_trust_from
from workflow.settings import WorkerSettings
from workflow.times import wall_now

NOW = wall_now()
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority(NOW)


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> x509.Certificate:
    return make_recipient(authority, KEY, ADMIN, NOW)


def trust_with(directory: Path, authority: Authority, *lists: bytes) -> MailTrust:
    """What a worker whose settings name these files believes."""
    (directory / "authorities").mkdir(exist_ok=True)
    (directory / "authorities" / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (directory / "lists").mkdir(exist_ok=True)
    for number, each in enumerate(lists):
        (directory / "lists" / f"{number}.crl").write_bytes(each)
    return mail_trust_from(
        WorkerSettings(
            database_url="sqlite://",
            mail_sender="licensing@serviceme.example",
            mail_ca=directory / "authorities",
            mail_crl=directory / "lists",
        )
    )


def read(certificate: x509.Certificate, trust: MailTrust) -> ReadKey:
    return read_key(certificate.public_bytes(Encoding.PEM), ADMIN, NOW, trust)


def test_a_certificate_on_its_authoritys_list_is_refused_and_the_day_is_said(
    tmp_path: Path, authority: Authority, certificate: x509.Certificate
) -> None:
    trust = trust_with(tmp_path, authority, revocation_list(authority, certificate))
    with pytest.raises(CertificateRevoked, match=r"This certificate was revoked on \d+ \w+ \d{4} by its issuer"):
        read(certificate, trust)


def test_another_certificate_of_the_authority_is_as_good_as_before(
    tmp_path: Path, authority: Authority, certificate: x509.Certificate
) -> None:
    other = make_recipient(authority, KEY, ADMIN, NOW)
    assert read(other, trust_with(tmp_path, authority, revocation_list(authority, certificate))).trust is Trust.CA


def test_a_list_that_somebody_else_signed_in_the_authoritys_name_takes_nothing_back(
    tmp_path: Path, authority: Authority, certificate: x509.Certificate
) -> None:
    forged = revocation_list(authority, certificate, key=ec.generate_private_key(ec.SECP256R1()))
    assert read(certificate, trust_with(tmp_path, authority, forged)).trust is Trust.CA


def test_a_list_that_is_late_still_takes_back_what_it_names(
    tmp_path: Path, authority: Authority, certificate: x509.Certificate
) -> None:
    late = revocation_list(authority, certificate, next_update=-timedelta(days=1))
    with pytest.raises(CertificateRevoked):
        read(certificate, trust_with(tmp_path, authority, late))


def test_a_list_is_read_anew_when_its_file_is_replaced(
    tmp_path: Path, authority: Authority, certificate: x509.Certificate
) -> None:
    trust = trust_with(tmp_path, authority, revocation_list(authority))
    assert read(certificate, trust).trust is Trust.CA
    (tmp_path / "lists" / "0.crl").write_bytes(revocation_list(authority, certificate))
    with pytest.raises(CertificateRevoked):
        read(certificate, trust)


@pytest.mark.parametrize(
    "content", [b"", b"no list", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"], ids=["empty", "text", "broken"]
)
def test_a_file_that_is_no_list_is_no_empty_list(tmp_path: Path, authority: Authority, content: bytes) -> None:
    with pytest.raises(RevocationListUnusable, match=r"is no X\.509 revocation list"):
        trust_with(tmp_path, authority, content)


def test_a_delta_is_not_read_as_if_it_were_whole(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(RevocationListUnusable, match="delta or an indirect list"):
        trust_with(tmp_path, authority, revocation_list(authority, extensions=[x509.DeltaCRLIndicator(1)]))


def test_a_directory_without_an_authority_trusts_nobody_by_mistake(tmp_path: Path) -> None:
    settings = WorkerSettings(database_url="sqlite://", mail_sender="licensing@serviceme.example", mail_ca=tmp_path)
    with pytest.raises(AuthoritiesUnusable, match="no certificate of an authority"):
        mail_trust_from(settings)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER], ids=["PEM", "DER"])
def test_a_pkcs7_chain_gives_the_certificate_of_the_address(
    tmp_path: Path, authority: Authority, certificate: x509.Certificate, encoding: Encoding
) -> None:
    chain = pkcs7.serialize_certificates([authority.certificate, certificate], encoding)
    found = read_key(chain, ADMIN, NOW, trust_with(tmp_path, authority))
    assert (found.fingerprint, found.trust) == (certificate.fingerprint(hashes.SHA256()).hex(), Trust.CA)


def test_openssl_makes_a_chain_that_is_read_alike(tmp_path: Path, authority: Authority, certificate: x509.Certificate) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in (certificate, authority.certificate)))
    command = ["openssl", "crl2pkcs7", "-nocrl", "-certfile", str(both), "-outform", "DER"]
    chain = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    assert read_key(chain, ADMIN, NOW, trust_with(tmp_path, authority)).trust is Trust.CA


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER], ids=["PEM", "DER"])
def test_a_private_key_is_refused_in_every_form_and_not_kept(encoding: Encoding) -> None:
    secret = KEY.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(HoldsPrivateKey):
        read_key(secret, ADMIN, NOW, MailTrust())
