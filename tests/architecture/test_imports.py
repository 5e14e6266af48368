"""Who may import whom, by the contracts of pyproject.toml and by what a fresh process has really loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Our own packages that a serving process may hold. A static contract does not see importlib; this does.
GENERAL_WORKER = ("workflow.db", "workflow.domain", "workflow.license_file", "workflow.mail", "workflow.services")
SINGLE_MODULES = {
    *("catalogues", "certificate_revocation", "certificates", "database", "errors", "languages", "logs", "openpgp_keys"),
    *("recipient_keys", "settings", "templating", "times"),
}
TASKS = {
    *("addressees", "app", "claims", "delivery", "digests", "facts", "folding", "heartbeats", "housekeeping", "letters"),
    *("mailing", "notices", "reminders", "runtime", "stopping", "transport"),
}
FOREIGN = {
    *("aiosmtplib", "alembic", "amqp", "annotated_types", "anyio", "argon2", "billiard", "celery", "cffi", "click"),
    *("cryptography", "css_inline", "dateutil", "dns", "email_validator", "greenlet", "icalendar", "idna", "jinja2", "kombu"),
    *("lucide", "mako", "markupsafe", "packaging", "psycopg", "pydantic", "pydantic_core", "redis", "six"),
    *("sqlalchemy", "sqlmodel", "typing_extensions", "typing_inspection", "tzdata", "tzlocal", "vine", "yaml"),
}

LOADED = """
import json, sys
{load}
names = [name for name, module in sys.modules.items() if getattr(module, "__file__", None)]
print(json.dumps(sorted(names)))
"""


def loaded_by(load: str) -> list[str]:
    """The modules of a fresh process after running `load`."""
    run = subprocess.run(
        [sys.executable, "-c", LOADED.format(load=load)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return list(json.loads(run.stdout))


def test_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout
    assert "0 broken" in run.stdout


def test_general_worker_loads_nothing_but_what_it_needs() -> None:
    loaded = loaded_by("from workers.app import general; general.loader.import_default_modules()")
    ours = [name for name in loaded if name.split(".")[0] in ("workflow", "workers")]
    allowed = {"workflow", "workers"} | {f"workflow.{name}" for name in SINGLE_MODULES} | {f"workers.{name}" for name in TASKS}
    assert [name for name in ours if name not in allowed and not name.startswith(GENERAL_WORKER)] == []
    # Debian's Python brings a sitecustomize of its own.
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"workflow", "workers", "sitecustomize"}
    assert {name for name in foreign if not name.startswith(("_", "cython", "Cython"))} <= FOREIGN


@pytest.mark.parametrize(
    "load",
    [
        "import workflow.web.desk.app",
        "import workflow.web.console.app",
        "import workers.relay",
        "from workers.app import general; general.loader.import_default_modules()",
    ],
)
def test_a_process_that_serves_or_mails_has_not_loaded_the_custody_of_issuer_keys(load: str) -> None:
    loaded = loaded_by(load)
    assert not {"workflow.signing_keys", "workers.signing", "workflow.cli", "workflow.cli.keys"} & set(loaded)


def test_signing_worker_has_loaded_it() -> None:
    """Or the test above would show nothing."""
    assert "workflow.signing_keys" in loaded_by("from workers.app import signing; signing.loader.import_default_modules()")


def test_console_runs_without_desk_and_broker() -> None:
    loaded = loaded_by("import workflow.web.console.app")
    forbidden = ("workflow.db", "workflow.services", "workflow.domain", "workflow.web.desk", "workers", "celery", "redis")
    assert [name for name in loaded if name.startswith(forbidden)] == []
