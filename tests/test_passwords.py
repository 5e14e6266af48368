"""What guessing a stolen hash costs; tests/passwords.py lowers it for all other tests."""

import subprocess
import sys

import pytest

AT_FULL_COST = "$argon2id$v=19$m=65536,t=3,p=4$"
"""RFC 9106, section 4, the second recommended option: 64 MiB, three passes, four lanes."""


@pytest.mark.parametrize(
    "hashes",
    [
        "from workflow.services.secrets import _NOBODY, hash_password; print(hash_password('x'), _NOBODY)",
        "from workflow.console.accounts import _NOBODY, _hasher; print(_hasher.hash('x'), _NOBODY)",
    ],
    ids=["desk", "console"],
)
def test_a_password_is_hashed_at_the_full_cost_and_so_is_nobodys(hashes: str) -> None:
    said = subprocess.run([sys.executable, "-c", hashes], check=True, capture_output=True, text=True, timeout=60).stdout
    assert [each.startswith(AT_FULL_COST) for each in said.split()] == [True, True]
