"""Certificates that their authority took back: X.509 revocation lists (RFC 5280, 5) from files of the desk.

A list whose `nextUpdate` has passed still takes back what it names, and stops nothing else: an authority's late file must not
hold up every delivery. `licdesk doctor` says that it is late.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from workflow.certificates import CertificateRefused
from workflow.errors import Misconfigured


class CertificateRevoked(CertificateRefused):
    """Its authority took it back."""

    code = "certificate.revoked"


class RevocationListUnusable(Misconfigured):
    """A file that was named as a revocation list and is none, or one for a part of an authority's certificates only."""

    code = "certificate.revocation_list"


RevocationLists = tuple[x509.CertificateRevocationList, ...]


def read_revocation_list(path: Path) -> x509.CertificateRevocationList:
    """A list from its file, PEM or DER. Raises RevocationListUnusable for what is none, and for a delta or an indirect list:
    read as if it were whole, it would let pass what the whole one takes back."""
    try:
        data = path.read_bytes()
        pem = b"-----BEGIN" in data
        found = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
        partial = any(_is_partial(each) for each in found.extensions)
    except (OSError, ValueError) as error:
        raise RevocationListUnusable(f"{path} is no X.509 revocation list in PEM or DER. Replace it.") from error
    if partial:
        raise RevocationListUnusable(f"{path} is a delta or an indirect list. Use the authority's complete one.")
    return found


def check_revoked(
    certificate: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    authorities: Sequence[bytes],
    revocations: RevocationLists,
) -> None:
    """Raises CertificateRevoked when a list that its issuer signed names the certificate, or an intermediate it came with."""
    if not revocations:
        return
    issuers = [*intermediates, *(each for pem in authorities for each in x509.load_pem_x509_certificates(pem))]
    for each in (certificate, *intermediates):
        for found in _lists_about(each, issuers, revocations):
            taken_back = found.get_revoked_certificate_by_serial_number(each.serial_number)
            if taken_back is not None:
                day = taken_back.revocation_date_utc
                whose = "This certificate" if each is certificate else f"The intermediate {each.subject.rfc4514_string()}"
                raise CertificateRevoked(
                    f"{whose} was revoked on {day.day} {day:%b %Y} by its issuer. Ask the recipient for the one they use now."
                )


def signed_by(found: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether this issuer made the list: the name, the right to sign lists (keyUsage cRLSign), and the signature."""
    if issuer.subject != found.issuer:
        return False
    try:
        if not issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign:
            return False
    except x509.ExtensionNotFound:
        pass
    except ValueError:
        return False
    try:
        return bool(found.is_signature_valid(issuer.public_key()))  # type: ignore[arg-type]  # other keys raise TypeError
    except (TypeError, ValueError, InvalidSignature):
        return False


def _lists_about(
    certificate: x509.Certificate,
    issuers: Iterable[x509.Certificate],
    lists: Iterable[x509.CertificateRevocationList],
) -> list[x509.CertificateRevocationList]:
    of_name = [each for each in lists if each.issuer == certificate.issuer]
    return [each for each in of_name if any(signed_by(each, issuer) for issuer in issuers)]


def _is_partial(extension: x509.Extension[x509.ExtensionType]) -> bool:
    match extension.value:
        case x509.DeltaCRLIndicator():
            return True
        case x509.IssuingDistributionPoint() as point:
            return point.indirect_crl or point.only_some_reasons is not None or point.only_contains_ca_certs
        case _:
            return extension.critical
