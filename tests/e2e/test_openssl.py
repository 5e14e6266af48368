"""The mail and its file by other people's tools: openssl alone opens the message, knows its signer and verifies the license."""

import json
import subprocess
from email import message_from_bytes, policy
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tests.e2e.conftest import House
from tests.e2e.people import apply_for, approve, eventually, licenses_of, mail, status
from tests.license_file.test_openssl import script
from workflow.cli import cast
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


def openssl(*arguments: str | Path) -> bytes:
    """What openssl writes. Fails with what it says."""
    run = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout
