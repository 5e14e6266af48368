"""Passwords are hashed in tests as in life, by Argon2id, only with a little memory: one at the full cost takes a processor for
a tenth of a second and more, and the tests hash thousands. tests/test_passwords.py sees to the cost in life."""

from argon2 import PasswordHasher

from workflow.console import accounts
from workflow.services import secrets

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
FULL = PasswordHasher()


def cost(hasher: PasswordHasher) -> None:
    """From now on, in this process. Processes that a test starts hash at the full cost."""
    nobody = hasher.hash("of nobody")
    secrets._HASHER, secrets._NOBODY = hasher, nobody
    accounts._hasher, accounts._NOBODY = hasher, nobody
