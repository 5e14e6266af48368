"""Dockerfile and docker-compose.yml, checked without an engine: they parse, they are hardened, and they say true things."""

import json
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import make_url

from workflow.cli.main import app
from workflow.db.powers import Power, role_name
from workflow.settings import (
    BeatSettings,
    BounceSettings,
    ConsoleSettings,
    Database,
    DeskSettings,
    RelaySettings,
    SigningSettings,
    WitnessSettings,
    WorkerSettings,
    known_variables,
    load,
    variable,
)

ROOT = Path(__file__).parents[2]
ROLES: dict[str, type] = {
    "migrate": Database,
    "roles": Database,
    "web": DeskSettings,
    "relay": RelaySettings,
    "worker": WorkerSettings,
    "signing": SigningSettings,
    "witness": WitnessSettings,
    "bounces": BounceSettings,
    "beat": BeatSettings,
    "console": ConsoleSettings,
}
OF_OTHERS = {"PGPASSFILE"}
"""Variables that libraries of ours read."""


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name(name))
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@cache
def composed() -> dict[str, Any]:
    """The compose file as an engine would read it, every profile included."""
    run = tool("docker-compose", "--profile", "*", "config", "--format", "json")
    assert run.returncode == 0, run.stderr
    return dict(json.loads(run.stdout)["services"])


def ours() -> dict[str, Any]:
    """The services that run our image."""
    return {name: each for name, each in composed().items() if each["image"].startswith("license-desk")}


def parse(arguments: list[str]) -> str:
    """The command that a command line calls; an exception when the command or an option does not exist."""
    command: Any = typer.main.get_command(app)
    context = None
    while True:
        context = command.make_context(command.name, list(arguments), parent=context)
        if not hasattr(command, "resolve_command"):
            return str(context.command_path)
        _, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])


def test_compose_file_parses() -> None:
    for profiles in ([], ["--profile", "try"], ["--profile", "setup"]):
        run = tool("docker-compose", *profiles, "config", "-q")
        assert run.returncode == 0, run.stderr
        assert run.stderr == ""


def test_compose_linter_finds_nothing() -> None:
    run = tool("compose-lint", "check", "--fail-on", "low", "docker-compose.yml")
    assert run.returncode == 0, run.stdout


def test_dockerfile_linter_finds_nothing() -> None:
    run = tool("hadolint", "Dockerfile")
    assert (run.returncode, run.stdout) == (0, "")


@pytest.mark.parametrize("service", sorted(ours()))
def test_command_of_each_service_exists(service: str) -> None:
    assert parse(ours()[service]["command"])


def test_a_command_that_does_not_exist_is_noticed() -> None:
    for arguments in (["serve", "--no-such-option"], ["no-such-command"], ["worker", "no-such-queue"]):
        with pytest.raises(Exception, match="no-such"):
            parse(arguments)


@pytest.mark.parametrize("service", sorted(ours()))
def test_each_variable_is_one_that_the_role_reads(service: str) -> None:
    given = set(ours()[service].get("environment") or {}) - OF_OTHERS
    assert given <= known_variables()
    role = ROLES.get(service)
    read = {variable(each.name) for each in fields(role)} if role else set()
    assert {name.removesuffix("_FILE") for name in given} <= read


@pytest.mark.parametrize("service", sorted(ROLES))
def test_settings_of_each_service_load(service: str, tmp_path: Path) -> None:
    environ = dict(ours()[service].get("environment") or {})
    for name, value in environ.items():
        if name.endswith("_FILE"):  # what the engine mounts there
            (tmp_path / "secret").write_text("a secret long enough")
            environ[name] = str(tmp_path / "secret") if value.startswith(("/run/secrets/", "/auditor-keys/")) else value
    load(ROLES[service], environ)


def test_issuer_keys_are_mounted_where_they_are_used_only() -> None:
    holders = {
        name: [volume.get("read_only", False) for volume in each.get("volumes", []) if volume["source"] == "keys"]
        for name, each in composed().items()
    }
    assert {name: mounts for name, mounts in holders.items() if mounts} == {"signing": [True], "make-keys": [False]}
    knowing = {
        name for name, each in composed().items() if any(s["source"] == "issuer_key_secret" for s in each.get("secrets", []))
    }
    assert knowing == {"signing", "make-keys"}
    assert composed()["make-keys"]["network_mode"] == "none"


def test_auditors_keys_are_mounted_where_they_are_used_only() -> None:
    mounted = {name for name, each in composed().items() if any(v["source"] == "auditor-keys" for v in each.get("volumes", []))}
    assert mounted == {"witness", "make-keys"}


def test_each_process_signs_in_to_the_database_under_its_own_role_with_its_own_password() -> None:
    roles = {"web": "web", "relay": "relay", "worker": "worker", "signing": "signer", "witness": "witness"}
    roles["bounces"] = "worker"  # it writes what the general worker writes, and holds no key of it
    found = {}
    for name, each in ours().items():
        url = (each.get("environment") or {}).get("LICDESK_DATABASE_URL")
        if url:
            passes = [secret["source"] for secret in each["secrets"] if secret.get("target", "").endswith("pgpass")]
            found[name] = (make_url(url).username, passes)
    owner = ("licdesk", found["migrate"][1])
    assert owner[1] != ["pgpass_web"]
    assert found == {
        **{name: (role_name(Power(role)), [f"pgpass_{role}"]) for name, role in roles.items()},
        **dict.fromkeys(("migrate", "roles"), owner),
    }


@pytest.mark.parametrize("service", sorted(composed()))
def test_each_service_is_locked_down(service: str) -> None:
    each = composed()[service]
    assert each["read_only"] is True
    assert each["security_opt"] == ["no-new-privileges:true"]
    assert each["cap_drop"] == ["ALL"]
    assert "privileged" not in each
    one_shot = service in ("migrate", "roles", "make-keys")
    assert each["restart"] == ("no" if one_shot else "always")
    assert all(port.get("host_ip") == "127.0.0.1" for port in each.get("ports", []))


def test_no_secret_stands_in_the_file() -> None:
    for each in composed().values():
        for name, value in (each.get("environment") or {}).items():
            if any(word in name for word in ("PASSWORD", "SECRET", "TOKEN")):
                assert str(value).startswith(("/run/secrets/", "/auditor-keys/")), name
