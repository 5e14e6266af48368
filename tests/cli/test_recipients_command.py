"""`licdesk recipients` on a database, for whoever runs the desk."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Engine
from typer.testing import Result

from tests.cli.conftest import licdesk
from tests.mail.authorities import revocation_list
from workflow.cli.on_database import command_line
from workflow.database import transaction
from workflow.mail.demo_keys import Authority, make_authority, make_recipient
from workflow.services import customers
from workflow.times import utc_now, wall_now

ADDRESS = "wei.zhang@harbourline.example"
Here = Callable[..., Result]


@pytest.fixture
def authority() -> Authority:
    return make_authority(wall_now())


@pytest.fixture
def certificate(authority: Authority) -> x509.Certificate:
    return make_recipient(authority, ec.generate_private_key(ec.SECP256R1()), ADDRESS, wall_now())


@pytest.fixture
def here(engine: Engine, tmp_path: Path, authority: Authority, certificate: x509.Certificate) -> Here:
    """A command on a desk with one customer and one authority."""
    with transaction(engine) as session:
        customers.add_tenant(session, command_line(), tenant_id="T-1", company="Harbourline", time_zone="UTC", now=utc_now())
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "ca.crl").write_bytes(revocation_list(authority))
    (tmp_path / "key.cer").write_bytes(certificate.public_bytes(Encoding.DER))
    environ = {
        "LICDESK_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "LICDESK_MAIL_CA": str(tmp_path / "ca.pem"),
        "LICDESK_MAIL_CRL": str(tmp_path / "ca.crl"),
    }
    return lambda *arguments: licdesk("recipients", *arguments, environ=environ)


def add(here: Here, *more: str) -> Result:
    return here("add", "T-1", ADDRESS, "--name", "Zhang Wei", *more)


def test_a_recipient_without_a_key_gets_a_link_and_with_one_encrypted_mail(here: Here, tmp_path: Path) -> None:
    assert "Link to the portal." in add(here).stdout
    assert "Encrypted mail." in here("certificate", "T-1", ADDRESS, str(tmp_path / "key.cer")).stdout
    [row] = json.loads(here("list", "T-1", "--json").stdout)
    assert (row["channel"], row["trust"], row["confirmed"]) == ("smime", "ca", True)
    assert ADDRESS in here("check").stdout
    assert "recipients.exists" not in add(here).stderr
    assert add(here).exit_code == 1


def test_a_key_that_no_authority_vouches_for_waits_until_its_fingerprint_is_confirmed(here: Here, tmp_path: Path) -> None:
    stranger = make_recipient(make_authority(wall_now()), ec.generate_private_key(ec.SECP256R1()), ADDRESS, wall_now())
    (tmp_path / "own.pem").write_bytes(stranger.public_bytes(Encoding.PEM))
    said = add(here, "--key", str(tmp_path / "own.pem")).stdout
    fingerprint = said.splitlines()[-1]
    assert fingerprint.replace(" ", "").lower() == stranger.fingerprint(hashes.SHA256()).hex()
    checked = here("check", "T-1")
    assert (checked.exit_code, "has not confirmed the fingerprint" in checked.stdout) == (1, True)
    wrong = here("confirm", "T-1", ADDRESS, "AB" * 32)
    assert (wrong.exit_code, wrong.stderr.split(":")[0]) == (1, "recipients.changed_meanwhile")
    assert here("confirm", "T-1", ADDRESS, fingerprint).exit_code == 0
    assert here("check", "T-1").exit_code == 0


def test_a_certificate_that_was_taken_back_since_is_told_by_check(
    here: Here, tmp_path: Path, authority: Authority, certificate: x509.Certificate
) -> None:
    assert add(here, "--key", str(tmp_path / "key.cer")).exit_code == 0
    (tmp_path / "ca.crl").write_bytes(revocation_list(authority, certificate))
    checked = here("check")
    assert (checked.exit_code, "was revoked on" in checked.stdout) == (1, True)


@pytest.mark.parametrize(("file", "code"), [("gone.pem", "cannot be read"), ("large.pem", "at most"), ("text.pem", "Upload")])
def test_a_file_that_is_no_key_changes_nothing(here: Here, tmp_path: Path, file: str, code: str) -> None:
    (tmp_path / "large.pem").write_bytes(b"x" * 5_000_000)
    (tmp_path / "text.pem").write_text("hello")
    refused = add(here, "--key", str(tmp_path / file))
    assert (refused.exit_code, code in refused.stderr) == (1, True), refused.stderr
    assert json.loads(here("list", "T-1", "--json").stdout) == []


def test_a_recipient_that_is_not_there_is_said(here: Here, tmp_path: Path) -> None:
    refused = here("certificate", "T-1", "nobody@harbourline.example", str(tmp_path / "key.cer"))
    assert (refused.exit_code, "has no recipient" in refused.stderr) == (1, True)
