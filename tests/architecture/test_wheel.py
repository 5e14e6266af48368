"""The wheel, in an environment with the locked requirements of production and nothing else: test tools hide what is
missing, and the repository hides what was not packed."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

IMPORT_EVERYTHING = """
import importlib, pkgutil, workflow, workers
for package in (workflow, workers):
    for each in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        # Alembic runs these itself, within a migration.
        if not each.name.endswith("migrations.env"):
            importlib.import_module(each.name)
print(workflow.__file__)
"""

RENDER_A_PAGE = """
from pathlib import Path
from tempfile import mkdtemp
from fastapi import FastAPI
from workflow.settings import DeskSettings, Mode
from workflow.web.desk.app import create_app
from workflow.database import create_engine
from workflow.db.migrations import upgrade
from workflow.templating import static_directory
url = f"sqlite:///{mkdtemp()}/desk.sqlite3"
upgrade(create_engine(url))
app = create_app(DeskSettings(mode=Mode.DEMO, database_url=url, secure_cookies=False))
import asyncio, httpx
async def get(path):
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8300", follow_redirects=True) as client:
        return await client.get(path)
page = asyncio.run(get("/"))
assert page.status_code == 200, page.text
assert "Sign in" in page.text
assert (static_directory() / "app.css").is_file()
print("rendered")
"""


def run(*command: object, **options: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=240, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, freshly built."""
    into = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", into, cwd=ROOT)
    (made,) = into.glob("license_desk-*.whl")
    return made


@pytest.fixture(scope="module")
def production(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel and the locked requirements of production."""
    home = tmp_path_factory.mktemp("production")
    uv = (sys.executable, "-m", "uv", "--quiet")
    run(*uv, "venv", "--python", sys.executable, home / "venv")
    python = home / "venv" / "bin" / "python"
    run(*uv, "pip", "install", "--python", python, "--require-hashes", "-r", ROOT / "requirements" / "run.txt")
    run(*uv, "pip", "install", "--python", python, "--no-deps", wheel)
    return python


def test_wheel_holds_the_program_and_nothing_of_the_workshop(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"workflow", "workers", wheel.name.rsplit("-py3", 1)[0] + ".dist-info"}
    assert any(name.startswith("workflow/_templates/pages/") for name in names)
    assert "workflow/catalogue.toml" in names
    assert [name for name in names if name.endswith((".pem", ".key", ".sqlite3", ".pyc"))] == []


def test_every_module_imports_with_the_requirements_of_production(production: Path, tmp_path: Path) -> None:
    where = run(production, "-I", "-c", IMPORT_EVERYTHING, cwd=tmp_path)
    assert str(production.parent.parent) in where, "imported from the repository"


def test_installed_program_renders_a_page(production: Path, tmp_path: Path) -> None:
    assert run(production, "-I", "-c", RENDER_A_PAGE, cwd=tmp_path) == "rendered\n"


def test_installed_command_runs(production: Path, tmp_path: Path) -> None:
    said = run(production.with_name("licdesk"), "--help", cwd=tmp_path, env={"PATH": os.environ["PATH"]})
    for command in ("up", "serve", "worker", "keys", "console"):
        assert command in said
