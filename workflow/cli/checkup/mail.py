"""The way out for mail: whether the server takes us as we are set up, where doubt is settled, and what we sign with."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from workflow.certificates import SignerUnusable
from workflow.cli.checkup.files import readable_by_others
from workflow.cli.checkup.findings import Environ, Finding, fail, ok, skip, warn
from workflow.errors import DeskError
from workflow.mail.archives import find_in_archive
from workflow.mail.encryption import MailSigner
from workflow.mail.openpgp import OpenPGPSigner
from workflow.openpgp_keys import OpenPGPNotInstalled
from workflow.services.mail_trust import mail_trust_from
from workflow.settings import WorkerSettings, load, opened_with, variable
from workflow.times import wall_now

SECONDS = 45
PASSWORDS = ("smtp_password", "mail_archive_password", "mail_signer_password", "mail_openpgp_password")


def look(environ: Environ) -> Iterator[Finding]:
    """The mail server and the mail signer of the general worker."""
    try:
        settings = load(WorkerSettings, environ)
    except DeskError:
        return  # told among the settings
    if variable("smtp_host") not in environ:
        yield skip("mail server", "LICDESK_SMTP_HOST is not set here.")
    else:
        yield _server(settings, environ)
    if settings.mail_archive is not None:
        yield _archive(settings.mail_archive, settings.mail_archive_password)
    yield from _secret_files(environ)
    yield from _recipients_keys(settings)
    yield from _signer(settings)
    yield from _openpgp(settings)


def _secret_files(environ: Environ) -> Iterator[Finding]:
    """Whether the files with the passwords of mail are their owner's only. Mounted ones (/run/secrets) are the container's."""
    for name in PASSWORDS:
        path = environ.get(f"{variable(name)}_FILE")
        if path and readable_by_others(Path(path)):
            yield fail(
                "mail passwords", f"Others can read {path}, which {variable(name)}_FILE names.", f"Run: chmod 600 {path}"
            )


def _recipients_keys(settings: WorkerSettings) -> Iterator[Finding]:
    """Whom this desk believes about recipients' certificates, and whether an authority's list is late."""
    name = "recipients' certificates"
    try:
        trust = mail_trust_from(settings)
        lists = trust.revocations()
    except DeskError as error:
        yield fail(name, str(error), "Check LICDESK_MAIL_CA and LICDESK_MAIL_CRL: no license leaves by S/MIME before.")
        return
    if not trust.authorities:
        yield skip(name, "LICDESK_MAIL_CA is not set here; an operator confirms the fingerprint of each key.")
        return
    late = [each for each in lists if each.next_update_utc is not None and each.next_update_utc < wall_now()]
    for each in late:
        issuer, due = each.issuer.rfc4514_string(), each.next_update_utc
        yield warn(name, f"The revocation list of {issuer} was to be replaced by {due:%-d %b %Y}.", "Fetch its newest one.")
    if not late:
        yield ok(name, f"{len(trust.authorities)} authorities and {len(lists)} revocation lists are in use.")


def _archive(url: str, password: SecretStr | None) -> Finding:
    """Looks a message up that was never sent."""
    try:
        find_in_archive(url, "<doctor@licdesk.invalid>", wall_now() - timedelta(days=1), password)
    except DeskError as error:
        return fail("mail archive", str(error), "Check LICDESK_MAIL_ARCHIVE: until it answers, mail in doubt waits.")
    return ok("mail archive", f"Mail in doubt can be looked up in {url}.")


def _server(settings: WorkerSettings, environ: Environ) -> Finding:
    where = f"{settings.smtp_host}:{settings.smtp_port} ({settings.smtp_tls})"
    try:
        # A process of its own, as the worker is: nothing that speaks SMTP is loaded where keys and databases are administered.
        tried = subprocess.run(
            [sys.executable, "-m", "workflow.mail.probe"],
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return fail("mail server", f"{where} did not answer within {SECONDS} s.", "Check host, port and firewall.")
    if tried.returncode:
        said = (tried.stdout or tried.stderr).strip().splitlines()[-1:]
        return fail("mail server", f"{where}: {' '.join(said)}", "Check LICDESK_SMTP_HOST, _PORT, _TLS, _USERNAME, _PASSWORD.")
    return ok("mail server", f"{where} lets this desk in.")


def _signer(settings: WorkerSettings) -> Iterator[Finding]:
    certificate, key = settings.mail_signer_certificate, settings.mail_signer_key
    if certificate is None or key is None:
        yield skip("mail signer", "LICDESK_MAIL_SIGNER_CERTIFICATE and _KEY are not set here.")
        return
    try:
        password = opened_with(settings.mail_signer_password)
        signer = MailSigner.load(certificate, key, password, address=settings.mail_sender, at=wall_now())
    except SignerUnusable as error:
        yield fail("mail signer", str(error), "Get a certificate for LICDESK_MAIL_SENDER; no license leaves without it.")
        return
    ends = signer.certificate.not_valid_after_utc
    days = (ends - wall_now()).days
    if days < 60:
        yield warn("mail signer", f"Its certificate ends on {ends:%-d %b %Y}, in {days} days.", "Get its successor now.")
    else:
        yield ok("mail signer", f"Its certificate is good until {ends:%-d %b %Y}.")
    if readable_by_others(key):
        yield fail("mail signer", f"Others can read its key {key}.", f"Run: chmod 600 {key}")


def _openpgp(settings: WorkerSettings) -> Iterator[Finding]:
    path = settings.mail_openpgp_key
    if path is None:
        yield skip("OpenPGP key", "LICDESK_MAIL_OPENPGP_KEY is not set here; recipients with an OpenPGP key alone get nothing.")
        return
    try:
        password = opened_with(settings.mail_openpgp_password)
        signer = OpenPGPSigner.load(path, password, address=settings.mail_sender, at=wall_now())
    except (SignerUnusable, OpenPGPNotInstalled) as error:
        yield fail("OpenPGP key", str(error), "No license leaves by OpenPGP without it.")
        return
    if signer.not_after is not None and (days := (signer.not_after - wall_now()).days) < 60:
        yield warn("OpenPGP key", f"It ends on {signer.not_after:%-d %b %Y}, in {days} days.", "Extend it with gpg now.")
    else:
        yield ok("OpenPGP key", f"{signer.fingerprint.upper()} signs for {settings.mail_sender}.")
    if readable_by_others(path):
        yield fail("OpenPGP key", f"Others can read {path}.", f"Run: chmod 600 {path}")
