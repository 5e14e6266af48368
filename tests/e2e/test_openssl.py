"""The mail and its file by other people's tools: openssl alone opens the message, knows its signer and verifies the license."""

import json
import subprocess
from base64 import b64decode
from email import message_from_bytes, policy
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from tests.e2e.conftest import House
from tests.e2e.people import apply_for, approve, eventually, licenses_of, mail, status
from tests.license_file.other_verifiers import script
from workflow.cli import cast
from workflow.cli.installation import MAIL_SENDER
from workflow.db.tables import IssuedLicense
from workflow.domain.application import Status
from workflow.domain.terms import EnvironmentName
from workflow.mail.demo_keys import file_stem

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def issued(house: House) -> IssuedLicense:
    """A license that was delivered. UAT, since the browser takes PROD through its states."""
    number = apply_for(house, EnvironmentName.UAT)
    approve(house, number)
    eventually(lambda: status(house, number) == Status.DELIVERED, "delivered")
    (found,) = licenses_of(house, number)
    return found


@pytest.fixture(params=[each.email for each in cast.RECIPIENTS if each.has_certificate])
def opened(request: pytest.FixtureRequest, house: House, issued: IssuedLicense, tmp_path: Path) -> Path:
    """A directory with a recipient's mail as it was sent (mail.eml) and as only this recipient can read it (signed.eml)."""
    (found,) = [each["id"] for each in mail(house) if request.param in each["to"] and file_name(issued) in each["file_names"]]
    (tmp_path / "mail.eml").write_bytes(httpx.get(f"{house.stack.urls['inbox']}/messages/{found}/raw").content)
    key = house.stack.files.inbox_keys / f"{file_stem(request.param)}.pem"
    (tmp_path / "signed.eml").write_bytes(
        openssl("cms", "-decrypt", "-in", tmp_path / "mail.eml", "-recip", key, "-inkey", key)
    )
    return tmp_path


def file_name(issued: IssuedLicense) -> str:
    return f"{issued.license_id}-v{issued.version}.lic"


def openssl(*arguments: str | Path) -> bytes:
    """What openssl writes. Fails with what it says."""
    run = tried(*arguments)
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout


def tried(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, timeout=60, check=False)


def test_openssl_opens_the_mail_and_knows_its_signer(opened: Path, house: House, issued: IssuedLicense) -> None:
    assert file_name(issued).encode() not in (opened / "mail.eml").read_bytes()
    authority, signer = house.stack.files.mail / "ca.pem", opened / "signer.pem"
    letter = openssl("cms", "-verify", "-in", opened / "signed.eml", "-CAfile", authority, "-signer", signer)
    assert MAIL_SENDER in openssl("x509", "-in", signer, "-noout", "-email").decode().split()
    (file,) = message_from_bytes(letter, policy=policy.default).iter_attachments()
    assert file.get_filename() == file_name(issued)
    assert file.get_content() == issued.envelope


def test_openssl_refuses_a_stranger_a_forgery_and_another_authority(opened: Path, house: House) -> None:
    stranger = opened / "stranger"
    options = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=Stranger",
        "-keyout",
        f"{stranger}.key",
        "-out",
        f"{stranger}.pem",
    ]
    openssl("req", "-x509", *options)
    key = ["-recip", f"{stranger}.pem", "-inkey", f"{stranger}.key"]
    assert b"Signed" not in tried("cms", "-decrypt", "-in", opened / "mail.eml", *key).stdout
    assert tried("cms", "-verify", "-in", opened / "signed.eml", "-CAfile", f"{stranger}.pem").returncode != 0
    signed = (opened / "signed.eml").read_bytes()
    assert b"UAT" in signed
    assert b"multipart/signed" in signed
    (opened / "forged.eml").write_bytes(signed.replace(b"UAT", b"DEV", 1))
    authority = house.stack.files.mail / "ca.pem"
    assert tried("cms", "-verify", "-in", opened / "forged.eml", "-CAfile", authority).returncode != 0


def test_the_script_of_the_specification_verifies_the_delivered_file(
    house: House, issued: IssuedLicense, tmp_path: Path
) -> None:
    root = json.loads((house.stack.files.trust / "root-1.json").read_bytes())
    spki = json.loads(b64decode(root["payload"]))["keys"][issued.key_ids]["spki"]
    key = load_der_public_key(b64decode(spki)).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "file.lic").write_bytes(issued.envelope)
    (tmp_path / "verify-lic.sh").write_text(script())
    command = ["sh", "verify-lic.sh", "file.lic", "key.pem"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout == issued.payload
