"""What an authority publishes besides certificates."""

from collections.abc import Sequence
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from workflow.mail.demo_keys import Authority
from workflow.times import wall_now


def revocation_list(
    authority: Authority,
    *taken_back: x509.Certificate,
    key: ec.EllipticCurvePrivateKey | None = None,
    next_update: timedelta = timedelta(days=7),
    extensions: Sequence[x509.ExtensionType] = (),
) -> bytes:
    """A revocation list in PEM, as the authority signs it, or as somebody else with another `key` does in its name."""
    now = wall_now()
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - timedelta(days=30))
        .next_update(now + next_update)
    )
    for each in taken_back:
        entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(now - timedelta(days=2))
        made = made.add_revoked_certificate(entry.build())
    for extension in extensions:
        made = made.add_extension(extension, critical=True)
    return made.sign(key or authority.key, hashes.SHA256()).public_bytes(Encoding.PEM)
