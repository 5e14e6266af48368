"""Whom this desk believes about recipients' certificates, from the files that its settings name."""

from functools import lru_cache, partial
from pathlib import Path

from cryptography import x509

from workflow.certificate_revocation import RevocationLists, read_revocation_list
from workflow.errors import Misconfigured
from workflow.recipient_keys import MailTrust
from workflow.settings import Database

AUTHORITY_FILES = ("*.pem", "*.crt", "*.cer")
REVOCATION_FILES = ("*.crl", "*.pem")

Version = tuple[Path, int, int]
"""A file, when it was written last (ns), and its size in bytes."""


class AuthoritiesUnusable(Misconfigured):
    """LICDESK_MAIL_CA names nothing with certificates in it."""

    code = "mail.authorities"


def mail_trust_from(settings: Database) -> MailTrust:
    """Authorities are read once, at start; revocation lists whenever a file has changed, since authorities replace theirs every
    few days. Raises AuthoritiesUnusable, RevocationListUnusable."""
    authorities = tuple(_authority(path) for path in files_at(settings.mail_ca, AUTHORITY_FILES)) if settings.mail_ca else ()
    if settings.mail_ca and not authorities:
        raise AuthoritiesUnusable(f"There is no certificate of an authority at {settings.mail_ca}. Put a PEM file there.")
    if settings.mail_crl is None:
        return MailTrust(authorities)
    revocation_lists(settings.mail_crl)
    return MailTrust(authorities, partial(revocation_lists, settings.mail_crl))


def revocation_lists(path: Path) -> RevocationLists:
    """The lists in a file, or in the files of a directory, as they are now. Raises RevocationListUnusable: a list that
    cannot be read is not an empty one."""
    return _lists_in(tuple(_version(each) for each in files_at(path, REVOCATION_FILES)))


def files_at(path: Path, patterns: tuple[str, ...]) -> list[Path]:
    """The file itself, or those of a directory with one of these names, in order."""
    if not path.is_dir():
        return [path]
    return sorted({found for pattern in patterns for found in path.glob(pattern)})


def _authority(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        x509.load_pem_x509_certificates(data)
    except (OSError, ValueError) as error:
        raise AuthoritiesUnusable(f"{path} holds no certificate in PEM form. Replace it or take it away.") from error
    return data


def _version(path: Path) -> Version:
    try:
        found = path.stat()
    except OSError:
        return path, 0, 0
    return path, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=8)
def _lists_in(versions: tuple[Version, ...]) -> RevocationLists:
    return tuple(read_revocation_list(path) for path, _, _ in versions)
