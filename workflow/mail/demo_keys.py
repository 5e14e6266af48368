"""The demo's mail authority, the signer's certificate, and recipients' certificates with their keys. Never for production.

It lives beside the mail code and not in the inbox, because the command that writes these files may not import the inbox.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from workflow.errors import Misconfigured
from workflow.mail.messages import Mailbox

# The demo moves its clock to the end of a license, a year ahead; certificates must outlive that.
VALIDITY = timedelta(days=3 * 365)
AUTHORITY, SIGNER, SIGNER_KEY = "ca.pem", "signer.pem", "signer.key"


class PartialKeys(Misconfigured):
    """Some of the files exist: writing the rest would make a set that does not fit together."""

    code = "mail.partial_keys"


@dataclass(frozen=True)
class Authority:
    """A certificate authority for mail, held in memory."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class DemoFiles:
    """Where everything was written. `recipients` maps an address to its certificate for the customer page."""

    authority: Path
    signer_certificate: Path
    signer_key: Path
    recipients: dict[str, Path]


def write_demo_keys(
    directory: Path,
    inbox_keys: Path,
    *,
    recipients: Iterable[str],
    signer_address: str,
    now: datetime,
    on_curve: Collection[str] = (),
) -> DemoFiles:
    """Makes authority, signer and recipients, once; a complete set is left as it is.

    `directory` gets what the desk needs (ca.pem, signer.pem, signer.key, recipients/ADDRESS.pem), `inbox_keys` gets the
    recipients' certificates and keys; RSA, or P-256 for those in `on_curve`. The authority's own key is not kept: nobody can
    add to a demo's authority later.
    Raises PartialKeys when only some files exist, UnsafeHeader for an address that is none.
    """
    addresses = [Mailbox(each).address for each in recipients]
    files = DemoFiles(
        directory / AUTHORITY,
        directory / SIGNER,
        directory / SIGNER_KEY,
        {each: directory / "recipients" / f"{file_stem(each)}.pem" for each in addresses},
    )
    held = {each: inbox_keys / f"{file_stem(each)}.pem" for each in addresses}
    wanted = [files.authority, files.signer_certificate, files.signer_key, *files.recipients.values(), *held.values()]
    missing = [each for each in wanted if not each.exists()]
    if not missing:
        return files
    if len(missing) < len(wanted):
        raise PartialKeys(
            f"{missing[0]} is missing while others of its set exist. Remove {directory} and {inbox_keys}, then run again."
        )
    authority = make_authority(now)
    signer_key = ec.generate_private_key(ec.SECP256R1())
    signer = make_signer(authority, signer_key, signer_address, now)
    for address in addresses:
        key = ec.generate_private_key(ec.SECP256R1()) if address in on_curve else rsa.generate_private_key(65537, 2048)
        certificate = make_recipient(authority, key, address, now).public_bytes(Encoding.PEM)
        write_file(held[address], certificate + key_pem(key), private=True)
        write_file(files.recipients[address], certificate)
    write_file(files.signer_key, key_pem(signer_key), private=True)
    write_file(files.signer_certificate, signer.public_bytes(Encoding.PEM))
    write_file(files.authority, authority.certificate.public_bytes(Encoding.PEM))
    return files


def file_stem(address: str) -> str:
    """A file name for an address. A slash is legal in an address and must not choose the folder."""
    return quote(address.lower(), safe="@+=")


def make_authority(now: datetime) -> Authority:
    """A self-signed authority that may issue certificates for mail."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("License Desk demo mail authority")
    certificate = (
        _builder(name, name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def make_signer(authority: Authority, key: ec.EllipticCurvePrivateKey, address: str, now: datetime) -> x509.Certificate:
    """A certificate for signing mail from `address`."""
    return _issue(authority, key.public_key(), address, now, _key_usage(digital_signature=True))


def make_recipient(
    authority: Authority,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    address: str,
    now: datetime,
    *,
    validity: timedelta = VALIDITY,
) -> x509.Certificate:
    """A certificate for encrypting mail to `address`."""
    agrees = isinstance(key, ec.EllipticCurvePrivateKey)
    usage = _key_usage(digital_signature=True, key_encipherment=not agrees, key_agreement=agrees)
    return _issue(authority, key.public_key(), address, now, usage, validity)


def key_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8, unencrypted: demo keys protect nothing but a demonstration."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _issue(
    authority: Authority,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    address: str,
    now: datetime,
    usage: x509.KeyUsage,
    validity: timedelta = VALIDITY,
) -> x509.Certificate:
    return (
        _builder(_name(address), authority.certificate.subject, key, now, validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    now: datetime,
    validity: timedelta = VALIDITY,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of two machines differ
        .not_valid_after(now + validity)
    )


def _key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_agreement: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=key_agreement,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    # X.520 bounds the common name at 64 characters; the address proper stands in subjectAltName.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def write_file(path: Path, content: bytes, *, private: bool = False) -> None:
    """Writes a file for everybody, or for its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o755)
    path.touch(mode=0o600 if private else 0o644)  # before the secret is in it
    path.write_bytes(content)
