"""The platform's side runs where the desk does not exist: what a fresh process loads."""

import subprocess
import sys

import pytest

LOADED = "import sys, {module}; print('\\n'.join(sys.modules))"
FOREIGN = ("workflow.db", "workflow.services", "workflow.domain", "workflow.mail", "workflow.web.desk", "workflow.signing_keys")


def loaded(module: str) -> set[str]:
    answer = subprocess.run([sys.executable, "-c", LOADED.format(module=module)], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


@pytest.mark.parametrize("module", ["workflow.web.console.app", "workflow.console.rounds"])
def test_the_console_loads_nothing_of_the_desk(module: str) -> None:
    names = loaded(module)
    assert not [name for name in names if name.startswith(FOREIGN)]
    assert not names & {"celery", "redis", "kombu", "aiosmtplib", "aiosmtpd"}


def test_the_gate_loads_the_standard_library_cryptography_and_the_format_only() -> None:
    names = loaded("workflow.license_gate")
    roots = {name.partition(".")[0] for name in names}
    ours = {name for name in names if name.startswith("workflow")}
    assert not roots & {"sqlmodel", "sqlalchemy", "pydantic", "fastapi", "starlette", "jinja2", "httpx", "argon2", "typer"}
    assert {name for name in ours if not name.startswith(("workflow.license_file", "workflow.license_gate"))} == {"workflow"}
