"""The command's table of names: nothing that is written is missing in it, and one command imports no other."""

import subprocess
import sys
from importlib import import_module

import pytest
from typer.main import get_group
from typer.testing import CliRunner

from workflow.cli.main import COMMANDS, SUBJECTS, app


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_of_a_module_is_in_the_table(module: str) -> None:
    assert tuple(get_group(import_module(f"workflow.cli.{module}").app).commands) == COMMANDS[module]


def test_the_help_page_lists_every_command_with_a_sentence() -> None:
    said = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"})
    assert said.exit_code == 0
    lines = [line.strip("│ \n").split(maxsplit=1) for line in said.output.splitlines() if line.startswith("│")]
    listed = {line[0] for line in lines if len(line) == 2}
    assert {*SUBJECTS, *(name for names in COMMANDS.values() for name in names)} <= listed


def test_an_unknown_command_is_a_usage_error() -> None:
    said = CliRunner().invoke(app, ["sing"])
    assert said.exit_code == 2
    assert "No such command 'sing'" in said.output


def test_a_command_imports_only_its_own_module() -> None:
    ask = "app(['keys', '--help'], standalone_mode=False)"
    look = f"import sys; from workflow.cli.main import app; {ask}; print(sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=120, check=True)
    modules = ran.stdout.splitlines()[-1]
    assert "'workflow.cli.keys'" in modules
    assert "workflow.cli.up" not in modules
    assert "sqlalchemy" not in modules
